//! Templates: one pass, declared names, nothing hidden.

use crate::{Template, TemplateError, Variable};
use proptest::prelude::*;

fn fill(text: &str, value: &str) -> Result<String, Variable> {
    Template::parse(text).unwrap().fill(|_| Some(value.to_owned()))
}

#[test]
fn variables_are_filled_in_and_all_else_stays() {
    let template = Template::parse("a {{HOST_IP}} {b} {{ secret:key }}\\{{x}} }}").unwrap();
    let variables: Vec<&Variable> = template.variables().collect();
    assert_eq!(variables, [&Variable::HostIp, &Variable::Secret("key".into())]);
    assert!(template.has_secret());
    assert_eq!(template.fill(|_| Some("1".into())).unwrap(), "a 1 {b} 1{{x}} }}");
}

#[test]
fn a_value_is_never_looked_at_again() {
    assert_eq!(fill("{{secret:a}}", "{{secret:b}}").unwrap(), "{{secret:b}}");
    assert_eq!(fill("{ {{HOST_IP}}", "{{HOST_IP}}").unwrap(), "{ {{HOST_IP}}");
}

#[test]
fn what_is_not_known_is_named() {
    let template = Template::parse("{{HOST_IP}}{{NETWORK_GATEWAY}}").unwrap();
    let known = |variable: &Variable| (*variable == Variable::HostIp).then(String::new);
    assert_eq!(template.fill(known), Err(Variable::NetworkGateway));
    for variable in ["{{HOST_IP}}", "{{HOST_MDNS}}", "{{NETWORK_GATEWAY}}", "{{secret:a-b}}", "{{config:c}}"]
    {
        let read = Template::parse(variable).unwrap();
        assert_eq!(read.variables().next().unwrap().to_string(), variable);
    }
}

#[test]
fn what_is_no_template_is_refused() {
    assert_eq!(Template::parse("{{HOST_IP"), Err(TemplateError::Open));
    for text in [
        "{{}}",
        "{{host_ip}}",
        "{{env:HOME}}",
        "{{secret:}}",
        "{{secret:../x}}",
        "{{secret:{{HOST_IP}}}}",
        "{{{HOST_IP}}",
    ] {
        assert!(matches!(Template::parse(text), Err(TemplateError::Unknown(_))), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_without_two_braces_is_itself(text in "([^{]|[{][^{])*") {
        prop_assume!(!text.contains("{{"));
        prop_assert_eq!(fill(&text, "x").unwrap(), text);
    }

    #[test]
    fn values_stand_in_the_result_as_they_are(before in "[a-z \n]{0,9}", value in ".{0,40}", after in "[a-z }]{0,9}") {
        let text = format!("{before}{{{{secret:key}}}}{after}");
        prop_assert_eq!(fill(&text, &value).unwrap(), format!("{before}{value}{after}"));
    }

    #[test]
    fn no_text_panics(text in "([{}\\\\:a-z]|HOST_IP|secret:|\\{\\{){0,30}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.fill(|variable| Some(variable.to_string()));
        }
    }
}
