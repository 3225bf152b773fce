//! Gates: conditions outside a container that apps wait for, such as a chain that has to be synced.

use crate::AppId;
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// How a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum GateState {
    /// Not looked at yet.
    Unknown,
    /// Closed, and it moves.
    Progressing,
    /// Closed, and nothing has moved for longer than it should.
    Stalled,
    /// What would open it gives no answer that says how far it is; `detail` says why.
    Unreachable,
    /// Open: who waited goes on.
    Open,
    /// It was open and is not any more.
    Lost,
}

/// One gate: the row of the stream `gates`, keyed by `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct GateView {
    /// Id, which is also the `on` of a wait: `<app>/<gate>`.
    pub id: String,
    /// The app that opens it.
    pub app: AppId,
    /// What it is about, for people.
    pub title: String,
    /// How it is asked, as the manifest names it: `jsonRpc`, `httpGet`, `tcpSocket` or `exec`.
    pub kind: String,
    /// How it is.
    pub state: GateState,
    /// Progress between 0 and 1, where it is known; below 1 until it is open.
    pub progress: Option<f64>,
    /// How far it has come, in `unit`.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub current: Option<u64>,
    /// How far it has to come, in `unit`, as far as is known now.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub target: Option<u64>,
    /// What is counted, for instance `blocks`.
    pub unit: Option<String>,
    /// How fast it moves, in `unit` per second; never from a single look.
    pub rate: Option<f64>,
    /// Seconds until it opens, at the earliest; only while it moves.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub eta_s: Option<u64>,
    /// Seconds until it opens, at the latest, as far as its pace tells; known whenever `eta_s` is.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub eta_max_s: Option<u64>,
    /// The last thing that is known, in words.
    pub detail: Option<String>,
    /// Who waits for it.
    pub waiters: Vec<AppId>,
    /// Whether the manifest lets a user start the waiters all the same.
    pub may_skip: bool,
    /// Since when it is in this state.
    #[cfg_attr(test, ts(type = "number"))]
    pub since: u64,
    /// When it was last looked at.
    #[cfg_attr(test, ts(type = "number"))]
    pub observed_at: u64,
    /// When what opens it last answered.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub last_ok: Option<u64>,
}
