//! The journal of a restore, from before the first folder is exchanged until nothing of the old data is left: after a
//! crash it tells in which direction to go on, so that the data are either the old ones or the new ones.

use crate::{ctx::Ctx, private};
use protocol::{AppId, SnapshotId};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};

/// Where it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// The new data take the place of the old ones, which are kept.
    Forward,
    /// The old ones come back.
    Back,
    /// The new ones are good; the old ones are removed.
    Settled,
}

/// A folder that is exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Name of the part.
    pub(super) part: String,
    /// Where the app has it; none for what is only compared.
    pub(super) live: Option<PathBuf>,
    /// Folder of this restore, on the same disk.
    pub(super) beside: PathBuf,
    number: usize,
}

impl Slot {
    pub(super) fn new(part: String, live: Option<PathBuf>, beside: PathBuf, number: usize) -> Self {
        Self { part, live, beside, number }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.beside.join(format!("{}.{kind}", self.number))
    }

    /// What the repository writes into.
    pub(super) fn incoming(&self) -> PathBuf {
        self.path("in")
    }

    /// The restored data, until they are exchanged.
    pub(super) fn fresh(&self) -> PathBuf {
        self.path("new")
    }

    /// The app's data from before.
    pub(super) fn old(&self) -> PathBuf {
        self.path("old")
    }
}

/// A restore under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Halfway {
    pub(super) snapshot: SnapshotId,
    pub(super) direction: Direction,
    pub(super) slots: Vec<Slot>,
}

fn file(ctx: &Ctx, app: &AppId) -> PathBuf {
    ctx.dirs.data.join("backups/restoring").join(format!("{app}.json"))
}

/// Whether the data of an app are between two states: nobody may start it.
pub(crate) fn is_halfway(ctx: &Ctx, app: &AppId) -> bool {
    match Halfway::read(ctx, app) {
        Ok(found) => found.is_some_and(|it| it.direction != Direction::Settled),
        // Who cannot tell must not start it.
        Err(_) => true,
    }
}

impl Halfway {
    /// What an earlier attempt has begun.
    pub(super) fn read(ctx: &Ctx, app: &AppId) -> io::Result<Option<Self>> {
        match fs::read(file(ctx, app)) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it, to the disk.
    pub(super) fn write(&self, ctx: &Ctx, app: &AppId) -> io::Result<()> {
        private::write(&file(ctx, app), &serde_json::to_vec(self)?)
    }

    /// Nothing is under way any more.
    pub(super) fn remove(ctx: &Ctx, app: &AppId) -> io::Result<()> {
        match fs::remove_file(file(ctx, app)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
