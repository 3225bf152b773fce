//! Texts with variables of the node: `{{HOST_IP}}`, `{{HOST_MDNS}}`, `{{NETWORK_GATEWAY}}`, `{{secret:name}}`,
//! `{{config:name}}`.
//!
//! A template is read once and filled in once: what a variable stands for is never looked at again, so that a secret
//! whose value reads `{{secret:other}}` stays just that.
//! A `\{{` stands for the two braces themselves.

use protocol::ServiceName;
use std::fmt;

/// What a template may ask the node for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// The node's address in its network.
    HostIp,
    /// The node's name in its network, `something.local`.
    HostMdns,
    /// The address under which the app's containers reach the node.
    NetworkGateway,
    /// The value of a secret.
    Secret(String),
    /// The path under which a service finds a file of the manifest's `configs`.
    Config(String),
}

impl Variable {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "HOST_IP" => Some(Self::HostIp),
            "HOST_MDNS" => Some(Self::HostMdns),
            "NETWORK_GATEWAY" => Some(Self::NetworkGateway),
            _ => match text.split_once(':')? {
                (_, name) if name.parse::<ServiceName>().is_err() => None,
                ("secret", name) => Some(Self::Secret(name.to_owned())),
                ("config", name) => Some(Self::Config(name.to_owned())),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostIp => f.write_str("{{HOST_IP}}"),
            Self::HostMdns => f.write_str("{{HOST_MDNS}}"),
            Self::NetworkGateway => f.write_str("{{NETWORK_GATEWAY}}"),
            Self::Secret(name) => write!(f, "{{{{secret:{name}}}}}"),
            Self::Config(name) => write!(f, "{{{{config:{name}}}}}"),
        }
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Two braces open and none close. Remedy: close them, or write `\{{` for the braces themselves.
    #[error("{{{{ is not closed by }}}}")]
    Open,
    /// There is no such variable. Remedy: use one of those in the module's documentation.
    #[error("there is no variable {{{{{0}}}}}")]
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// When it is not well formed.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if let Some(before) = before.strip_suffix('\\') {
                parts.push(Part::Text(format!("{before}{{{{")));
                rest = after;
                continue;
            }
            let (name, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
            let name = name.trim();
            let unknown = || TemplateError::Unknown(name.chars().take(60).collect());
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Variable(Variable::parse(name).ok_or_else(unknown)?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Its variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// Whether filling it in puts a secret into the text.
    pub fn has_secret(&self) -> bool {
        self.variables().any(|variable| matches!(variable, Variable::Secret(_)))
    }

    /// Fills the template in.
    ///
    /// # Errors
    ///
    /// The first variable that nothing is known for.
    pub fn fill(&self, known: impl Fn(&Variable) -> Option<String>) -> Result<String, Variable> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(variable) => {
                    text.push_str(&known(variable).ok_or_else(|| variable.clone())?);
                }
            }
        }
        Ok(text)
    }
}
