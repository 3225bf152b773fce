//! Frames of the WebSocket, one JSON text message each.
//!
//! A client applies a delta only when `from <= have < seq`, ignores it when `seq <= have`, and subscribes anew
//! without resume when `from > have`.
//! A snapshot replaces all rows of its stream.

use crate::{Entry, Row, StreamId, StreamName};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// Version of the protocol in `hello`.
pub const PROTOCOL_VERSION: u32 = 1;

/// Value of `Sec-WebSocket-Protocol`.
pub const WS_SUBPROTOCOL: &str = "archy.v1.json";

/// Close codes of the WebSocket. After those of [`close_code::is_final`] a client does not come back by itself.
pub mod close_code {
    /// The node stops.
    pub const SHUTDOWN: u16 = 1001;
    /// A message is larger than the node takes.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// The node is being restarted.
    pub const RESTART: u16 = 1012;
    /// The client sent something that is no frame of this protocol, or too many of them.
    pub const BAD_MESSAGE: u16 = 4400;
    /// Not logged in, or the session ended.
    pub const UNAUTHENTICATED: u16 = 4401;
    /// A page of another site. The node refuses it with status 403 before there is a socket; a proxy in front of it
    /// may close with this.
    pub const FOREIGN_ORIGIN: u16 = 4403;
    /// No common version of the protocol. The node refuses it with status 400 before there is a socket; a proxy in
    /// front of it may close with this.
    pub const VERSION: u16 = 4406;
    /// No sign of life.
    pub const HEARTBEAT: u16 = 4408;
    /// More subscriptions than one connection may have.
    pub const TOO_MUCH: u16 = 4413;
    /// The client reads too slowly, or acks nothing for 30 s.
    pub const TOO_SLOW: u16 = 4429;

    /// Whether connecting again cannot help.
    pub fn is_final(code: u16) -> bool {
        matches!(code, MESSAGE_TOO_BIG | BAD_MESSAGE | UNAUTHENTICATED | FOREIGN_ORIGIN | VERSION | TOO_MUCH)
    }
}

/// Parts of the protocol that a node may lack; `hello` names those that it has.
pub mod feature {
    /// The stream `metrics` is measured.
    pub const METRICS: &str = "metrics";
    /// Streams `logs:<app>/<service>`.
    pub const LOGS: &str = "logs";
    /// The stream `events`.
    pub const EVENTS: &str = "events";
    /// The frame `tune`.
    pub const TUNE: &str = "tune";
}

/// Why a snapshot is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum SnapshotReason {
    /// The subscription had no resume.
    Initial,
    /// The cursor is older than what the node can resume from.
    Gap,
    /// The node was restarted.
    Epoch,
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum DeltaOp {
    /// The row is now this.
    Put {
        /// The row.
        v: Row,
    },
    /// The row is gone.
    Del {
        /// Its key.
        key: String,
        /// Why.
        why: String,
    },
}

/// From node to client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum ServerMsg {
    /// First frame of every connection.
    Hello {
        /// [`PROTOCOL_VERSION`].
        proto: u32,
        /// Name and version of the node's software.
        server: String,
        /// Changes with every start of the node; sequences are comparable within an epoch only.
        epoch: String,
        /// The node's clock.
        #[cfg_attr(test, ts(type = "number"))]
        now_ms: u64,
        /// How often the client should ping.
        ping_ms: u32,
        /// When the login ends at the latest; absent for tokens without an end.
        #[serde(default)]
        #[cfg_attr(test, ts(type = "number | null"))]
        session_expires_ms: Option<u64>,
        /// See [`feature`].
        #[serde(default)]
        features: Vec<String>,
    },
    /// All rows of a stream.
    Snapshot {
        /// Stream.
        stream: StreamId,
        /// Sequence that the rows are current at.
        #[cfg_attr(test, ts(type = "number"))]
        seq: u64,
        /// Why.
        reason: SnapshotReason,
        /// Number of this part, beginning at 0.
        part: u32,
        /// Whether this is the last part; only then do the rows replace the old ones.
        last: bool,
        /// Rows.
        items: Vec<Row>,
    },
    /// Rows that changed after `from`, as they are at `seq`.
    Delta {
        /// Stream.
        stream: StreamId,
        /// The client must have this sequence or a later one.
        #[cfg_attr(test, ts(type = "number"))]
        from: u64,
        /// Sequence after applying.
        #[cfg_attr(test, ts(type = "number"))]
        seq: u64,
        /// Changes.
        ops: Vec<DeltaOp>,
    },
    /// Entries of a journal after `from`, up to `seq`.
    Entries {
        /// Stream.
        #[cfg_attr(test, ts(type = "StreamName"))]
        stream: StreamName,
        /// The number before the first that this frame is about.
        #[cfg_attr(test, ts(type = "number"))]
        from: u64,
        /// The number of the last.
        #[cfg_attr(test, ts(type = "number"))]
        seq: u64,
        /// Entries, oldest first.
        items: Vec<Entry>,
        /// How many after `from` are left out, because the client was too slow or away for too long. Those of
        /// `events` are pages of `GET /api/v1/events`.
        #[cfg_attr(test, ts(type = "number"))]
        dropped: u64,
    },
    /// Sent when nothing else was for 10 s: proves that the connection is alive and the client current.
    Mark {
        /// Sequence per subscribed stream.
        #[cfg_attr(test, ts(type = "Partial<Record<StreamName, number>>"))]
        streams: std::collections::BTreeMap<StreamName, u64>,
        /// The node's clock.
        #[cfg_attr(test, ts(type = "number"))]
        now_ms: u64,
    },
    /// Answer to a ping.
    Pong {
        /// The ping's id.
        id: u32,
        /// The node's clock.
        #[cfg_attr(test, ts(type = "number"))]
        now_ms: u64,
    },
    /// The frame with this `ref` was refused; the connection stays.
    Error {
        /// `ref` of the refused frame.
        r#ref: Option<u32>,
        /// Machine-readable code.
        code: String,
        /// In words.
        message: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// Last frame before the node closes the connection.
    Bye {
        /// Close code.
        code: u16,
        /// In words.
        reason: String,
        /// Not to come back before; absent where the client may decide.
        #[serde(default)]
        #[cfg_attr(test, ts(type = "number | null"))]
        retry_after_ms: Option<u64>,
    },
}

/// Where a client wants to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Resume {
    /// Epoch of the `hello` under which `seq` was received.
    pub epoch: String,
    /// The last sequence that the client has.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
}

/// One stream to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SubStream {
    /// Stream.
    #[cfg_attr(test, ts(type = "StreamName"))]
    pub stream: StreamName,
    /// Absent: send a snapshot, or the last entries of a journal. A log cannot be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub resume: Option<Resume>,
    /// Of a journal: how many past entries to begin with; 200 without it, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub tail: Option<u32>,
}

impl SubStream {
    /// From the beginning.
    pub fn new(stream: impl Into<StreamName>) -> Self {
        Self { stream: stream.into(), resume: None, tail: None }
    }
}

/// From client to node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum ClientMsg {
    /// Subscribe; a stream that is subscribed already starts anew.
    Sub {
        /// Comes back in an `error`.
        r#ref: u32,
        /// Streams.
        streams: Vec<SubStream>,
    },
    /// Unsubscribe.
    Unsub {
        /// Streams.
        #[cfg_attr(test, ts(type = "StreamName[]"))]
        streams: Vec<StreamName>,
    },
    /// The frame with this sequence was painted. The node sends the next delta only after it.
    Ack {
        /// Stream.
        #[cfg_attr(test, ts(type = "StreamName"))]
        stream: StreamName,
        /// Sequence.
        #[cfg_attr(test, ts(type = "number"))]
        seq: u64,
    },
    /// Send this stream less often, as to a page that nobody sees; 0 takes it back.
    Tune {
        /// A stream that is subscribed.
        #[cfg_attr(test, ts(type = "StreamName"))]
        stream: StreamName,
        /// Least time between two frames of it; 60,000 at most.
        min_interval_ms: u32,
    },
    /// Sign of life.
    Ping {
        /// Comes back in the pong.
        id: u32,
    },
}
