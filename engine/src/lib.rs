//! The container engine: the [`Engine`] trait, the Podman adapter behind it, and a simulated engine for tests.
//!
//! This is the only crate that knows Podman; its state words are translated here, once.
//! It must never decide anything: it observes and does what it is told.
//! Start reading at [`Engine`].

#[cfg(any(test, feature = "sim"))]
pub mod contract;
mod error;
mod inside;
mod podman;
#[cfg(fuzzing)]
pub use podman::fuzz;
mod process;
mod service;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(test)]
mod testing;
mod usage;

pub use error::{EngineError, ErrorClass};
pub use inside::is_from_containers;
pub use podman::Podman;
pub use service::PodmanService;
pub use usage::Usage;

use apps::ContainerSpec;
use async_trait::async_trait;
use futures_util::{future::BoxFuture, stream::BoxStream};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Result of an engine call.
pub type Result<T> = std::result::Result<T, EngineError>;

/// A process of this host that cannot be confused with a later one of the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessRef {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks after boot.
    pub start_time: u64,
}

/// State of a container as the engine tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineState {
    /// Created, not started (also after a reboot).
    Created,
    /// The engine believes that it runs.
    Running,
    /// Paused.
    Paused,
    /// The engine is stopping it.
    Stopping,
    /// Its process ended and the exit code is known; the engine has not cleaned up behind it yet.
    Stopped,
    /// Its process ended.
    Exited,
    /// Being removed, or a state word that this adapter does not know.
    Other,
}

/// A container, looked at closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// State.
    pub state: EngineState,
    /// The init process, where the engine names one and it is alive (not a zombie of the kernel).
    pub process: Option<ProcessRef>,
    /// The process that watches over the init process for the engine, where it is alive. Without it nobody tells the
    /// engine of the end.
    pub monitor: Option<ProcessRef>,
    /// Exit code of the last run; meaningful when `state` is `Stopped` or `Exited`.
    pub exit_code: i32,
    /// Whether the kernel killed it for lack of memory.
    pub oom: bool,
    /// When it was last started, in milliseconds since the Unix epoch; `None` if never.
    pub started_at: Option<u64>,
    /// When it last ended, likewise.
    pub finished_at: Option<u64>,
    /// Image reference as given at creation.
    pub image: String,
    /// Addresses by network.
    pub addresses: BTreeMap<String, String>,
    /// Id of the container whose network it joined at its creation.
    pub network_of: Option<String>,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// State.
    pub state: EngineState,
    /// The init process, where the engine names one and it is alive.
    pub process: Option<ProcessRef>,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// Created.
    Create,
    /// Started.
    Start,
    /// The process ended.
    Died,
    /// Removed.
    Remove,
    /// Anything else, in the engine's word.
    Other(String),
}

/// Something happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Full id of the container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What happened.
    pub action: EventAction,
    /// When, in nanoseconds since the Unix epoch.
    pub time_nano: u64,
}

/// Answer of a command that ran inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i32,
    /// The beginning of its standard output and error, at most 64 KiB.
    pub output: String,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whether it came from standard error.
    pub stderr: bool,
    /// The line without its end.
    pub line: String,
}

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Folder with everything that the build may read.
    pub context: PathBuf,
    /// Containerfile within the context.
    pub dockerfile: String,
    /// Reference to give to the image.
    pub tag: String,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
}

/// Name and version of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Name, for instance `podman`.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it runs without root.
    pub rootless: bool,
}

/// Receives lines of progress of a build or a pull.
pub type ProgressSink = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// A container engine.
///
/// Every call has a deadline of its own and returns [`EngineError::Timeout`] when it passes, except for those that
/// change a container (`create`, `start`, `stop`, `remove`, `unpause`): they return when the engine has answered or is
/// gone, so that their effect never comes after their answer. The caller decides when it is told to be patient no more.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Answers when the engine can be reached.
    async fn info(&self) -> Result<EngineInfo>;

    /// All containers, also stopped ones, that carry all of these labels with these values.
    async fn list(&self, labels: &[(&str, &str)]) -> Result<Vec<Summary>>;
    /// Looks at one container, by name or id.
    async fn inspect(&self, container: &str) -> Result<Inspect>;
    /// Creates a container without starting it and returns its id. The image is never pulled.
    async fn create(&self, spec: &ContainerSpec) -> Result<String>;
    /// Starts a container; starting one that runs is no error.
    async fn start(&self, container: &str) -> Result<()>;
    /// Asks a container to end and kills it after `grace`; stopping one that does not run is no error.
    async fn stop(&self, container: &str, grace: Duration) -> Result<()>;
    /// Sends a signal, for instance `SIGKILL`.
    async fn kill(&self, container: &str, signal: &str) -> Result<()>;
    /// Lets a paused container go on.
    async fn unpause(&self, container: &str) -> Result<()>;
    /// Removes a container; with `force` also a running one. Volumes stay.
    ///
    /// One whose network another container joins is a `Conflict`.
    async fn remove(&self, container: &str, force: bool) -> Result<()>;

    /// Ends the processes that are left of a container which the engine does not know any more.
    ///
    /// Podman 4.3 can forget a container that was started while it was being removed.
    async fn reap(&self, id: &str) -> Result<()>;

    /// Events of containers from now on, or since a time in seconds since the Unix epoch.
    ///
    /// The stream ends with an error or `None` when the connection is lost, and may end when the engine cuts its log;
    /// the caller connects anew. Events may come twice: id, action and time tell.
    async fn events(&self, since: Option<u64>) -> Result<BoxStream<'static, Result<Event>>>;
    /// Resolves when the process has ended; `NotFound` when it has ended already or the pid is another process now.
    async fn exit_of(&self, process: ProcessRef) -> Result<BoxFuture<'static, ()>>;

    /// What the container with this first process uses; `NotFound` when the process has ended.
    async fn usage(&self, process: ProcessRef) -> Result<Usage>;

    /// Runs a command inside a container and waits for it.
    async fn exec(&self, container: &str, argv: &[String], timeout: Duration) -> Result<ExecOutput>;
    /// The last `tail` lines of the log, and with `follow` those that come.
    async fn logs(
        &self,
        container: &str,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>>;

    /// Builds [`apps::PAUSE_IMAGE`] unless it is there.
    async fn ensure_pause_image(&self) -> Result<()>;
    /// Whether an image is on this machine, whole.
    async fn image_present(&self, reference: &str) -> Result<bool>;
    /// Labels of an image.
    async fn image_labels(&self, reference: &str) -> Result<BTreeMap<String, String>>;
    /// Builds an image.
    async fn build_image(&self, request: &BuildRequest, progress: ProgressSink) -> Result<()>;
    /// Pulls an image.
    async fn pull_image(&self, reference: &str, progress: ProgressSink) -> Result<()>;
    /// Removes an image; one that does not exist is no error.
    async fn remove_image(&self, reference: &str) -> Result<()>;

    /// Creates a network with name resolution unless it exists.
    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;
    /// Removes a network; one that does not exist is no error, one that is in use is a conflict.
    async fn remove_network(&self, name: &str) -> Result<()>;
    /// Creates a volume unless it exists.
    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;
    /// Names of the volumes that carry all of these labels.
    async fn list_volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<String>>;
    /// Removes a volume with its data; one that does not exist is no error.
    async fn remove_volume(&self, name: &str) -> Result<()>;
    /// Creates a secret; `Conflict` if it exists.
    async fn create_secret(&self, name: &str, value: &[u8]) -> Result<()>;
    /// Whether a secret exists.
    async fn secret_exists(&self, name: &str) -> Result<bool>;
    /// Removes a secret; one that does not exist is no error.
    async fn remove_secret(&self, name: &str) -> Result<()>;

    /// Gives a folder of the node, not what is in it, to a user of its containers, as they number their users.
    async fn give_folder(&self, path: &Path, uid: u32, gid: u32) -> Result<()>;
    /// Removes a folder of the node with all that is in it, also what only its containers' users may remove;
    /// one that does not exist is no error.
    async fn remove_folder(&self, path: &Path) -> Result<()>;
}
