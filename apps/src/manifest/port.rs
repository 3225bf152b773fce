//! Published ports.

use super::form::{Short, number, wrong};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Transport protocol.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As compose writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A published port; in short `[host_ip:]published:target[/protocol]`.
///
/// Numbers are wider than a port, so that a wrong one is told apart from a wrong type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Port in the container.
    pub target: u32,
    /// Port on the host.
    pub published: u32,
    /// Protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Address on the host; default all.
    #[serde(default)]
    pub host_ip: String,
    /// Name, for probes and interfaces.
    #[schemars(with = "Option<super::Name>")]
    pub name: Option<String>,
    /// What is spoken on it, for instance `http`.
    pub app_protocol: Option<String>,
}

impl Port {
    /// Its name, or its number in the container where it has none.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.target.to_string())
    }

    /// Whether a probe or an interface means this port by the given name or number.
    pub fn answers_to(&self, label: &str) -> bool {
        self.name.as_deref() == Some(label) || self.target.to_string() == label
    }
}

const REMEDY: &str = "write it like \"8080:80\" or \"127.0.0.1:8080:80/udp\"; one entry per port, no ranges";

impl Short for Port {
    const FORMAT: &'static str = "port";
    fn short(text: &str) -> Result<Self, String> {
        let (rest, protocol) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Protocol::Tcp),
            Some((rest, "udp")) => (rest, Protocol::Udp),
            Some((_, other)) => return Err(wrong(format!("{other:?} is no protocol"), "use tcp or udp")),
        };
        let (rest, target) = rest
            .rsplit_once(':')
            .ok_or_else(|| wrong(format!("{text:?} does not say which port of the host it takes"), REMEDY))?;
        let (host_ip, published) = rest.rsplit_once(':').unwrap_or(("", rest));
        Ok(Self {
            target: number(target, "port", REMEDY)?,
            published: number(published, "port", REMEDY)?,
            protocol,
            host_ip: host_ip.trim_start_matches('[').trim_end_matches(']').to_owned(),
            name: None,
            app_protocol: None,
        })
    }
}
