//! What the app needs of others, as far as its own manifest tells.

use super::Check;
use crate::{manifest::Require, rule::Rule, yaml::shown};

impl Check<'_> {
    pub(super) fn requires(&mut self) {
        let m = self.manifest;
        for (i, require) in m.requires.iter().enumerate() {
            self.require(&format!("requires[{i}]"), require);
        }
        for (i, other) in m.conflicts.iter().enumerate() {
            let field = format!("conflicts[{i}]");
            if *other == m.id {
                self.say(Rule::Conflicts, &field, "an app cannot conflict with itself", "remove it");
            } else if m.requires.iter().any(|require| require.app.as_ref() == Some(other)) {
                self.say(Rule::Conflicts, &field, "this app is required as well", "remove one of the two");
            }
        }
    }

    fn require(&mut self, at: &str, require: &Require) {
        let m = self.manifest;
        match (&require.capability, &require.app) {
            (None, None) => {
                let message = "it is not said what is required";
                self.say(Rule::Requires, at, message, "add capability: or app:");
            }
            (Some(_), Some(_)) => {
                let message = "both a capability and an app are given";
                self.say(Rule::Requires, at, message, "keep one");
            }
            (None, Some(app)) if *app == m.id => {
                self.say(Rule::Requires, &format!("{at}.app"), "an app cannot require itself", "remove it");
            }
            (Some(capability), None) if m.provides.contains(capability) => {
                let message = "the app provides this itself";
                self.say(Rule::Requires, &format!("{at}.capability"), message, "remove it");
            }
            _ => {}
        }
        if let Some(version) = &require.version {
            let bare = version.trim_start_matches(['>', '<', '=']).trim_start();
            let operator = version.get(..version.len() - bare.len()).unwrap_or_default().trim_end();
            let known = matches!(operator, "" | "=" | ">" | "<" | ">=" | "<=");
            let good = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
            if !known || bare.is_empty() || !bare.chars().all(good) {
                let message = format!("{:?} names no versions", shown(version));
                self.say(Rule::Requires, &format!("{at}.version"), message, "write it like \">=1.16\"");
            }
        }
    }
}
