//! What people open, and what happens at the turns of an app's life: hooks, backup, update, uninstall, adoption.

use super::form::{Scalar, Words, words};
use super::{Name, Scheme};
use crate::value::{Size, Span};
use protocol::ServiceName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// Something that people open in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interface {
    /// Service.
    #[schemars(with = "Name")]
    pub service: ServiceName,
    /// Name of one of its published ports.
    #[serde(deserialize_with = "port_label")]
    #[schemars(with = "Scalar")]
    pub port: String,
    /// Path.
    #[serde(default = "super::probe::slash")]
    pub path: String,
    /// `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Where it opens.
    #[serde(default)]
    pub open_in: OpenIn,
}

fn port_label<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Scalar::deserialize(from).map(|scalar| scalar.0)
}

/// Where an interface opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenIn {
    /// In a tab of its own.
    #[default]
    Tab,
    /// Within the node's page.
    Frame,
}

/// What the app needs of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Requirements {
    /// Free space.
    pub storage: Option<Size>,
    /// Memory.
    pub memory: Option<Size>,
    /// Devices that must be there; the app waits for them.
    pub devices: Vec<String>,
}

/// What is done at fixed points. Only what is listed here can be done, and none of it by a shell of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hooks {
    /// Whenever a container was made anew: files are copied before its first start, commands run once it is ready. A
    /// command has to bear being run again, as after a node that ended in the middle.
    pub post_install: Vec<Hook>,
}

/// One thing that is done: exactly one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// Copies a file of the manifest's folder into a container.
    pub copy_from_host: Option<CopyFromHost>,
    /// Runs a command in a container.
    pub exec: Option<ServiceExec>,
}

/// Copies a file of the manifest's folder into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyFromHost {
    /// Service; needed where the app has more than one.
    #[schemars(with = "Option<Name>")]
    pub service: Option<ServiceName>,
    /// Path within the manifest's folder.
    pub src: String,
    /// Absolute path in the container.
    pub dest: String,
}

/// Runs a command in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceExec {
    /// Service.
    #[schemars(with = "Name")]
    pub service: ServiceName,
    /// Program and arguments; no shell.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub command: Vec<String>,
    /// User that runs it; default the container's.
    pub user: Option<String>,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Backup {
    /// Volumes, and folders under the app's data directory; default all.
    pub include: Vec<String>,
    /// Patterns of paths that are left out, for instance `cache/*`.
    pub exclude: Vec<String>,
    /// Whether the app is stopped meanwhile.
    pub mode: BackupMode,
    /// Commands before, for instance a dump of a database.
    pub pre: Vec<ServiceExec>,
    /// Commands after, whatever came of it.
    pub post: Vec<ServiceExec>,
}

/// Whether an app is stopped while it is backed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupMode {
    /// It is, so that its files agree with each other.
    #[default]
    Stop,
    /// It runs on.
    Online,
}

/// How the app is updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Update {
    /// Whether its data are backed up before.
    pub snapshot: bool,
    /// How long the new version may take to become healthy.
    pub verify_timeout: Span,
    /// What happens when it does not.
    pub rollback: Rollback,
}

impl Default for Update {
    fn default() -> Self {
        Self { snapshot: true, verify_timeout: Span(Duration::from_secs(300)), rollback: Rollback::default() }
    }
}

/// What happens to an update that does not become healthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rollback {
    /// The node goes back by itself.
    #[default]
    Auto,
    /// The owner decides: the data of the new version cannot be read by the old one.
    Manual,
}

/// What happens at uninstall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Uninstall {
    /// The data.
    pub data: KeepData,
}

/// What happens to the data at uninstall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepData {
    /// They stay.
    #[default]
    Keep,
    /// The owner is offered to delete them too; nothing is deleted that was not asked for.
    Purge,
}

/// Containers that were made by something else and become this app's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Adopt {
    /// Names of containers.
    pub names: Vec<String>,
    /// What is done with them.
    #[serde(default)]
    pub policy: AdoptPolicy,
}

/// What is done with an adopted container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdoptPolicy {
    /// It runs on as it is.
    #[default]
    AdoptWithoutRecreate,
    /// It is made anew from this manifest, with its data.
    Recreate,
}
