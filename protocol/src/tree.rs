//! The supervision tree as clients see it.

use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// Supervisor or worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum TreeKind {
    /// Has children.
    Supervisor,
    /// Works.
    Worker,
}

/// State of a child in its supervisor's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum TreeState {
    /// No process.
    Undefined,
    /// Being started.
    Starting,
    /// Alive.
    Running,
    /// Being stopped.
    Stopping,
    /// Waits for its next start.
    Restarting,
    /// Given up until reset.
    Parked,
    /// Could not be killed.
    Unkillable,
}

/// How much of its restart intensity a supervisor has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Intensity {
    /// Restarts allowed within the window.
    pub max: u32,
    /// Length of the window in milliseconds.
    #[cfg_attr(test, ts(type = "number"))]
    pub window_ms: u64,
    /// Restarts within the window as of the row's last change.
    pub used: u32,
}

/// One node of the supervision tree: the row of the stream `tree`, keyed by `path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TreeView {
    /// Path from the root, for instance `node/stacks/demo/containers/cache`.
    pub path: String,
    /// Path of its supervisor; absent at the root.
    pub parent: Option<String>,
    /// Position among its siblings, in start order.
    pub order: u32,
    /// Supervisor or worker.
    pub kind: TreeKind,
    /// `one_for_one`, `one_for_all`, `rest_for_one`; supervisors only.
    pub strategy: Option<String>,
    /// `permanent`, `transient`, `temporary`.
    pub restart: String,
    /// Supervisors only.
    pub intensity: Option<Intensity>,
    /// State.
    pub state: TreeState,
    /// Incarnation, beginning at 1; 0 before the first start.
    #[cfg_attr(test, ts(type = "number"))]
    pub generation: u64,
    /// Restarts since the node started.
    pub restarts: u32,
    /// Why the last incarnation ended.
    pub last_exit: Option<String>,
    /// When it ended.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub last_exit_at: Option<u64>,
    /// Why this incarnation was started: `initial`, `own_failure`, `sibling_failure <id>`, `requested`.
    pub cause: Option<String>,
}
