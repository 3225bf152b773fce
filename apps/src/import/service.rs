//! One service.

use super::{
    Convention, Work,
    key::{DROPPED, REFUSED, SAME, find},
    list_of, named, pairs_of, text_of,
    variable::{SECRET, lines},
};
use serde_yaml::{Mapping, Value};

/// Labels that tell a proxy or a page of another platform what to do.
const FOREIGN_LABELS: &[&str] =
    &["traefik.", "caddy", "com.docker.", "runtipi.", "homepage.", "wud.", "com.centurylinklabs."];

impl Work<'_> {
    pub(super) fn service(
        &mut self,
        at: &str,
        given: &Mapping,
        declared: &(Vec<String>, Vec<String>),
    ) -> Mapping {
        let mut service = Mapping::new();
        let mut tmpfs: Vec<Value> = Vec::new();
        if !given.contains_key("restart") && !self.ours {
            self.changed(
                at,
                "compose restarts nothing unless told to; here it is restarted whenever it ends",
            );
        }
        for (key, value) in given {
            let Some(key) = key.as_str() else { continue };
            let field = format!("{at}.{key}");
            let noted = self.notes.len();
            match key {
                _ if SAME.contains(&key) => drop(service.insert(key.into(), value.clone())),
                "cap_drop" => self.cap_drop(&field, value),
                "security_opt" => self.security_opt(&field, value, &mut service),
                "environment" => self.environment(at, value, &mut service),
                "env_file" => self.env_file(&field, value, &mut service),
                "ports" => drop(service.insert(key.into(), self.ports(&field, value))),
                "volumes" => drop(service.insert(key.into(), self.volumes(&field, value, &mut tmpfs))),
                "tmpfs" => {
                    for path in list_of(value) {
                        let (path, options) = path.split_once(':').unwrap_or((&path, ""));
                        if !options.is_empty() {
                            self.dropped(&field, "options of a tmpfs are the engine's to set");
                        }
                        tmpfs.push(path.into());
                    }
                }
                "secrets" => self.given_into(&field, value, &declared.0, "secrets", &mut service),
                "configs" => self.given_into(&field, value, &declared.1, "configs", &mut service),
                "depends_on" | "links" => self.depends_on(&field, key, value, &mut service),
                "networks" => self.service_networks(&field, value, &mut service),
                "network_mode" => self.network_mode(&field, value, &mut service),
                "healthcheck" => drop(service.insert(key.into(), value.clone())),
                "hostname" => match text_of(value).map(|name| named(&name)) {
                    Some((name, false)) => drop(service.insert(key.into(), name.into())),
                    _ => self.dropped(
                        &field,
                        "it is no name that a network can have; the service's own name is used",
                    ),
                },
                "labels" => self.labels(&field, value, &mut service),
                "devices" => self.devices(&field, value, &mut service),
                "build" => self.build(&field, value, &mut service),
                "deploy" => self.deploy(&field, value, &mut service),
                "mem_limit" => limit(&mut service, "memory", value.clone()),
                "pids_limit" => limit(&mut service, "pids", value.clone()),
                "cpus" => limit(&mut service, "cpus", value.clone()),
                "scale" if text_of(value).as_deref() == Some("1") => {}
                "scale" => self.refuse(&field, "a service is one container"),
                "profiles" => {}
                "x-archipelago" => service.extend(value.as_mapping().cloned().unwrap_or_default()),
                _ => match (find(DROPPED, key), find(REFUSED, key)) {
                    (Some(why), _) => self.dropped(&field, why),
                    (None, Some(why)) => self.refuse(&field, why),
                    (None, None) if key.starts_with("x-") => self.dropped(&field, "it is for somebody else"),
                    (None, None) => self.refuse(&field, "this key is not known to compose"),
                },
            }
            self.translated += usize::from(self.notes.len() == noted);
        }
        if !tmpfs.is_empty() {
            service.insert("tmpfs".into(), tmpfs.into());
        }
        if service.get("build").is_some() && service.remove("image").is_some() {
            self.changed(&format!("{at}.image"), "the image is built here and gets a name of the node's own");
        }
        service
    }

    fn cap_drop(&mut self, at: &str, value: &Value) {
        if list_of(value) != ["ALL"] {
            self.changed(at, "all capabilities are dropped always; name under cap_add what is needed");
        }
    }

    fn security_opt(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let own = |text: &String| text.starts_with("no-new-privileges") && !text.ends_with("false");
        let rest: Vec<Value> =
            list_of(value).into_iter().filter(|text| !own(text)).map(Value::from).collect();
        if !rest.is_empty() {
            self.refuse(at, "less confinement is refused by policy");
            service.insert("security_opt".into(), rest.into());
        }
    }

    fn environment(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let mut environment = Mapping::new();
        for (key, text) in pairs_of(value) {
            let field = format!("{at}.environment.{key}");
            match text.or_else(|| self.variables.get(&key).cloned()) {
                Some(text) if text.starts_with(SECRET) => self.secret_variable(&field, &key, &text, service),
                Some(text) => {
                    let text = self.hosts(&field, text);
                    environment.insert(key.into(), text.into());
                }
                None if matches!(value, Value::Mapping(_)) => drop(environment.insert(key.into(), "".into())),
                None => self.dropped(
                    &field,
                    "it is taken from the environment of whoever starts it; nobody does here",
                ),
            }
        }
        if !environment.is_empty() {
            service.insert("environment".into(), environment.into());
        }
    }

    /// Umbrel calls a container `<app>_<service>_1`; here it is found by its service's name.
    fn hosts(&mut self, at: &str, text: String) -> String {
        if !text.contains("_1") {
            return text;
        }
        let container = |name: &&String| self.convention == Convention::Umbrel && name.ends_with("_1");
        let names: Vec<(String, String)> = self
            .renamed
            .iter()
            .filter(|(name, _)| container(name) && text.contains(name.as_str()))
            .map(|(name, new)| (name.clone(), new.clone()))
            .collect();
        names.into_iter().fold(text, |text, (name, new)| {
            self.changed(at, format!("{name} is called {new} here"));
            text.replace(&name, &new)
        })
    }

    /// A variable whose value is a secret that the platform would have given.
    fn secret_variable(&mut self, at: &str, key: &str, text: &str, service: &mut Mapping) {
        let (name, _) = named(text.trim_start_matches(SECRET));
        let generate = "{generate: {bytes: 24, encoding: alnum}}";
        let value: Value = serde_yaml::from_str(generate).unwrap_or_default();
        self.secrets.insert(name.clone(), value);
        self.changed(at, format!("the node generates the secret {name}"));
        let one: Mapping = [("source".into(), name.into()), ("env".into(), key.into())].into_iter().collect();
        push(service, "secrets", one.into());
    }

    fn env_file(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let list = match value {
            Value::Sequence(list) => list.clone(),
            other => vec![other.clone()],
        };
        for (i, one) in list.iter().enumerate() {
            let path = one.as_mapping().map_or_else(|| text_of(one), |map| map.get("path").and_then(text_of));
            let required = one.as_mapping().and_then(|map| map.get("required")) != Some(&Value::Bool(false));
            let path = path.unwrap_or_default();
            let name = path.trim_start_matches("./");
            let Some(text) = self.source.beside.get(name) else {
                match required {
                    true => self.refuse(&format!("{at}[{i}]"), format!("the file {path} was not given")),
                    false => self.dropped(
                        &format!("{at}[{i}]"),
                        format!("the file {path} need not be there, and is not"),
                    ),
                }
                continue;
            };
            let content: String = lines(text).map(|(key, value)| format!("{key}={value}\n")).collect();
            let config = named(name).0;
            let map: Mapping =
                [("content".into(), content.replace("{{", "\\{{").into())].into_iter().collect();
            self.configs.insert(config.clone(), map.into());
            push(service, "env_file", config.into());
        }
    }

    fn given_into(&mut self, at: &str, value: &Value, declared: &[String], key: &str, service: &mut Mapping) {
        if let Value::Sequence(list) = self.given(at, value, declared) {
            list.into_iter().for_each(|one| push(service, key, one));
        }
    }

    fn depends_on(&mut self, at: &str, key: &str, value: &Value, service: &mut Mapping) {
        let mut depends = service.get("depends_on").and_then(Value::as_mapping).cloned().unwrap_or_default();
        let entries: Vec<(String, Value)> = match value {
            Value::Mapping(map) => {
                map.iter().filter_map(|(name, how)| Some((name.as_str()?.to_owned(), how.clone()))).collect()
            }
            other => list_of(other).into_iter().map(|name| (name, Value::Null)).collect(),
        };
        for (name, how) in entries {
            let (name, alias) = name.split_once(':').unwrap_or((&name, ""));
            if key == "links" && !alias.is_empty() && alias != name {
                self.refuse(
                    at,
                    format!("the name {alias} for {name} belongs under the networks of {name}, as an alias"),
                );
            }
            if self.convention == Convention::Umbrel && name == "app_proxy" {
                continue;
            }
            let name = self.renamed.get(name).cloned().unwrap_or_else(|| name.to_owned());
            let how = if how.is_null() { Mapping::new().into() } else { how };
            if key == "depends_on" || !depends.contains_key(name.as_str()) {
                depends.insert(name.into(), how);
            }
        }
        service.insert("depends_on".into(), depends.into());
    }

    fn service_networks(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let mut networks = Mapping::new();
        let entries: Vec<(String, Value)> = match value {
            Value::Mapping(map) => {
                map.iter().filter_map(|(name, how)| Some((name.as_str()?.to_owned(), how.clone()))).collect()
            }
            other => list_of(other).into_iter().map(|name| (name, Value::Null)).collect(),
        };
        for (name, how) in entries {
            if self.is_platform(&name) {
                self.dropped(&format!("{at}.{name}"), "it is the network of that platform's proxy");
                continue;
            }
            let mut place = Mapping::new();
            for (key, value) in how.as_mapping().into_iter().flatten() {
                match key.as_str() {
                    Some("aliases") => drop(place.insert(key.clone(), value.clone())),
                    Some(key) => {
                        self.dropped(&format!("{at}.{name}.{key}"), "addresses are the network's to give")
                    }
                    None => {}
                }
            }
            let name = named(&name).0;
            self.networks.entry(name.clone()).or_insert_with(|| Mapping::new().into());
            networks.insert(name.into(), place.into());
        }
        if !networks.is_empty() {
            service.insert("networks".into(), networks.into());
        }
    }

    fn network_mode(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        match text_of(value).as_deref() {
            Some("bridge") => {}
            Some("none") => drop(service.insert("network_mode".into(), "none".into())),
            Some("host") => {
                self.refuse(at, "the host's network is refused by policy; publish the ports that are needed")
            }
            _ => self.refuse(at, "the network of another container is its own alone"),
        }
    }

    fn labels(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let mut labels = Mapping::new();
        for (key, text) in pairs_of(value) {
            if FOREIGN_LABELS.iter().any(|prefix| key.starts_with(prefix)) {
                self.dropped(&format!("{at}.{key}"), "it is for a program that is not part of the app");
            } else {
                labels.insert(key.into(), text.unwrap_or_default().into());
            }
        }
        if !labels.is_empty() {
            service.insert("labels".into(), labels.into());
        }
    }

    fn devices(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        if self.convention == Convention::CasaOs && list_of(value).is_empty() {
            return self.dropped(at, "there are none");
        }
        service.insert("devices".into(), value.clone());
    }

    fn build(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        let mut build = match value {
            Value::Mapping(map) => map.clone(),
            other => [("context".into(), text_of(other).unwrap_or_default().into())].into_iter().collect(),
        };
        self.known_keys(at, &build, &["context", "dockerfile", "args"]);
        let context = build.get("context").and_then(text_of).unwrap_or_else(|| ".".into());
        let context = context.trim_start_matches("./").trim_end_matches('/');
        build.insert("context".into(), if context.is_empty() { "." } else { context }.into());
        if !build.contains_key("dockerfile") {
            build.insert("dockerfile".into(), "Dockerfile".into());
        }
        service.insert("build".into(), build.into());
    }

    fn deploy(&mut self, at: &str, value: &Value, service: &mut Mapping) {
        for (key, value) in value.as_mapping().into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            let field = format!("{at}.{key}");
            match key {
                "replicas" if text_of(value).as_deref() == Some("1") => {}
                "replicas" => self.refuse(&field, "a service is one container"),
                "mode" if text_of(value).as_deref() == Some("replicated") => {}
                "resources" => {
                    for (key, value) in value.as_mapping().into_iter().flatten() {
                        match key.as_str() {
                            Some("limits") => {
                                for (name, value) in value.as_mapping().into_iter().flatten() {
                                    limit(service, name.as_str().unwrap_or_default(), value.clone());
                                }
                            }
                            _ => self.dropped(&format!("{field}.reservations"), "a reservation is no limit"),
                        }
                    }
                }
                _ => self.dropped(&field, "it is for a swarm of machines"),
            }
        }
    }
}

/// Adds to a list of the service.
fn push(service: &mut Mapping, key: &str, one: Value) {
    match service.get_mut(key) {
        Some(Value::Sequence(list)) => list.push(one),
        _ => drop(service.insert(key.into(), vec![one].into())),
    }
}

/// Sets a limit where a manifest has it.
fn limit(service: &mut Mapping, name: &str, value: Value) {
    let mut at = service;
    for key in ["deploy", "resources", "limits"] {
        let inner = at.entry(key.into()).or_insert_with(|| Mapping::new().into());
        match inner {
            Value::Mapping(map) => at = map,
            _ => return,
        }
    }
    let value = if name == "cpus" { text_of(&value).unwrap_or_default().into() } else { value };
    at.insert(name.into(), value);
}
