//! Probes, in Kubernetes' words, run by the node; and compose's healthcheck, which becomes one.

use super::form::{Scalar, Words, number, split, words, wrong};
use crate::value::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Probes, run by the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Probes {
    /// Whether the container has come up: the others wait for its first success.
    pub startup: Option<Probe>,
    /// Whether the container can do its work.
    pub readiness: Option<Probe>,
    /// Whether a restart is the only way out.
    pub liveness: Option<Probe>,
}

/// A probe: exactly one of `httpGet`, `tcpSocket` and `exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Succeeds on a status from 200 to 399.
    pub http_get: Option<HttpGet>,
    /// Succeeds when a connection is accepted.
    pub tcp_socket: Option<TcpSocket>,
    /// Succeeds when the command ends with 0.
    pub exec: Option<Exec>,
    /// Time before the first probe.
    #[serde(default)]
    pub initial_delay_seconds: u32,
    /// Time between two probes.
    #[serde(default = "two_seconds")]
    pub period_seconds: u32,
    /// Longest time for one probe.
    #[serde(default = "five_seconds")]
    pub timeout_seconds: u32,
    /// Failures in a row that make a ready container not ready.
    #[serde(default = "three")]
    pub failure_threshold: u32,
    /// Successes in a row that make it ready again.
    #[serde(default = "once")]
    pub success_threshold: u32,
}

fn two_seconds() -> u32 {
    2
}
fn five_seconds() -> u32 {
    5
}
fn three() -> u32 {
    3
}
fn once() -> u32 {
    1
}

/// Reads a port by its name, or by its number in the container.
fn port_label<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Scalar::deserialize(from).map(|scalar| scalar.0)
}

/// Scheme of an interface or a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Request through a published port of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpGet {
    /// Path.
    #[serde(default = "slash")]
    pub path: String,
    /// A published port of this service, by its name or by its number in the container.
    #[serde(deserialize_with = "port_label")]
    #[schemars(with = "Scalar")]
    pub port: String,
    /// With or without TLS; a certificate is not checked, as it is the app's own.
    #[serde(default)]
    pub scheme: Scheme,
}

pub(super) fn slash() -> String {
    "/".into()
}

/// Connection to a published port of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSocket {
    /// A published port of this service, by its name or by its number in the container.
    #[serde(deserialize_with = "port_label")]
    #[schemars(with = "Scalar")]
    pub port: String,
}

/// Command inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// Program and arguments; no shell.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub command: Vec<String>,
}

/// Compose's healthcheck. It stands for an exec probe of readiness where `probes` gives none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Healthcheck {
    /// `[CMD, program, ...]`, `[CMD-SHELL, text]`, `[NONE]`, or a text for the image's shell.
    pub test: Option<Test>,
    /// Time between two checks; default 30s.
    pub interval: Option<Span>,
    /// Longest time for one; default 30s.
    pub timeout: Option<Span>,
    /// Failures in a row that count; default 3.
    pub retries: Option<u32>,
    /// Time in which failures do not count.
    pub start_period: Option<Span>,
    /// Time between two checks within `start_period`; default 5s.
    pub start_interval: Option<Span>,
    /// Whether there is no check, whatever the image says.
    pub disable: bool,
}

/// What a healthcheck runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Test {
    /// A text for `/bin/sh -c`.
    Shell(String),
    /// `[CMD, program, ...]`, `[CMD-SHELL, text]` or `[NONE]`.
    Words(Vec<String>),
}

impl Test {
    /// The command, or none where there is no check, or what is wrong with it.
    pub(crate) fn command(&self) -> Result<Option<Vec<String>>, &'static str> {
        let shell = |text: &String| vec!["/bin/sh".into(), "-c".into(), text.clone()];
        match self {
            Self::Shell(text) => Ok(Some(shell(text))),
            Self::Words(words) => match words.split_first().map(|(kind, rest)| (kind.as_str(), rest)) {
                Some(("NONE", [])) => Ok(None),
                Some(("CMD", rest)) if !rest.is_empty() => Ok(Some(rest.to_vec())),
                Some(("CMD-SHELL", [text])) => Ok(Some(shell(text))),
                _ => Err("the list begins with none of CMD, CMD-SHELL and NONE, or has nothing behind it"),
            },
        }
    }

    /// Whether it needs a shell in the image.
    pub(crate) fn needs_shell(&self) -> bool {
        match self {
            Self::Shell(_) => true,
            Self::Words(words) => words.first().is_some_and(|kind| kind == "CMD-SHELL"),
        }
    }
}

impl Healthcheck {
    /// The probe that it stands for.
    pub fn probe(&self) -> Option<Probe> {
        if self.disable {
            return None;
        }
        let command = self.test.as_ref()?.command().ok()??;
        let seconds = |span: Option<Span>| {
            span.map_or(30, |span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX).max(1))
        };
        let (period_seconds, failure_threshold) = (seconds(self.interval), self.retries.unwrap_or(3).max(1));
        Some(Probe {
            http_get: None,
            tcp_socket: None,
            exec: Some(Exec { command }),
            initial_delay_seconds: 0,
            period_seconds,
            timeout_seconds: seconds(self.timeout),
            failure_threshold,
            success_threshold: 1,
        })
    }
}

/// A command that compose runs at a point of a container's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LifecycleHook {
    /// Program and arguments; no shell.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub command: Vec<String>,
    /// User that runs it; default the container's.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Refused by policy.
    #[serde(default)]
    pub privileged: bool,
}

/// Limits of one kind of resource of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ulimit {
    /// What a process may use.
    pub soft: u64,
    /// To what it may raise that.
    pub hard: u64,
}

impl super::form::Short for Ulimit {
    const FORMAT: &'static str = "ulimit";
    fn short(text: &str) -> Result<Self, String> {
        let value = number(text, "number", "write one number, or {soft: 1024, hard: 4096}")?;
        Ok(Self { soft: value, hard: value })
    }
}

/// Checks a command that is given as a text; for the schema's `command` format.
pub(crate) fn check_command(text: &str) -> Result<(), String> {
    match split(text)?.is_empty() {
        true => Err(wrong("the command is empty", "name a program")),
        false => Ok(()),
    }
}
