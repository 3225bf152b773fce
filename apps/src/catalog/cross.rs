//! Whether the apps of a catalog fit each other: what one requires, another provides; no two of them that can be
//! installed together take one port or one container name.

use crate::{
    Manifest,
    manifest::{Protocol, Require},
    rule::Rule,
};
use protocol::{AppId, Problem};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Everything that does not fit, each with the app whose manifest says it. The fields are of that manifest.
pub fn check_catalog<'m>(manifests: impl IntoIterator<Item = &'m Manifest>) -> Vec<(AppId, Problem)> {
    let apps: BTreeMap<&AppId, &Manifest> = manifests.into_iter().map(|m| (&m.id, m)).collect();
    let mut check = Check { apps, problems: Vec::new() };
    check.requires();
    check.cycles();
    check.ports();
    check.names();
    check.aliases();
    check.problems
}

struct Check<'m> {
    apps: BTreeMap<&'m AppId, &'m Manifest>,
    problems: Vec<(AppId, Problem)>,
}

/// Whether two apps are never installed together.
fn apart(one: &Manifest, other: &Manifest) -> bool {
    one.conflicts.contains(&other.id) || other.conflicts.contains(&one.id)
}

impl<'m> Check<'m> {
    fn say(&mut self, app: &AppId, problem: Problem) {
        self.problems.push((app.clone(), problem));
    }

    /// The apps that can meet a requirement.
    fn providers(&self, require: &Require) -> Vec<&'m Manifest> {
        let meets = |m: &&&Manifest| match (&require.app, &require.capability) {
            (Some(app), _) => m.id == *app,
            (None, Some(capability)) => m.provides.contains(capability),
            (None, None) => false,
        };
        self.apps.values().filter(meets).copied().collect()
    }

    fn requires(&mut self) {
        for app in self.apps.values().copied().collect::<Vec<_>>() {
            for (i, require) in app.requires.iter().enumerate() {
                let at = format!("requires[{i}]");
                let providers = self.providers(require);
                let exports = |gate: &String| providers.iter().any(|other| other.gates.contains_key(gate));
                if let Some(gate) =
                    require.gate.as_ref().filter(|gate| !providers.is_empty() && !exports(gate))
                {
                    let message = format!("no app that meets this exports a gate {gate}");
                    let remedy = "name a gate of the provider's manifest";
                    let problem = Rule::UnknownGate.problem(&format!("{at}.gate"), message, remedy);
                    self.say(&app.id, problem);
                }
                // What is optional may come from a catalog that is not here.
                if !providers.is_empty() || require.optional {
                    continue;
                }
                let problem = match (&require.app, &require.capability) {
                    (Some(other), _) => {
                        let message = format!("there is no app {other} in the catalog");
                        Rule::UnknownApp.problem(
                            &format!("{at}.app"),
                            message,
                            "name one, or make it optional",
                        )
                    }
                    (None, capability) => {
                        let name = capability.as_deref().unwrap_or_default();
                        let message = format!("no app of the catalog provides {name}");
                        let field = format!("{at}.capability");
                        Rule::UnknownCapability.problem(
                            &field,
                            message,
                            "add one that does, or make it optional",
                        )
                    }
                };
                self.say(&app.id, problem);
            }
        }
    }

    /// Apps that cannot be installed one after the other: each waits for another of them.
    fn cycles(&mut self) {
        let needs = |app: &Manifest| -> BTreeSet<&'m AppId> {
            let hard = app.requires.iter().filter(|require| !require.optional);
            // With several providers, another one may break the ring.
            let only = |require: &Require| match self.providers(require).as_slice() {
                [one] => Some(&one.id),
                _ => None,
            };
            hard.filter_map(only).collect()
        };
        let mut left: BTreeMap<&AppId, BTreeSet<&AppId>> =
            self.apps.iter().map(|(id, app)| (*id, needs(app))).collect();
        loop {
            let free: Vec<&AppId> =
                left.iter().filter(|(_, needs)| needs.is_empty()).map(|(id, _)| *id).collect();
            if free.is_empty() {
                break;
            }
            left.retain(|id, _| !free.contains(id));
            left.values_mut().for_each(|needs| needs.retain(|id| !free.contains(id)));
        }
        // What is left waits for a ring or is one; only the rings themselves are told.
        loop {
            let needed: BTreeSet<&AppId> = left.values().flatten().copied().collect();
            let before = left.len();
            left.retain(|id, _| needed.contains(id));
            if left.len() == before {
                break;
            }
        }
        let names: Vec<&str> = left.keys().map(|id| id.as_str()).collect();
        if let Some(first) = left.keys().next().map(|id| (*id).clone()) {
            let message = format!("the apps {} need each other", names.join(", "));
            let problem = Rule::RequiresCycle.problem("requires", message, "make one of them optional");
            self.say(&first, problem);
        }
    }

    fn ports(&mut self) {
        type Taken<'m> = (&'m Manifest, String, Option<IpAddr>);
        let mut taken: BTreeMap<(u32, Protocol), Vec<Taken<'m>>> = BTreeMap::new();
        for app in self.apps.values().copied().collect::<Vec<_>>() {
            for (name, service) in &app.services {
                for (i, port) in service.ports.iter().enumerate() {
                    let ip: Option<IpAddr> =
                        port.host_ip.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
                    let others = taken.entry((port.published, port.protocol)).or_default();
                    let meets = |other: Option<IpAddr>| other.is_none() || ip.is_none() || other == ip;
                    let clash =
                        others.iter().find(|(m, _, other)| m.id != app.id && !apart(m, app) && meets(*other));
                    let field = format!("services.{name}.ports[{i}].published");
                    if let Some((other, place, _)) = clash {
                        let message = format!("port {} is {place} of {} too", port.published, other.id);
                        let remedy = "publish another port, or name the app under conflicts";
                        let problem = Rule::PortClash.problem(&field, message, remedy);
                        self.problems.push((app.id.clone(), problem));
                    }
                    others.push((app, field, ip));
                }
            }
        }
    }

    /// Also what only looks like two names: service `b-c` of app `a`, and service `c` of app `a-b`.
    fn names(&mut self) {
        let mut taken: BTreeMap<String, &'m Manifest> = BTreeMap::new();
        for app in self.apps.values().copied().collect::<Vec<_>>() {
            for service in app.services.keys() {
                let name = app.container_name(service);
                let other = taken.get(&name).copied().filter(|m| m.id != app.id && !apart(m, app));
                if let Some(other) = other {
                    let message = format!("a container of {} is called {name}, too", other.id);
                    let field = format!("services.{service}.container_name");
                    let remedy = "give it another container_name, or name the app under conflicts";
                    let problem = Rule::NameClash.problem(&field, message, remedy);
                    self.say(&app.id, problem);
                }
                taken.insert(name, app);
            }
        }
    }

    /// Names on networks that apps share: asked for one of two, the engine answers with both.
    fn aliases(&mut self) {
        let mut taken: BTreeMap<(&'m str, String), &'m Manifest> = BTreeMap::new();
        for app in self.apps.values().copied().collect::<Vec<_>>() {
            for (name, service) in &app.services {
                let shared = service.networks.iter().filter(|(network, _)| {
                    app.networks.get(*network).copied().flatten().is_some_and(|network| network.external)
                });
                for (network, place) in shared {
                    let aliases = place.iter().flat_map(|place| place.aliases.iter().cloned());
                    for alias in aliases.chain([name.to_string(), app.container_name(name)]) {
                        let key = (network.as_str(), alias.clone());
                        let other = taken.get(&key).copied().filter(|m| m.id != app.id && !apart(m, app));
                        if let Some(other) = other {
                            let message = format!("{} answers to {alias} on {network}, too", other.id);
                            let field = format!("services.{name}.networks.{network}");
                            let remedy = "rename the service or the alias, or name the app under conflicts";
                            self.say(&app.id, Rule::AliasClash.problem(&field, message, remedy));
                        }
                        taken.entry(key).or_insert(app);
                    }
                }
            }
        }
    }
}
