//! The file as a whole: who the app is, its services, and what they share.

use super::{Convention, Work, convention, key::TOP, named, text_of};
use serde_yaml::{Mapping, Value};
use std::collections::HashSet;

/// Longest chain of services that extend each other.
const MAX_EXTENDS: usize = 8;
/// Most values that services take over from those that they extend, all together.
const MAX_TAKEN: usize = 5_000;
/// Networks of the platforms' proxies.
const PLATFORM: &[&str] = &["tipi_main_network", "umbrel_main_network", "traefik", "proxy"];

impl Work<'_> {
    pub(super) fn is_platform(&self, network: &str) -> bool {
        self.convention != Convention::Compose && PLATFORM.contains(&network)
    }

    pub(super) fn top(&mut self, mut whole: Mapping) -> Mapping {
        let mut manifest = match whole.remove("x-archipelago") {
            Some(Value::Mapping(own)) => own,
            _ => Mapping::new(),
        };
        let given = whole.get("name").and_then(text_of).unwrap_or_else(|| self.source.id.to_owned());
        let store = match self.convention {
            Convention::Umbrel => convention::field(self.source, "umbrel-app.yml", "id"),
            Convention::Runtipi => convention::field(self.source, "config.json", "id"),
            _ => None,
        };
        let given = store.unwrap_or(given);
        let (id, changed) = named(&given);
        if changed && !given.is_empty() {
            self.changed("name", format!("the app is called {id}"));
        }
        let id = if id.is_empty() { "app".to_owned() } else { id };
        for key in whole.keys() {
            let key = key.as_str().unwrap_or_default();
            match TOP.iter().find(|(name, ..)| *name == key) {
                Some((_, true, why)) => self.dropped(key, *why),
                Some((_, false, why)) => self.refuse(key, *why),
                None if matches!(
                    key,
                    "name" | "services" | "volumes" | "networks" | "secrets" | "configs" | "x-casaos"
                ) => {}
                // Parts that are used elsewhere by their anchors stand under such keys.
                None if key.starts_with("x-") => {}
                None => self.refuse(key, "this key is not known to compose"),
            }
        }
        let mut services = self.services(&whole);
        let declared = (keys(&whole, "secrets"), keys(&whole, "configs"));
        self.shared(&whole);
        self.rename(&services, &id);
        let mut rendered = Mapping::new();
        let mut proxy = None;
        for (name, service) in services.iter_mut() {
            let (Some(name), Value::Mapping(service)) = (name.as_str(), service) else { continue };
            if self.convention == Convention::Umbrel && name == "app_proxy" {
                self.dropped(
                    &format!("services.{name}"),
                    "the proxy of that platform; what it leads to is the main interface",
                );
                proxy = service.get("environment").cloned();
                continue;
            }
            let at = format!("services.{name}");
            let one = self.service(&at, service, &declared);
            let name = self.renamed.get(name).cloned().unwrap_or_else(|| name.to_owned());
            rendered.insert(name.into(), one.into());
        }
        self.networks(&whole, &mut rendered);
        if !self.ours {
            self.describe(&whole, &id, &mut manifest, &rendered);
            self.interface(&whole, proxy.as_ref(), &mut manifest, &mut rendered);
        }
        manifest.insert("id".into(), id.into());
        manifest.insert("manifest_version".into(), 1.into());
        let map = |values: &std::collections::BTreeMap<String, Value>| {
            values.iter().map(|(name, value)| (Value::from(name.clone()), value.clone())).collect::<Mapping>()
        };
        let volumes: Mapping =
            self.volumes.iter().map(|name| (Value::from(name.clone()), Mapping::new().into())).collect();
        for (key, part) in [
            ("secrets", map(&self.secrets)),
            ("configs", map(&self.configs)),
            ("volumes", volumes),
            ("networks", map(&self.networks)),
            ("services", rendered),
        ] {
            if !part.is_empty() {
                manifest.insert(key.into(), part.into());
            }
        }
        manifest
    }

    /// The services by their names, with what they extend, without those of a profile.
    fn services(&mut self, whole: &Mapping) -> Mapping {
        let mut services = match whole.get("services") {
            Some(Value::Mapping(services)) => services.clone(),
            Some(Value::Sequence(list)) => list.iter().filter_map(|one| self.runtipi(one)).collect(),
            _ => {
                self.refuse("services", "there are no services");
                Mapping::new()
            }
        };
        let names: Vec<String> = services.keys().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let mut taken = 0;
        for name in &names {
            for step in 0.. {
                let Some(Value::Mapping(service)) = services.get_mut(name.as_str()) else { break };
                let Some(extends) = service.remove("extends") else { break };
                let at = format!("services.{name}.extends");
                let base = match &extends {
                    Value::Mapping(map) if map.contains_key("file") => None,
                    Value::Mapping(map) => map.get("service").and_then(text_of),
                    other => text_of(other),
                };
                let own = service.clone();
                let base = base.and_then(|base| services.get(base.as_str())?.as_mapping().cloned());
                match base {
                    Some(base) if step < MAX_EXTENDS && taken + size(&base) <= MAX_TAKEN => {
                        taken += size(&base);
                        services.insert(name.as_str().into(), over(base, own).into());
                    }
                    _ => {
                        self.refuse(&at, "only a service of the same file can be extended; write it out");
                        break;
                    }
                }
            }
        }
        services.retain(|name, service| {
            let profiles = service
                .get("profiles")
                .is_some_and(|profiles| profiles.as_sequence().is_none_or(|p| !p.is_empty()));
            if profiles {
                let at = format!("services.{}", name.as_str().unwrap_or_default());
                self.dropped(&at, "a service of a profile is not started by default");
            }
            !profiles
        });
        services
    }

    /// A service of Runtipi's list, in compose's words.
    fn runtipi(&mut self, one: &Value) -> Option<(Value, Value)> {
        let one = one.as_mapping()?;
        let name = one.get("name").and_then(text_of)?;
        let mut service = Mapping::new();
        for (key, value) in one {
            let key = key.as_str()?;
            let words = match key {
                "name" | "isMain" | "internalPort" | "addToMainNetwork" => continue,
                "dependsOn" => "depends_on",
                "healthCheck" => "healthcheck",
                "stopSignal" => "stop_signal",
                "stopGracePeriod" => "stop_grace_period",
                "shmSize" => "shm_size",
                "readOnly" => "read_only",
                "capAdd" => "cap_add",
                "networkMode" => "network_mode",
                "workingDir" => "working_dir",
                "securityOpt" => "security_opt",
                "extraHosts" => "extra_hosts",
                "extraLabels" => "labels",
                "addPorts" => "ports",
                other => other,
            };
            let value = match (words, value) {
                ("volumes", Value::Sequence(list)) => {
                    let volume = |one: &Value| {
                        let text = |key: &str| one.get(key).and_then(text_of).unwrap_or_default();
                        let mode = if one.get("readOnly") == Some(&Value::Bool(true)) { ":ro" } else { "" };
                        Value::from(format!("{}:{}{mode}", text("hostPath"), text("containerPath")))
                    };
                    list.iter().map(volume).collect::<Vec<_>>().into()
                }
                ("environment", Value::Sequence(list)) => {
                    let pair = |one: &Value| Some((one.get("key")?.clone(), one.get("value")?.clone()));
                    list.iter().filter_map(pair).collect::<Mapping>().into()
                }
                ("ports", Value::Sequence(list)) => {
                    let port = |one: &Value| {
                        let text = |key: &str| one.get(key).and_then(text_of).unwrap_or_default();
                        let protocol = if one.get("udp") == Some(&Value::Bool(true)) { "/udp" } else { "" };
                        Value::from(format!("{}:{}{protocol}", text("hostPort"), text("containerPort")))
                    };
                    list.iter().map(port).collect::<Vec<_>>().into()
                }
                _ => value.clone(),
            };
            service.insert(words.into(), value);
        }
        if one.get("isMain") == Some(&Value::Bool(true)) {
            let port = one.get("internalPort").and_then(text_of).unwrap_or_default();
            let published = self.variables.get("APP_PORT").cloned().unwrap_or_else(|| port.clone());
            let ports = service.entry("ports".into()).or_insert_with(|| Value::Sequence(Vec::new()));
            if let Value::Sequence(ports) = ports {
                ports.insert(0, format!("{published}:{port}").into());
            }
        }
        Some((name.into(), service.into()))
    }

    /// Names that a manifest cannot have. Whoever uses one as a host's name would not find it any more.
    fn rename(&mut self, services: &Mapping, id: &str) {
        let said = words(services);
        for name in services.keys().filter_map(|name| name.as_str()) {
            let (new, changed) = named(name);
            if changed && !(self.convention == Convention::Umbrel && name == "app_proxy") {
                self.changed(&format!("services.{name}"), format!("the service is called {new}"));
                if said.contains(name) {
                    let why = "the name is used by a service to find this one, and no network can have it; rename it there, too";
                    self.refuse(&format!("services.{name}"), why);
                }
            }
            self.renamed.insert(name.to_owned(), new.clone());
            if self.convention == Convention::Umbrel {
                self.renamed.insert(format!("{id}_{name}_1"), new);
            }
        }
    }

    /// What services share: volumes, secrets, files.
    fn shared(&mut self, whole: &Mapping) {
        for (name, value) in entries(whole, "volumes") {
            let at = format!("volumes.{name}");
            self.volumes.insert(named(&name).0);
            for (key, value) in value.as_mapping().into_iter().flatten() {
                let at = format!("{at}.{}", key.as_str().unwrap_or_default());
                match key.as_str() {
                    Some("external") if *value == Value::Bool(false) => {}
                    Some("external") => {
                        self.refuse(&at, "a volume belongs to its app; copy the data into it")
                    }
                    Some("driver_opts") => {
                        self.refuse(&at, "where a volume is, is the engine's to say; use a bind, ./folder")
                    }
                    Some("driver") if text_of(value).as_deref() != Some("local") => {
                        self.refuse(&at, "volumes are on this machine");
                    }
                    Some("driver") => {}
                    _ => self.dropped(&at, "the engine's name of a volume is the node's to give"),
                }
            }
        }
        for (name, value) in entries(whole, "secrets") {
            let own = value.get("x-archipelago").cloned();
            let key = named(&name).0;
            if own.is_none() {
                self.changed(&format!("secrets.{name}"), "the owner of the node gives its value");
            }
            let external: Mapping = [("external".into(), true.into())].into_iter().collect();
            self.secrets.insert(key, own.unwrap_or_else(|| external.into()));
        }
        for (name, value) in entries(whole, "configs") {
            let at = format!("configs.{name}");
            let mut config = Mapping::new();
            for (key, value) in value.as_mapping().into_iter().flatten() {
                let key = key.as_str().unwrap_or_default();
                match (key, text_of(value)) {
                    ("content", Some(text)) => drop(config.insert("content".into(), text.into())),
                    ("file", Some(path)) => {
                        drop(config.insert("file".into(), path.trim_start_matches("./").into()));
                    }
                    ("x-archipelago", _) => config.extend(value.as_mapping().cloned().unwrap_or_default()),
                    ("name", _) => self.dropped(&format!("{at}.name"), "the node names its files itself"),
                    _ => self.refuse(
                        &format!("{at}.{key}"),
                        "a file has its text under content or in a file beside it",
                    ),
                }
            }
            self.configs.insert(named(&name).0, config.into());
        }
    }

    fn networks(&mut self, whole: &Mapping, services: &mut Mapping) {
        for (name, value) in entries(whole, "networks") {
            let at = format!("networks.{name}");
            if self.is_platform(&name) {
                self.dropped(&at, "it is the network of that platform's proxy");
                continue;
            }
            let mut network = Mapping::new();
            for (key, value) in value.as_mapping().into_iter().flatten() {
                let at = format!("{at}.{}", key.as_str().unwrap_or_default());
                match key.as_str() {
                    Some("external" | "internal") => drop(network.insert(key.clone(), value.clone())),
                    Some("driver") if text_of(value).as_deref() == Some("bridge") => {}
                    Some("driver") => self.refuse(&at, "networks are bridges of this machine"),
                    Some(key) if key.starts_with("x-") => {}
                    _ => self.dropped(&at, "addresses and names of networks are the node's to give"),
                }
            }
            self.networks.insert(named(&name).0, network.into());
        }
        // Compose puts services that name no network onto one together, on which they find each other.
        let alone =
            |service: &Value| service.get("networks").is_none() && service.get("network_mode").is_none();
        let any = !self.ours && services.len() > 1 && services.values().any(alone);
        for (_, service) in services.iter_mut().filter(|(_, service)| any && alone(service)) {
            if let Value::Mapping(service) = service {
                let place: Mapping = [("default".into(), Mapping::new().into())].into_iter().collect();
                service.insert("networks".into(), place.into());
                self.networks.entry("default".into()).or_insert_with(|| Mapping::new().into());
            }
        }
        let used = |name: &str| {
            services.values().any(|one| one.get("networks").is_some_and(|all| all.get(name).is_some()))
        };
        let ours = self.ours;
        self.networks.retain(|name, _| ours || used(name));
    }
}

/// A service over the one that it extends, as compose merges them: mappings by key, lists one after the other.
fn over(base: Mapping, own: Mapping) -> Mapping {
    let mut merged = base;
    for (key, value) in own {
        let listed = !matches!(key.as_str(), Some("command" | "entrypoint"));
        match (merged.get_mut(&key), value) {
            (Some(Value::Mapping(base)), Value::Mapping(own)) => {
                *base = over(std::mem::take(base), own);
            }
            (Some(Value::Sequence(base)), Value::Sequence(own)) if listed => {
                let own: Vec<Value> = own.into_iter().filter(|one| !base.contains(one)).collect();
                base.extend(own);
            }
            (_, value) => drop(merged.insert(key, value)),
        }
    }
    merged
}

fn keys(whole: &Mapping, part: &str) -> Vec<String> {
    entries(whole, part).into_iter().map(|(name, _)| name).collect()
}

fn entries(whole: &Mapping, part: &str) -> Vec<(String, Value)> {
    let map = whole.get(part).and_then(Value::as_mapping);
    map.into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone())))
        .collect()
}

/// All words with which services could name each other.
fn words(services: &Mapping) -> HashSet<String> {
    let mut words = HashSet::new();
    let mut open: Vec<&Value> = services
        .values()
        .flat_map(|service| {
            ["environment", "command", "entrypoint"].iter().filter_map(|key| service.get(*key))
        })
        .collect();
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
                words.extend(parts.map(str::to_owned));
            }
            Value::Sequence(list) => open.extend(list),
            Value::Mapping(map) => open.extend(map.values()),
            _ => {}
        }
    }
    words
}

/// Number of values.
fn size(value: &Mapping) -> usize {
    let inner = |value: &Value| match value {
        Value::Mapping(map) => size(map),
        Value::Sequence(list) => list.len(),
        _ => 0,
    };
    value.values().map(|value| 1 + inner(value)).sum()
}
