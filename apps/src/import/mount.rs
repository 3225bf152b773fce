//! Volumes, secrets and files of a service.

use super::{Convention, Work, named, text_of};
use serde_yaml::{Mapping, Value};

/// Files of the host that containers are given for the time of day.
const CLOCK: &[&str] = &["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"];

impl Work<'_> {
    pub(super) fn volumes(&mut self, at: &str, value: &Value, tmpfs: &mut Vec<Value>) -> Value {
        let Value::Sequence(list) = value else {
            self.refuse(at, "volumes are a list");
            return Value::Null;
        };
        let mut volumes = Vec::new();
        for (i, one) in list.iter().enumerate() {
            let at = format!("{at}[{i}]");
            let volume = match one {
                Value::Mapping(map) => self.long_volume(&at, map, tmpfs),
                other => self.short_volume(&at, &text_of(other).unwrap_or_default()),
            };
            volumes.extend(volume.map(Value::from));
        }
        volumes.into()
    }

    fn short_volume(&mut self, at: &str, text: &str) -> Option<Mapping> {
        let mut parts = text.split(':');
        let (source, target, options) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(source), Some(target), options, None) => (source, target, options.unwrap_or_default()),
            (Some(target), None, ..) if target.starts_with('/') => {
                self.refuse(at, "a volume without a name is new at every start; give it one");
                return None;
            }
            _ => {
                self.refuse(at, "this is no volume");
                return None;
            }
        };
        let mut volume = self.source(at, source)?;
        volume.insert("target".into(), target.trim_end_matches('/').into());
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => drop(volume.insert("read_only".into(), true.into())),
                "rw" => {}
                "U" => drop(volume.insert("chown".into(), true.into())),
                "z" | "Z" => self.dropped(at, "labels of SELinux are the engine's to set"),
                other => self.refuse(at, format!("the option {other} changes how the host is seen")),
            }
        }
        Some(volume)
    }

    fn long_volume(&mut self, at: &str, map: &Mapping, tmpfs: &mut Vec<Value>) -> Option<Mapping> {
        let text = |key: &str| map.get(key).and_then(text_of).unwrap_or_default();
        let known = ["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];
        self.known_keys(at, map, &known);
        for key in ["bind", "volume", "tmpfs", "consistency"] {
            if map.contains_key(key) {
                self.dropped(&format!("{at}.{key}"), "how the engine mounts it is the engine's to say");
            }
        }
        match text("type").as_str() {
            "tmpfs" => {
                tmpfs.push(text("target").into());
                return None;
            }
            "volume" | "bind" => {}
            other => {
                self.refuse(at, format!("a mount of the kind {other:?} is not known"));
                return None;
            }
        }
        let source = text("source");
        if source.is_empty() {
            self.refuse(at, "a volume without a name is new at every start; give it one");
            return None;
        }
        let mut volume = self.source(at, &source)?;
        volume.insert("target".into(), text("target").into());
        if map.get("read_only") == Some(&Value::Bool(true)) {
            volume.insert("read_only".into(), true.into());
        }
        if let Some(own) = map.get("x-archipelago").and_then(Value::as_mapping) {
            volume.extend(own.clone());
        }
        Some(volume)
    }

    /// A named volume, or a folder of the app's own.
    fn source(&mut self, at: &str, source: &str) -> Option<Mapping> {
        let mut volume = Mapping::new();
        let data = format!("/DATA/AppData/{}/", self.source.id);
        let inside = source.strip_prefix("./").or_else(|| match self.convention {
            Convention::CasaOs => source.strip_prefix(data.as_str()),
            _ => None,
        });
        if let Some(path) = inside {
            volume.insert("type".into(), "bind".into());
            volume.insert("source".into(), path.trim_end_matches('/').into());
            if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
                self.changed(
                    at,
                    "a file beside the compose file has to be put into the app's data folder by hand",
                );
            }
            return Some(volume);
        }
        if CLOCK.iter().any(|clock| source.starts_with(clock)) {
            self.dropped(at, "the clock of the host; set the variable TZ instead");
            return None;
        }
        if self.convention == Convention::CasaOs && source.starts_with("/DATA/") {
            let path = source.trim_start_matches("/DATA/").trim_end_matches('/').to_ascii_lowercase();
            self.changed(at, format!("{source} of that platform becomes the folder {path} of the app's own"));
            volume.insert("type".into(), "bind".into());
            volume.insert("source".into(), path.into());
            return Some(volume);
        }
        if source.starts_with(['/', '~', '.']) || source.contains('/') {
            let socket = source.ends_with(".sock");
            self.refuse(
                at,
                match socket {
                    true => "the socket of a program of the host is refused by policy".to_owned(),
                    false => format!(
                        "{source} is not within the app's own folder; use ./{}",
                        source.trim_start_matches(['/', '~', '.'])
                    ),
                },
            );
            return None;
        }
        let (name, changed) = named(source);
        if changed {
            self.changed(at, format!("the volume {source} is called {name}"));
        }
        self.volumes.insert(name.clone());
        volume.insert("type".into(), "volume".into());
        volume.insert("source".into(), name.into());
        Some(volume)
    }

    /// Secrets or files of a service.
    pub(super) fn given(&mut self, at: &str, value: &Value, declared: &[String]) -> Value {
        let Value::Sequence(list) = value else {
            self.refuse(at, "this is a list");
            return Value::Null;
        };
        let mut given: Vec<Value> = Vec::new();
        for (i, one) in list.iter().enumerate() {
            let at = format!("{at}[{i}]");
            let mut map = match one {
                Value::Mapping(map) => map.clone(),
                other => [("source".into(), text_of(other).unwrap_or_default().into())].into_iter().collect(),
            };
            for key in ["uid", "gid", "mode"] {
                if map.remove(key).is_some() {
                    self.dropped(
                        &format!("{at}.{key}"),
                        "it belongs to the container's user and is readable by that one alone",
                    );
                }
            }
            if let Some(Value::Mapping(own)) = map.remove("x-archipelago") {
                map.extend(own);
            }
            let source = map.get("source").and_then(text_of).unwrap_or_default();
            if !declared.contains(&source) {
                self.refuse(&at, format!("{source} is not declared"));
            }
            let (name, _) = named(&source);
            if name != source && !map.contains_key("target") {
                map.insert("target".into(), source.into());
            }
            map.insert("source".into(), name.into());
            given.push(map.into());
        }
        given.into()
    }
}
