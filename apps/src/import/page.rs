//! Who the app is, and what people open of it.

use super::{Convention, Work, convention, named, text_of};
use serde_yaml::{Mapping, Value};

impl Work<'_> {
    /// Name, version and page, from the store's own file where there is one.
    pub(super) fn describe(&mut self, whole: &Mapping, id: &str, manifest: &mut Mapping, services: &Mapping) {
        let (file, casa) = match self.convention {
            Convention::Umbrel => ("umbrel-app.yml", None),
            Convention::Runtipi => ("config.json", None),
            Convention::CasaOs => ("", whole.get("x-casaos").and_then(Value::as_mapping)),
            Convention::Compose => ("", None),
        };
        let said = |key: &str| -> Option<String> {
            let casa = casa.and_then(|casa| casa.get(key)).and_then(|value| match value {
                // Texts stand there in several languages.
                Value::Mapping(map) => map
                    .get("en_us")
                    .or_else(|| map.get("en_US"))
                    .or_else(|| map.values().next())
                    .and_then(text_of),
                other => text_of(other),
            });
            casa.or_else(|| convention::field(self.source, file, key)).filter(|text| !text.trim().is_empty())
        };
        let either = |one: &str, other: &str| said(one).or_else(|| said(other));
        let title = either("name", "title").unwrap_or_else(|| capital(id));
        let tag = services.values().find_map(|service| {
            let image = text_of(service.get("image")?)?;
            let (_, tag, _) = crate::lint::parts(&image);
            tag.map(str::to_owned)
        });
        let version = said("version").or(tag).unwrap_or_else(|| "0".into());
        let line =
            |text: String| text.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
        let page = |text: String| text.trim().chars().take(4000).collect::<String>();
        let mut metadata = Mapping::new();
        for (key, value) in [
            ("tagline", either("tagline", "short_desc").map(line)),
            ("description", said("description").map(page)),
            ("category", either("category", "categories").map(line)),
            ("website", said("website")),
            ("repo", either("repo", "source")),
            ("support", said("support")),
            ("release_notes", said("releaseNotes").map(page)),
        ] {
            let link = matches!(key, "website" | "repo" | "support");
            let opens = |text: &String| !link || text.starts_with("https://") || text.starts_with("http://");
            if let Some(value) = value.filter(opens) {
                metadata.insert(key.into(), value.into());
            }
        }
        let others = convention::list(self.source, "umbrel-app.yml", "dependencies");
        if self.convention == Convention::Umbrel && !others.is_empty() {
            self.changed(
                "",
                format!("the app needs {}; what it is told of them has to be checked", others.join(", ")),
            );
            let require = |other: String| -> Value {
                let one: Mapping = [("app".into(), named(&other).0.into())].into_iter().collect();
                one.into()
            };
            manifest.insert("requires".into(), others.into_iter().map(require).collect::<Vec<_>>().into());
        }
        manifest.insert("name".into(), title.into());
        manifest.insert("version".into(), version.into());
        if !metadata.is_empty() {
            manifest.insert("metadata".into(), metadata.into());
        }
    }

    /// What people open: what the store says, or the first port that is published, if it is the only one.
    pub(super) fn interface(
        &mut self,
        whole: &Mapping,
        proxy: Option<&Value>,
        manifest: &mut Mapping,
        services: &mut Mapping,
    ) {
        let casa = whole.get("x-casaos").and_then(Value::as_mapping);
        if let Some(proxy) = proxy {
            self.umbrel(proxy, services);
        }
        let wanted = casa.and_then(|casa| casa.get("port_map")).and_then(text_of);
        let wanted = wanted.or_else(|| self.variables.get("APP_PORT").cloned());
        let mut found: Vec<(String, Value)> = Vec::new();
        for (name, service) in services.iter() {
            for port in service.get("ports").and_then(Value::as_sequence).into_iter().flatten() {
                let tcp = port.get("protocol").is_none();
                let this = wanted.is_none() || port.get("published").and_then(text_of) == wanted;
                let label = port.get("name").or_else(|| port.get("target"));
                if let (true, true, Some(name), Some(label)) = (tcp, this, name.as_str(), label) {
                    found.push((name.to_owned(), label.clone()));
                }
            }
        }
        let [(service, port)] = found.as_slice() else {
            if !found.is_empty() {
                self.changed("", "several ports are published: say under interfaces which one people open");
            }
            return;
        };
        let mut main = Mapping::new();
        main.insert("service".into(), service.clone().into());
        main.insert("port".into(), port.clone());
        let file = if self.convention == Convention::Umbrel { "umbrel-app.yml" } else { "config.json" };
        let path = casa.and_then(|casa| casa.get("index")).and_then(text_of);
        let path = path.or_else(|| {
            convention::field(self.source, file, if file == "config.json" { "url_suffix" } else { "path" })
        });
        if let Some(path) = path.filter(|path| path.len() > 1) {
            main.insert("path".into(), format!("/{}", path.trim_start_matches('/')).into());
        }
        let interfaces: Mapping = [("main".into(), main.into())].into_iter().collect();
        manifest.insert("interfaces".into(), interfaces.into());
    }

    /// Umbrel's proxy leads to one port of one service, which is published here instead.
    fn umbrel(&mut self, proxy: &Value, services: &mut Mapping) {
        let pairs = super::pairs_of(proxy);
        let said =
            |key: &str| pairs.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.clone());
        let (Some(host), Some(port)) =
            (said("APP_HOST"), said("APP_PORT").and_then(|port| port.parse::<u32>().ok()))
        else {
            return self.refuse("services.app_proxy", "it does not say which service and port it leads to");
        };
        let name = self.renamed.get(&host).cloned().unwrap_or(host);
        let published =
            convention::field(self.source, "umbrel-app.yml", "port").and_then(|port| port.parse().ok());
        let Some(Value::Mapping(service)) = services.get_mut(name.as_str()) else {
            return self.refuse(
                "services.app_proxy",
                format!("it leads to {name}, which is no service of this file"),
            );
        };
        let ports = service.entry("ports".into()).or_insert_with(|| Value::Sequence(Vec::new()));
        let Value::Sequence(ports) = ports else { return };
        if !ports.iter().any(|one| one.get("target").and_then(Value::as_u64) == Some(port.into())) {
            let mut one = Mapping::new();
            one.insert("target".into(), port.into());
            one.insert("published".into(), published.unwrap_or(port).into());
            ports.push(one.into());
        }
        self.variables.insert("APP_PORT".into(), published.unwrap_or(port).to_string());
    }
}

/// An id as a name for people.
fn capital(id: &str) -> String {
    let mut letters = id.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
