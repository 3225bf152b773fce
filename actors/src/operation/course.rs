//! What an operation has to remember beside its row, in the store and so across lives of the node.

use protocol::{Desired, OpError, ServiceName, SnapshotId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// How far an update has exchanged the manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exchanged {
    /// The app has the old one.
    #[default]
    Not,
    /// It has the new one.
    Forth,
    /// It has the old one again.
    Back,
}

/// What there was of an app before its install: that stays when the install is undone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Volumes by their names in the engine.
    pub(crate) volumes: BTreeSet<String>,
    /// Its folder of data.
    pub(crate) data: bool,
    /// Its secrets.
    pub(crate) secrets: bool,
}

/// What the operation has to remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Course {
    /// It has failed like this, and what it made is being undone.
    pub(crate) failed: Option<OpError>,
    /// How often its actor ended before it did.
    pub(crate) deaths: u32,
    /// What the user wanted of the app before.
    pub(crate) desired: Option<Desired>,
    /// Of an install: what there was.
    pub(crate) before: Option<Before>,
    /// Of an update: the new manifest and its folder.
    pub(crate) target: Option<(String, PathBuf)>,
    /// Of an update: services whose containers are another thing in the new version, or in one of the two only.
    pub(crate) changed: BTreeSet<ServiceName>,
    /// Of an update: the data as they were.
    pub(crate) snapshot: Option<SnapshotId>,
    /// Of a backup: its commands before have begun, and those after have not been run.
    pub(crate) hooked: bool,
    /// Of an update that goes back: the data are those of the snapshot again.
    pub(crate) restored: bool,
    /// Of an update: how far it is.
    pub(crate) exchanged: Exchanged,
    /// Of an update: what the manifest that the app has now has no use for is gone.
    pub(crate) cleared: bool,
}
