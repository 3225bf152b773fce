//! The journal: what happened on the node, appended and never changed.

use crate::{AppId, OpId};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Severity {
    /// As it should be.
    Info,
    /// Something failed and was mended, or is being mended.
    Warning,
    /// Somebody must look.
    Error,
}

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum EventActor {
    /// Somebody who is logged in, or a script with a token.
    User,
    /// The supervision tree.
    Supervisor,
    /// A gate that opened, closed or got stuck.
    Gate,
    /// The node itself.
    Node,
}

/// One entry of the stream `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Event {
    /// Number in the journal, beginning at 1; it goes on over restarts of the node.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// When it happened.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
    /// How much it matters.
    pub severity: Severity,
    /// Who caused it.
    pub actor: EventActor,
    /// Machine-readable kind, for instance `child_restarted`.
    pub kind: String,
    /// The app that it is about.
    pub app: Option<AppId>,
    /// What it is about within the app or the node: a path of the tree, a gate, an address.
    pub subject: Option<String>,
    /// The operation that it belongs to.
    pub op: Option<OpId>,
    /// In words for people.
    pub message: String,
    /// Why, the nearest cause first.
    pub cause: Vec<String>,
    /// How many further events of this cause were left out before this one, because they came too fast.
    #[cfg_attr(test, ts(type = "number"))]
    pub suppressed: u64,
}

/// One entry of a stream `logs:<app>/<service>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct LogEntry {
    /// Number of the line since the subscription, beginning at 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// Whether it came from standard error; absent where that is not known.
    pub stderr: Option<bool>,
    /// The line without its end.
    pub line: String,
}

/// An entry of a journal; which one follows from the frame's `stream`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Entry {
    /// Of `events`.
    Event(Box<Event>),
    /// Of `logs:<app>/<service>`.
    Log(LogEntry),
}

impl Entry {
    /// The entry's number in its stream.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Event(event) => event.seq,
            Self::Log(line) => line.seq,
        }
    }
}

/// A page of the journal, newest first: `GET /api/v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct EventPage {
    /// Events, newest first.
    pub items: Vec<Event>,
    /// `before` of the next page; absent at the journal's beginning.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub next: Option<u64>,
}
