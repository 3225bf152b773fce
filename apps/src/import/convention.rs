//! What the stores do beyond compose.

use super::{Source, read};
use crate::yaml::{Node, Value};

/// Whose conventions a file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Nobody's: plain compose.
    Compose,
    /// Umbrel: `umbrel-app.yml` beside it, a service `app_proxy`, `${APP_DATA_DIR}`.
    Umbrel,
    /// CasaOS: `x-casaos`, data under `/DATA`.
    CasaOs,
    /// Runtipi: `config.json` beside it, labels of a proxy, or services in a list.
    Runtipi,
}

impl Convention {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Umbrel => "umbrel",
            Self::CasaOs => "casaos",
            Self::Runtipi => "runtipi",
        }
    }

    /// The variables that its platform sets. The app's folder is `.`, as in plain compose.
    pub(super) fn variables(self, source: &Source<'_>) -> Vec<(&'static str, String)> {
        let id = source.id.to_owned();
        let owner = || {
            [("PUID", "1000"), ("PGID", "1000"), ("TZ", "Etc/UTC")]
                .map(|(key, value)| (key, value.to_owned()))
        };
        match self {
            Self::Compose => Vec::new(),
            Self::Umbrel => vec![
                ("APP_DATA_DIR", ".".into()),
                ("APP_ID", id),
                ("DEVICE_DOMAIN_NAME", "{{HOST_MDNS}}".into()),
                ("DEVICE_HOSTNAME", "{{HOST_MDNS}}".into()),
                ("APP_DOMAIN", "{{HOST_MDNS}}".into()),
            ],
            Self::CasaOs => [("AppID", id)].into_iter().chain(owner()).collect(),
            Self::Runtipi => {
                let port = field(source, "config.json", "port");
                let own = [
                    ("APP_DATA_DIR", ".".to_owned()),
                    ("APP_ID", id),
                    ("ROOT_FOLDER_HOST", ".".to_owned()),
                    ("RUNTIPI_MEDIA_PATH", "./media".to_owned()),
                    ("INTERNAL_IP", "{{HOST_IP}}".to_owned()),
                    ("NETWORK_INTERFACE", "0.0.0.0".to_owned()),
                ];
                own.into_iter().chain(owner()).chain(port.map(|port| ("APP_PORT", port))).collect()
            }
        }
    }
}

/// A text or number at the top of a file beside.
pub(super) fn field(source: &Source<'_>, file: &str, key: &str) -> Option<String> {
    let root = read::read(source.beside.get(file)?).ok()?;
    match &root.value_at(key)?.value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        // Runtipi has a list of categories, of which the first is the one.
        Value::Seq(items) => match &items.first()?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Texts of a list at the top of a file beside.
pub(super) fn list(source: &Source<'_>, file: &str, key: &str) -> Vec<String> {
    let root = source.beside.get(file).and_then(|text| read::read(text).ok());
    let items = root.as_ref().and_then(|root| match &root.value_at(key)?.value {
        Value::Seq(items) => Some(items.clone()),
        _ => None,
    });
    let text = |node: Node| match node.value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    items.unwrap_or_default().into_iter().filter_map(text).collect()
}

pub(super) fn detect(root: &Node, source: &Source<'_>) -> Convention {
    let services = root.value_at("services").map(|node| &node.value);
    let service =
        |name: &str| matches!(services, Some(Value::Map(entries)) if entries.iter().any(|e| e.key == name));
    let has = |key: &str| root.value_at(key).is_some();
    if source.beside.contains_key("umbrel-app.yml") || service("app_proxy") {
        Convention::Umbrel
    } else if has("x-casaos") {
        Convention::CasaOs
    } else if source.beside.contains_key("config.json")
        || matches!(services, Some(Value::Seq(_)))
        || has("x-runtipi")
        || root.value_at("networks.tipi_main_network").is_some()
    {
        Convention::Runtipi
    } else {
        Convention::Compose
    }
}
