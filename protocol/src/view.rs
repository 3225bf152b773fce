//! Rows: what clients see of apps, operations and the node.
//!
//! Times are milliseconds since the Unix epoch on the node's clock.

use crate::{AppId, BackupView, GateState, OpId, ServiceName};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Desired {
    /// The app should run.
    Running,
    /// The app should stay stopped until the user starts it.
    Stopped,
    /// The app should not be there.
    Absent,
}

/// The phase of an app, derived on the node from intent, observation, health and the running operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Phase {
    /// In the catalog, not on the node.
    NotInstalled,
    /// An install operation is running.
    Installing,
    /// Containers are being started or are not ready yet.
    Starting,
    /// Waits for something that is named in `wait`.
    Waiting,
    /// Everything runs and is ready.
    Running,
    /// Some containers do not run.
    Degraded,
    /// Everything runs, something is not ready although it was.
    Unhealthy,
    /// A container died and is being brought back.
    Restarting,
    /// The restart intensity is exhausted; the stack is parked.
    CrashLooping,
    /// Containers are being stopped.
    Stopping,
    /// Stopped by the user.
    Stopped,
    /// An update operation is running.
    Updating,
    /// A backup operation is running.
    BackingUp,
    /// A restore operation is running.
    Restoring,
    /// An uninstall operation is running.
    Uninstalling,
    /// The last operation failed and left the app unusable.
    Failed,
}

/// Whether a row shows what is, or what was when the node last could look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Confidence {
    /// Observed; `observed_at` says when.
    Live,
    /// From before the node or its engine became unreachable.
    LastKnown,
}

/// Readiness of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Health {
    /// No probe is declared.
    None,
    /// Not ready yet.
    Starting,
    /// Ready.
    Healthy,
    /// Was ready, is not any more.
    Unhealthy,
}

/// The phase of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum ContainerPhase {
    /// Not looked at yet.
    Unknown,
    /// There is no such container.
    Absent,
    /// Being created.
    Creating,
    /// Created or exited earlier, not started.
    Created,
    /// Waits for what `wait` names.
    Waiting,
    /// Being started.
    Starting,
    /// Its init process is alive.
    Running,
    /// Asked to stop, grace is running.
    Stopping,
    /// Its init process ended.
    Exited,
    /// Its supervisor waits before the next restart.
    Backoff,
    /// Given up by its supervisor until reset.
    Parked,
}

/// How a container's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct ExitView {
    /// Exit code; 128 + signal for signals; absent where the engine did not record it.
    pub code: Option<i32>,
    /// Whether the kernel killed it for lack of memory.
    pub oom: bool,
    /// When it was seen.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
}

/// A restart of a container by its supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct RestartView {
    /// What led to it, nearest first, for instance `api exited with code 137`; where no other is named, it failed itself.
    pub cause: Vec<String>,
    /// When it was seen.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct WaitView {
    /// What is waited for: a container of the app, another app, or a gate as `<app>/<gate>`.
    pub on: String,
    /// The condition, for instance `service_healthy` or `gate_open`.
    pub condition: String,
    /// Progress between 0 and 1, where it is known.
    pub progress: Option<f32>,
    /// The other app, where it is not a container of this one that is waited for.
    pub app: Option<AppId>,
    /// How the gate is, where it is a gate.
    pub state: Option<GateState>,
    /// The last thing that is known of it, in words.
    pub detail: Option<String>,
    /// Whether the app may be started without it.
    pub may_skip: bool,
}

/// One container of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct ContainerView {
    /// The service in the manifest.
    pub service: ServiceName,
    /// The container's name in the engine.
    pub name: String,
    /// The engine's id, where there is a container.
    pub id: Option<String>,
    /// Its phase.
    pub phase: ContainerPhase,
    /// Its readiness.
    pub health: Health,
    /// What it waits for.
    pub wait: Vec<WaitView>,
    /// Why it is in this phase, in words.
    pub reason: Option<String>,
    /// Since when it is in this phase.
    #[cfg_attr(test, ts(type = "number"))]
    pub since: u64,
    /// When the running process was started.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub started_at: Option<u64>,
    /// How often it was restarted since the node started, for its own failure or a sibling's.
    pub restarts: u32,
    /// Why it was restarted last.
    #[serde(default)]
    pub last_restart: Option<RestartView>,
    /// How it ended last.
    pub last_exit: Option<ExitView>,
    /// The code with which it ended for good, as its restart policy says: 0 is what was wanted of it.
    #[serde(default)]
    pub ended: Option<i32>,
    /// Image reference.
    pub image: String,
}

/// An address under which an app's interface is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct LaunchUrl {
    /// The interface's name in the manifest.
    pub name: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Published port on the node; the client combines it with the host it uses itself.
    pub port: u16,
    /// Path, beginning with `/`.
    pub path: String,
    /// The whole address, where it is not on the node: the rest is not used then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub url: Option<String>,
}

/// One app: the row of the stream `apps`, keyed by `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct AppView {
    /// Id.
    pub id: AppId,
    /// Name for people.
    pub name: String,
    /// One line on what it is.
    pub tagline: String,
    /// The installed version, or the catalog's where it is not installed.
    pub version: String,
    /// Whether it is on the node.
    pub installed: bool,
    /// The phase to show.
    pub phase: Phase,
    /// Why, in words for people.
    pub reason: Option<String>,
    /// Since when it is in this phase.
    #[cfg_attr(test, ts(type = "number"))]
    pub since: u64,
    /// When the node last looked.
    #[cfg_attr(test, ts(type = "number"))]
    pub observed_at: u64,
    /// Live or last known.
    pub confidence: Confidence,
    /// What the user asked for.
    pub desired: Desired,
    /// The running operation.
    pub op: Option<OpId>,
    /// The last operation that ended.
    pub last_op: Option<OpId>,
    /// What the app waits for.
    pub wait: Vec<WaitView>,
    /// Restarts of all its containers since the node started.
    pub restarts: u32,
    /// Its containers in start order.
    pub containers: Vec<ContainerView>,
    /// Where to open it.
    pub launch: Vec<LaunchUrl>,
    /// When the supervisor tries again, where it is `crash_looping`.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub next_retry: Option<u64>,
    /// The catalog's version, where it is another one than the installed.
    #[serde(default)]
    pub update: Option<String>,
    /// Its last backup.
    #[serde(default)]
    pub backup: Option<BackupView>,
    /// Category in the store.
    #[serde(default)]
    pub category: Option<String>,
    /// Whether it has an icon: `GET /api/v1/apps/{app}/icon`.
    #[serde(default)]
    pub icon: bool,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum OpKind {
    /// Put an app on the node and start it.
    Install,
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Take it off the node.
    Uninstall,
    /// Bring it to the catalog's version.
    Update,
    /// Take a snapshot of its data.
    Backup,
    /// Put the data of a snapshot in place of those that are there.
    Restore,
}

/// How far an operation is. Terminal states never change again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum OpState {
    /// Accepted, not begun.
    Queued,
    /// At work.
    Running,
    /// Asked to cancel.
    Cancelling,
    /// Ended well.
    Succeeded,
    /// Ended badly; `error` says why and what to do.
    Failed,
    /// Ended on request.
    Cancelled,
    /// The node ended while it ran.
    Interrupted,
}

impl OpState {
    /// Whether the operation has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Interrupted)
    }
}

/// How far a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum StageState {
    /// Not begun.
    Waiting,
    /// At work.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// Not needed.
    Skipped,
}

/// One named stage of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Stage {
    /// Stable key, for instance `images`.
    pub key: String,
    /// How far it is.
    pub state: StageState,
    /// Progress between 0 and 1; only where the total is known.
    pub progress: Option<f32>,
    /// The last thing that happened.
    pub detail: Option<String>,
    /// When it began.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub started_at: Option<u64>,
    /// When it ended.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub ended_at: Option<u64>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct OpError {
    /// Machine-readable code, for instance `port_in_use`.
    pub code: String,
    /// What happened, in words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// One operation: the row of the stream `ops`, keyed by `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct OpView {
    /// Id.
    pub id: OpId,
    /// What it does.
    pub kind: OpKind,
    /// On which app.
    pub app: AppId,
    /// How far it is.
    pub state: OpState,
    /// Its stages in order.
    pub stages: Vec<Stage>,
    /// When it was accepted.
    #[cfg_attr(test, ts(type = "number"))]
    pub started_at: u64,
    /// When it ended.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub ended_at: Option<u64>,
    /// Why it failed.
    pub error: Option<OpError>,
    /// What it could not take with it and left on the machine, in words.
    #[serde(default)]
    pub residue: Vec<String>,
    /// Whether it can be cancelled now.
    #[serde(default)]
    pub cancellable: bool,
    /// Whether the running stage takes longer than its deadline.
    #[serde(default)]
    pub late: bool,
}

/// A subsystem of the node: the row of the stream `node`, keyed by `key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct NodeView {
    /// Name of the subsystem: `engine`, `store`.
    pub key: String,
    /// Whether it works.
    pub ok: bool,
    /// In words, for instance the engine's version or what is wrong.
    pub detail: String,
    /// When it last worked.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub last_ok: Option<u64>,
}

/// An app in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct CatalogEntry {
    /// Id.
    pub id: AppId,
    /// Name for people.
    pub name: String,
    /// One line on what it is.
    pub tagline: String,
    /// Version.
    pub version: String,
}
