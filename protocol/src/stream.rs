//! Streams, their names on the wire, and the rows of those that have rows.

use crate::{AppId, AppView, GateView, IdError, MetricsView, NodeView, OpView, ServiceName, TreeView};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// The streams of keyed, latest-wins rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum StreamId {
    /// Apps, keyed by app id.
    Apps,
    /// Operations, keyed by operation id.
    Ops,
    /// The supervision tree, keyed by path.
    Tree,
    /// Gates, keyed by gate id.
    Gates,
    /// Subsystems of the node.
    Node,
    /// What apps use of the machine, keyed by app id; measured only while somebody is subscribed.
    Metrics,
}

impl StreamId {
    /// All streams of rows.
    pub const ALL: [Self; 6] = [Self::Apps, Self::Ops, Self::Tree, Self::Gates, Self::Node, Self::Metrics];

    /// The stream's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Ops => "ops",
            Self::Tree => "tree",
            Self::Gates => "gates",
            Self::Node => "node",
            Self::Metrics => "metrics",
        }
    }
}

/// Any stream: one of rows, or a journal.
///
/// On the wire it is a text: `apps`, `events`, `logs:demo/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StreamName {
    /// Rows, sent as `snapshot` and `delta`.
    Rows(StreamId),
    /// The journal of the node, sent as `entries`; its sequence goes on over restarts of the node.
    Events,
    /// The log of a container, sent as `entries`; its sequence counts from the subscription.
    Logs(AppId, ServiceName),
}

impl StreamName {
    /// The type as TypeScript writes it.
    #[cfg(test)]
    pub(crate) const TYPESCRIPT: &str =
        "type StreamName = StreamId | \"events\" | `logs:${string}/${string}`;";

    /// The stream of rows, if it is one.
    pub fn rows(&self) -> Option<StreamId> {
        match self {
            Self::Rows(stream) => Some(*stream),
            Self::Events | Self::Logs(..) => None,
        }
    }
}

impl From<StreamId> for StreamName {
    fn from(stream: StreamId) -> Self {
        Self::Rows(stream)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(stream) => f.write_str(stream.as_str()),
            Self::Events => f.write_str("events"),
            Self::Logs(app, service) => write!(f, "logs:{app}/{service}"),
        }
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.to_string()
    }
}

impl FromStr for StreamName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if let Some((app, service)) = text.strip_prefix("logs:").and_then(|rest| rest.split_once('/')) {
            return Ok(Self::Logs(app.parse()?, service.parse()?));
        }
        if text == "events" {
            return Ok(Self::Events);
        }
        StreamId::ALL.into_iter().find(|id| id.as_str() == text).map(Self::Rows).ok_or_else(|| IdError {
            what: "stream",
            text: text.chars().take(100).collect(),
            rule: "use apps, ops, tree, gates, node, metrics, events or logs:<app>/<service>",
        })
    }
}

impl TryFrom<String> for StreamName {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

#[cfg(test)]
impl JsonSchema for StreamName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StreamName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Any stream: one of rows, or a journal.",
            "type": "string",
            "pattern": "^(apps|ops|tree|gates|node|metrics|events|logs:[a-z0-9-]{1,40}/[a-z0-9-]{1,40})$",
        })
    }
}

/// A row of any stream; which one follows from the frame's `stream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Row {
    /// Of `apps`.
    App(Box<AppView>),
    /// Of `ops`.
    Op(Box<OpView>),
    /// Of `tree`.
    Tree(Box<TreeView>),
    /// Of `gates`.
    Gate(Box<GateView>),
    /// Of `node`.
    Node(Box<NodeView>),
    /// Of `metrics`.
    Metrics(Box<MetricsView>),
}

impl Row {
    /// The row's key within its stream.
    pub fn key(&self) -> &str {
        match self {
            Self::App(v) => v.id.as_str(),
            Self::Op(v) => &v.id.0,
            Self::Tree(v) => &v.path,
            Self::Gate(v) => &v.id,
            Self::Node(v) => &v.key,
            Self::Metrics(v) => v.app.as_str(),
        }
    }

    /// The stream that it belongs to.
    pub fn stream(&self) -> StreamId {
        match self {
            Self::App(_) => StreamId::Apps,
            Self::Op(_) => StreamId::Ops,
            Self::Tree(_) => StreamId::Tree,
            Self::Gate(_) => StreamId::Gates,
            Self::Node(_) => StreamId::Node,
            Self::Metrics(_) => StreamId::Metrics,
        }
    }
}
