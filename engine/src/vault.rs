//! The repository of backups: the [`Vault`] trait, and [`Restic`] behind it.
//!
//! A snapshot is pending until its content was read back and compared; only then it is confirmed, and only confirmed
//! ones are listed, restored and counted by the [`Retention`].

mod digest;
mod exclude;
mod namespace;
mod restic;
mod said;
mod snapshot;

pub(crate) use digest::Hasher;
pub use digest::{Digest, digest_of};
pub use exclude::Excludes;
pub use restic::Restic;

use async_trait::async_trait;
use protocol::{AppId, BackupView, SnapshotId};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Result of a call of a vault.
pub type Result<T> = std::result::Result<T, VaultError>;

/// Why the repository of backups cannot do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A program is not installed. Remedy: install it.
    #[error("the program {program} is not installed")]
    Missing {
        /// Its name, which is that of Debian's package, too.
        program: &'static str,
    },
    /// The disk is full. Remedy: make room.
    #[error("no space left on the disk: {message}")]
    NoSpace {
        /// What was told.
        message: String,
    },
    /// Another process works on the repository. Remedy: wait for its end.
    #[error("another process works on the repository: {message}")]
    Locked {
        /// Who, and since when.
        message: String,
    },
    /// The repository, or a snapshot, is damaged. Remedy: `restic check` and `restic rebuild-index` by hand, or set
    /// the repository aside; the node then makes a new one.
    #[error("the repository of backups is damaged: {message}")]
    Damaged {
        /// What was told.
        message: String,
    },
    /// The password does not open the repository. Remedy: put the password with which it was made into the file.
    #[error("the password in {file} does not open the repository of backups")]
    WrongPassword {
        /// The file with the password.
        file: PathBuf,
    },
    /// There is no such snapshot. Remedy: list those that there are.
    #[error("there is no snapshot {0} of this app")]
    NotFound(SnapshotId),
    /// Files could not be read: what was written is not all. Remedy: see the message.
    #[error("not all files could be read: {message}")]
    Incomplete {
        /// The first of them.
        message: String,
    },
    /// The operating system refuses. Remedy: see the message.
    #[error("{what} failed: {message}")]
    Failed {
        /// The step.
        what: &'static str,
        /// What was told.
        message: String,
    },
}

/// A file or folder of the node under a stable name in the snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its path in a snapshot, for instance `volumes/db`; not below that of another part.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// App.
    pub app: AppId,
    /// Its version.
    pub version: String,
    /// What belongs to it; each exists.
    pub parts: Vec<Part>,
    /// Patterns of paths below the parts that are left out.
    pub exclude: Vec<String>,
    /// Whether nobody writes to the parts meanwhile: then they are hashed as well.
    pub steady: bool,
}

/// A snapshot that was written and not yet confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its id, until it is confirmed.
    pub id: SnapshotId,
    /// App.
    pub app: AppId,
    /// The app's version.
    pub version: String,
    /// Hash of the parts as they were, where nobody wrote to them.
    pub live: Option<Digest>,
}

/// A confirmed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// As people see it.
    pub view: BackupView,
    /// Names of its parts.
    pub parts: Vec<String>,
    /// What is in them.
    pub digest: Digest,
}

/// How many confirmed snapshots of an app are kept; in text like `last=3,daily=7,weekly=4,monthly=6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The last ones; at least one.
    pub last: u32,
    /// The last of each of as many days.
    pub daily: u32,
    /// The last of each of as many weeks.
    pub weekly: u32,
    /// The last of each of as many months.
    pub monthly: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { last: 3, daily: 7, weekly: 4, monthly: 6 }
    }
}

impl FromStr for Retention {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut parsed = Self { last: 0, daily: 0, weekly: 0, monthly: 0 };
        for part in text.split(',') {
            let (key, number) = part.split_once('=').ok_or(format!("{part:?} is not like last=3"))?;
            let number = number.parse().map_err(|_| format!("{number:?} is no number"))?;
            match key {
                "last" => parsed.last = number,
                "daily" => parsed.daily = number,
                "weekly" => parsed.weekly = number,
                "monthly" => parsed.monthly = number,
                _ => return Err(format!("{key:?} is none of last, daily, weekly and monthly")),
            }
        }
        if parsed.last == 0 {
            Err("the last one is always kept: use last=1 or more".into())
        } else {
            Ok(parsed)
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last, daily, weekly, monthly } = self;
        write!(f, "last={last},daily={daily},weekly={weekly},monthly={monthly}")
    }
}

/// How far a call is, in bytes; the total where it is known.
pub type Sink = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

/// A repository of backups.
///
/// Calls are carried out one after the other. A call whose future is dropped is given up: what it began in the
/// repository is left out by the next ones, and removed by [`Vault::tidy`].
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Sees to it that the repository is there, whole enough to be opened, and nobody's from an earlier life.
    async fn open(&self) -> Result<()>;
    /// Whether there is a repository; none is made.
    async fn exists(&self) -> bool;
    /// Writes a snapshot, which is pending.
    async fn snapshot(&self, request: &SnapshotRequest, progress: Sink) -> Result<Pending>;
    /// Checks the repository's structure, and reads a snapshot back, every byte of it.
    async fn read_back(&self, id: &SnapshotId, parts: &[String], progress: Sink) -> Result<Digest>;
    /// Makes a pending snapshot one that counts.
    async fn confirm(&self, pending: &Pending, digest: &Digest, parts: &[String]) -> Result<Snapshot>;
    /// The confirmed snapshots of an app, or of all, oldest first.
    async fn list(&self, app: Option<&AppId>) -> Result<Vec<Snapshot>>;
    /// Writes a part of a snapshot into a folder, as `<into>/<part>`, and to the disk.
    async fn restore(&self, id: &SnapshotId, part: &str, into: &Path) -> Result<()>;
    /// How many bytes are in a folder, for showing how far a restore is.
    async fn size(&self, path: &Path) -> Result<u64>;
    /// What is in these parts now.
    async fn digest(&self, parts: &[Part], progress: Sink) -> Result<Digest>;
    /// Removes the snapshots of an app that are still pending.
    async fn tidy(&self, app: &AppId) -> Result<()>;
    /// Removes the confirmed snapshots of an app that the policy does not keep, and data that nobody uses.
    async fn prune(&self, app: &AppId, keep: &Retention) -> Result<()>;
    /// Free bytes where this path is, or will be.
    fn free(&self, path: &Path) -> Result<u64>;
    /// Where it lies, for people.
    fn place(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_always_kept() {
        let default = Retention::default();
        assert_eq!(default.to_string().parse(), Ok(default));
        assert_eq!("last=1".parse(), Ok(Retention { last: 1, daily: 0, weekly: 0, monthly: 0 }));
        for wrong in ["", "daily=7", "last=0", "last=-1", "yearly=1,last=1", "last"] {
            assert!(wrong.parse::<Retention>().is_err(), "{wrong:?}");
        }
    }
}
