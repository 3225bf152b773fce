//! A template is filled in once: what a value holds is text, also where it looks like a variable.
#![no_main]

use apps::Template;

/// No part of a template, and not to be found in one.
const VALUE: &str = "{{secret:\u{10ffff}}}";

libfuzzer_sys::fuzz_target!(|text: &str| {
    if text.contains('\u{10ffff}') {
        return;
    }
    let Ok(template) = Template::parse(text) else { return };
    let variables = template.variables().count();
    let filled = template.fill(|_| Some(VALUE.to_owned())).expect("everything is known");
    assert_eq!(filled.matches(VALUE).count(), variables);
    assert_eq!(template.fill(|_| None).is_ok(), variables == 0);
});
