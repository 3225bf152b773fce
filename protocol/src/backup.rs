//! Backups: snapshots of an app's data in the node's repository.

use crate::{AppId, SnapshotId};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// One snapshot of an app's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct BackupView {
    /// Id.
    pub id: SnapshotId,
    /// App.
    pub app: AppId,
    /// The app's version when it was taken.
    pub version: String,
    /// When it was taken.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
    /// Files in it.
    #[cfg_attr(test, ts(type = "number"))]
    pub files: u64,
    /// Their size in bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
}
