//! Names that have to differ.

use super::Check;
use crate::{rule::Rule, yaml::shown};
use protocol::ServiceName;
use std::collections::BTreeMap;

/// Whether a container can be called so.
pub(super) fn is_container_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(good) && name.len() <= 100
}

impl Check<'_> {
    pub(super) fn name(&mut self, field: &str, name: &str) {
        if name.parse::<ServiceName>().is_err() {
            let message = format!("{:?} is no name", shown(name));
            self.say(Rule::Name, field, message, "use 1 to 40 of a-z, 0-9 and '-'");
        }
    }

    pub(super) fn container_name_form(&mut self, field: &str, name: &str) {
        if !is_container_name(name) {
            let message = format!("{:?} is no container name", shown(name));
            self.say(Rule::ContainerName, field, message, "use a-z, 0-9, '_', '.' and '-'");
        }
    }

    pub(super) fn names(&mut self) {
        let manifest = self.manifest;
        let mut names: BTreeMap<String, &ServiceName> = BTreeMap::new();
        for (service_name, service) in &manifest.services {
            let at = format!("services.{service_name}");
            let name = manifest.container_name(service_name);
            self.container_name_form(&format!("{at}.container_name"), &name);
            for (network, attachment) in &service.networks {
                let aliases = attachment.iter().flat_map(|a| &a.aliases);
                for (i, alias) in aliases.enumerate() {
                    let field = format!("{at}.networks.{network}.aliases[{i}]");
                    if *alias == name {
                        let remedy = "remove the alias: the name resolves by itself";
                        let message = "an alias equals the container's name";
                        self.say(Rule::AliasIsName, &field, message, remedy);
                    }
                    self.name(&field, alias);
                }
            }
            if let Some(other) = names.insert(name, service_name) {
                let message = format!("service {other} has the same container name");
                self.say(Rule::DuplicateName, &format!("{at}.container_name"), message, "choose another");
            }
        }
    }
}
