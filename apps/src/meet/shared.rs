//! Names on networks that apps share: each belongs to one app.

use crate::Manifest;
use protocol::Problem;
use std::collections::BTreeMap;

/// The names that an app has on each of the networks that it shares, with the services that have them.
fn names(app: &Manifest) -> BTreeMap<(&str, String), String> {
    let mut names = BTreeMap::new();
    for (service_name, service) in &app.services {
        for (network, attachment) in &service.networks {
            if !app.networks.get(network).copied().flatten().is_some_and(|network| network.external) {
                continue;
            }
            let aliases = attachment.iter().flat_map(|attachment| attachment.aliases.clone());
            let own = [service_name.to_string(), app.container_name(service_name)];
            for name in aliases.chain(own) {
                names.insert((network.as_str(), name), service_name.to_string());
            }
        }
    }
    names
}

/// What is wrong where another app has the same name on a network: who asks for it would reach now one, now the other.
pub(super) fn problems(app: &Manifest, others: &[&Manifest]) -> Vec<Problem> {
    let mine = names(app);
    let mut problems = Vec::new();
    for other in others {
        let theirs = names(other);
        for ((network, name), service) in mine.iter().filter(|(key, _)| theirs.contains_key(*key)) {
            problems.push(Problem {
                rule: "shared_name".into(),
                field: format!("services.{service}.networks.{network}"),
                line: None,
                column: None,
                message: format!(
                    "{name} is the name of a service of {} on the network {network}",
                    other.name
                ),
                remedy: format!("give one of the two another name, or uninstall {} first", other.id),
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str, service: &str, alias: &str, external: bool) -> Manifest {
        let text = format!(
            "manifest_version: 1\nid: {id}\nname: {id}\nversion: '1'\nnetworks: {{mesh: {{external: {external}}}}}\n\
             services:\n  {service}:\n    image: localhost/x:1\n    networks: {{mesh: {{aliases: [{alias}]}}}}\n"
        );
        Manifest::parse(&text).unwrap()
    }

    #[test]
    fn a_name_on_a_shared_network_belongs_to_one_app() {
        let told = |a: &Manifest, b: &Manifest| {
            problems(a, &[b]).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        let one = app("one", "web", "front", true);
        assert!(told(&one, &app("two", "api", "back", true)).is_empty());
        assert_eq!(
            told(&one, &app("two", "api", "front", true)),
            ["front is the name of a service of two on the network mesh"]
        );
        assert_eq!(told(&one, &app("two", "web", "back", true)).len(), 1, "services are names, too");
        assert_eq!(told(&one, &app("two", "api", "one-web", true)).len(), 1, "and containers are");
        assert!(told(&one, &app("two", "web", "front", false)).is_empty(), "a network of one's own");
    }
}
