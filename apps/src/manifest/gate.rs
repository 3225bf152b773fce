//! Gates: conditions that an app exports and others wait for.

use super::form::Scalar;
use super::{Exec, HttpGet, Name, TcpSocket};
use crate::value::Span;
use protocol::ServiceName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::time::Duration;

/// A condition that this app exports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// For people, for instance "blockchain synchronized".
    pub title: Option<String>,
    /// The service that is asked; needed where the app has more than one.
    #[schemars(with = "Option<Name>")]
    pub service: Option<ServiceName>,
    /// How it is asked.
    pub probe: GateProbe,
    /// When it is open: one condition on the answer or several that must all hold; without any, when the probe
    /// succeeds.
    #[serde(default, deserialize_with = "conditions")]
    #[schemars(with = "Conditions")]
    pub ready: Vec<Ready>,
    /// Pointer to the progress in the answer, a number from 0 to 1. It is shown, it never opens the gate.
    pub progress: Option<Pointer>,
    /// What is counted on the way, for instance blocks; its pace says how long it still takes.
    pub count: Option<Count>,
    /// When it can never open as the app is set up now: then nothing that waits for it is installed.
    pub impossible: Option<Impossible>,
    /// Pointers to what people are shown beside it, for instance the number of blocks.
    #[serde(default, deserialize_with = "pointers")]
    #[schemars(with = "Pointers")]
    pub detail: Vec<Pointer>,
    /// Time between two questions.
    #[serde(default = "fifteen_seconds")]
    pub interval: Span,
    /// Longest time for one.
    #[serde(default = "one_minute")]
    pub timeout: Span,
    /// Time without progress after which it counts as stalled.
    pub stalled_after: Option<Span>,
    /// What an unanswered question means.
    #[serde(default)]
    pub failure: GateFailure,
    /// Whether those that wait may be started anyway.
    #[serde(default)]
    pub skippable: bool,
}

fn fifteen_seconds() -> Span {
    Span(Duration::from_secs(15))
}
fn one_minute() -> Span {
    Span(Duration::from_secs(60))
}

/// What is counted on the way to a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// Pointer to how far it has come.
    pub current: Pointer,
    /// Pointer to how far it has to come, as far as is known.
    pub target: Option<Pointer>,
    /// What it is, in the plural.
    pub unit: String,
}

/// An answer that says that the gate cannot open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impossible {
    /// The condition on the answer.
    pub when: Ready,
    /// Why it cannot open, for people.
    pub reason: String,
    /// The way out, for people.
    pub remedy: String,
}

/// What an unanswered question means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateFailure {
    /// Nothing: the gate stays as it was and is shown as unreachable. For programs that are too busy to answer.
    #[default]
    Unknown,
    /// The gate closes.
    Closed,
}

/// How a gate is asked: exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateProbe {
    /// A call over HTTP; `result` of its answer is what the pointers point into.
    pub json_rpc: Option<JsonRpc>,
    /// A request; its answer is read as JSON where a pointer is given.
    pub http_get: Option<HttpGet>,
    /// A connection; it has no answer to point into.
    pub tcp_socket: Option<TcpSocket>,
    /// A command in the container; what it prints is read as JSON where a pointer is given.
    pub exec: Option<Exec>,
    /// How the node says who it is.
    pub auth: Option<Auth>,
}

/// A JSON-RPC call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonRpc {
    /// A published port of the service, by its name or by its number in the container.
    #[serde(deserialize_with = "port_label")]
    #[schemars(with = "Scalar")]
    pub port: String,
    /// Method.
    pub method: String,
    /// Parameters by position.
    #[serde(default)]
    pub params: Vec<Value>,
    /// Path.
    #[serde(default = "super::probe::slash")]
    pub path: String,
    /// Codes of errors that say that the program is still starting: that is no failure.
    #[serde(default)]
    pub warming_up: Vec<i64>,
}

fn port_label<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Scalar::deserialize(from).map(|scalar| scalar.0)
}

/// How the node says who it is. The secret itself never stands in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// User of basic authentication; without one the secret is a bearer token.
    pub username: Option<String>,
    /// Name of a declared secret.
    pub secret: String,
}

/// A condition on the answer: `pointer` and exactly one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Where to look in the answer.
    pub pointer: Pointer,
    /// It is this.
    pub equals: Option<Value>,
    /// It is there and is not this.
    pub not_equals: Option<Value>,
    /// It is a number not below this.
    pub at_least: Option<f64>,
    /// It is a number not above this.
    pub at_most: Option<f64>,
    /// Whether it is there at all.
    pub exists: Option<bool>,
}

impl Gate {
    /// How it is asked, in the manifest's word.
    pub fn kind(&self) -> &'static str {
        let probe = &self.probe;
        if probe.json_rpc.is_some() {
            "jsonRpc"
        } else if probe.http_get.is_some() {
            "httpGet"
        } else if probe.tcp_socket.is_some() {
            "tcpSocket"
        } else {
            "exec"
        }
    }

    /// Whether its answers are looked into.
    pub fn reads_answers(&self) -> bool {
        let shows = self.progress.is_some() || self.count.is_some() || !self.detail.is_empty();
        shows || self.impossible.is_some() || !self.ready.is_empty()
    }
}

impl Ready {
    /// How many comparisons are given; one is right.
    pub(crate) fn comparisons(&self) -> usize {
        let given = [
            self.equals.is_some(),
            self.not_equals.is_some(),
            self.at_least.is_some(),
            self.at_most.is_some(),
            self.exists.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }

    /// Whether the condition holds for an answer.
    pub fn holds(&self, answer: &Value) -> bool {
        let found = answer.pointer(&self.pointer.0);
        let number = found.and_then(Value::as_f64);
        self.equals.as_ref().is_none_or(|wanted| found == Some(wanted))
            && self.not_equals.as_ref().is_none_or(|other| found.is_some_and(|found| found != other))
            && self.at_least.is_none_or(|least| number.is_some_and(|number| number >= least))
            && self.at_most.is_none_or(|most| number.is_some_and(|number| number <= most))
            && self.exists.is_none_or(|wanted| found.is_some() == wanted)
    }
}

/// One condition, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Conditions {
    One(Box<Ready>),
    Many(Vec<Ready>),
}

fn conditions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Ready>, D::Error> {
    Ok(match Conditions::deserialize(from)? {
        Conditions::One(one) => vec![*one],
        Conditions::Many(many) => many,
    })
}

/// One pointer, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Pointers {
    One(Pointer),
    Many(Vec<Pointer>),
}

fn pointers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pointer>, D::Error> {
    Ok(match Pointers::deserialize(from)? {
        Pointers::One(one) => vec![one],
        Pointers::Many(many) => many,
    })
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer(pub String);

impl TryFrom<String> for Pointer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut escapes = text.split('~').skip(1);
        let whole = text.is_empty() || text.starts_with('/');
        if whole && escapes.all(|rest| rest.starts_with(['0', '1'])) {
            return Ok(Self(text));
        }
        Err(super::form::wrong(format!("{text:?} is no JSON pointer"), "write it like /result/blocks"))
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}
