//! Commands: `POST /api/v1/commands`.

use crate::{AppId, OpId, SnapshotId, StreamId};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Command {
    /// Put an app of the catalog on the node and start it.
    Install {
        /// App.
        app: AppId,
    },
    /// Start it; also un-parks a stack that crash-loops.
    Start {
        /// App.
        app: AppId,
    },
    /// Start it although a gate that it waits for is closed, where the gate's manifest allows that.
    StartAnyway {
        /// App.
        app: AppId,
    },
    /// Stop it; it stays stopped until it is started.
    Stop {
        /// App.
        app: AppId,
    },
    /// Stop and start it.
    Restart {
        /// App.
        app: AppId,
    },
    /// Take it off the node.
    Uninstall {
        /// App.
        app: AppId,
        /// Whether its volumes, data and secrets go, too; that has to be confirmed. Otherwise they are kept.
        #[serde(default)]
        purge: bool,
    },
    /// Bring it to the catalog's version; what does not become ready goes back by itself.
    Update {
        /// App.
        app: AppId,
    },
    /// Take a snapshot of its data.
    Backup {
        /// App.
        app: AppId,
    },
    /// Put the data of a snapshot in place of those that are there; that has to be confirmed.
    Restore {
        /// App.
        app: AppId,
        /// Snapshot.
        snapshot: SnapshotId,
    },
    /// End an operation that runs; what it made is undone. The answer names the same operation.
    Cancel {
        /// App.
        app: AppId,
        /// Operation.
        op: OpId,
    },
}

impl Command {
    /// The app that the command is for.
    pub fn app(&self) -> &AppId {
        match self {
            Self::Install { app }
            | Self::Start { app }
            | Self::StartAnyway { app }
            | Self::Stop { app }
            | Self::Restart { app }
            | Self::Uninstall { app, .. }
            | Self::Update { app }
            | Self::Backup { app }
            | Self::Restore { app, .. }
            | Self::Cancel { app, .. } => app,
        }
    }
}

/// Answer 202: the command is recorded; its outcome is the row of `op_id` in the stream `ops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct CommandAccepted {
    /// The operation.
    pub op_id: OpId,
    /// The command's effect is visible to a client that has these sequences or later ones.
    #[cfg_attr(test, ts(type = "Partial<Record<StreamId, number>>"))]
    pub at: std::collections::BTreeMap<StreamId, u64>,
}

/// What a destructive command would do, shown before it is confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Plan {
    /// What will be gone, in words, one per thing.
    pub removes: Vec<String>,
    /// What stays, in words.
    pub keeps: Vec<String>,
    /// Apps that need the one that is concerned.
    pub dependents: Vec<AppId>,
    /// What has to be typed before it is done, where that is asked for.
    pub type_to_confirm: Option<String>,
}

/// What has to be shown and sent back before a destructive command is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Confirm {
    /// What the command would do.
    pub plan: Plan,
    /// What to send as `Confirm-Token` with the same command; good for five minutes.
    pub token: String,
}
