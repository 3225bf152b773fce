//! A simulated [`Vault`]: snapshots in memory, of and into real folders, with faults on demand.

use crate::vault::{
    Digest, Excludes, Part, Pending, Result, Retention, Sink, Snapshot, SnapshotRequest, Vault, VaultError,
    digest_of,
};
use async_trait::async_trait;
use protocol::{AppId, BackupView, SnapshotId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// When the first snapshot is taken, in milliseconds since the Unix epoch; each later one a day after.
const FIRST: u64 = 1_700_000_000_000;
const DAY: u64 = 86_400_000;

#[derive(Debug, Clone)]
enum Node {
    Dir(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
}

#[derive(Debug, Clone)]
struct Stored {
    id: SnapshotId,
    pending: Pending,
    digest: Digest,
    files: BTreeMap<PathBuf, Node>,
    confirmed: Option<Snapshot>,
}

#[derive(Debug, Default)]
struct State {
    made: bool,
    next: u64,
    snapshots: Vec<Stored>,
    calls: Vec<&'static str>,
    failures: BTreeMap<&'static str, VecDeque<VaultError>>,
    hanging: BTreeSet<&'static str>,
    spoiled: BTreeSet<&'static str>,
    free: Option<u64>,
}

/// A simulated repository. Clones share one.
#[derive(Debug, Clone, Default)]
pub struct SimVault {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

impl SimVault {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next call of this method fail; several add up.
    pub fn fail_next(&self, call: &'static str, error: VaultError) {
        self.state().failures.entry(call).or_default().push_back(error);
    }

    /// Lets this method not answer until [`SimVault::resume`].
    pub fn hang(&self, call: &'static str) {
        self.state().hanging.insert(call);
    }

    /// Ends [`SimVault::hang`].
    pub fn resume(&self, call: &'static str) {
        self.state().hanging.remove(call);
        self.changed.send_replace(());
    }

    /// Lets the next call of this method be wrong by one byte: `snapshot` stores, or `restore` writes, another file.
    pub fn spoil_next(&self, call: &'static str) {
        self.state().spoiled.insert(call);
    }

    /// Sets how many bytes are free.
    pub fn set_free(&self, bytes: u64) {
        self.state().free = Some(bytes);
    }

    /// Every call since the beginning, in order, failed ones included.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// How many snapshots there are that nobody has confirmed.
    pub fn pending(&self) -> usize {
        self.state().snapshots.iter().filter(|it| it.confirmed.is_none()).count()
    }

    async fn enter(&self, call: &'static str) -> Result<()> {
        self.state().calls.push(call);
        let mut changed = self.changed.subscribe();
        while self.state().hanging.contains(call) {
            // The sender lives as long as this vault.
            let _ = changed.changed().await;
        }
        let failure = self.state().failures.get_mut(call).and_then(VecDeque::pop_front);
        failure.map_or(Ok(()), Err)
    }

    fn find(&self, id: &SnapshotId) -> Result<Stored> {
        let found = self.state().snapshots.iter().find(|it| it.id == *id).cloned();
        found.ok_or_else(|| VaultError::NotFound(id.clone()))
    }
}

fn disk(error: io::Error) -> VaultError {
    VaultError::Failed { what: "the simulated repository", message: error.to_string() }
}

/// Reads a folder with what is in it.
fn read(
    path: &Path,
    name: &Path,
    into: &mut BTreeMap<PathBuf, Node>,
    left_out: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    if left_out(name) {
        return Ok(());
    }
    let meta = fs::symlink_metadata(path)?;
    let mode = meta.permissions().mode() & 0o7777;
    if meta.is_symlink() {
        into.insert(name.to_owned(), Node::Link(fs::read_link(path)?));
    } else if meta.is_dir() {
        into.insert(name.to_owned(), Node::Dir(mode));
        for child in fs::read_dir(path)? {
            let child = child?.file_name();
            read(&path.join(&child), &name.join(&child), into, left_out)?;
        }
    } else {
        into.insert(name.to_owned(), Node::File(mode, fs::read(path)?));
    }
    Ok(())
}

fn write(path: &Path, node: &Node) -> io::Result<()> {
    match node {
        Node::Dir(mode) => {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))
        }
        Node::File(mode, content) => {
            fs::write(path, content)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))
        }
        Node::Link(target) => symlink(target, path),
    }
}

#[async_trait]
impl Vault for SimVault {
    async fn open(&self) -> Result<()> {
        self.enter("open").await?;
        self.state().made = true;
        Ok(())
    }

    async fn exists(&self) -> bool {
        self.state().made
    }

    async fn snapshot(&self, request: &SnapshotRequest, progress: Sink) -> Result<Pending> {
        progress(0, Some(1));
        self.enter("snapshot").await?;
        let excludes = Excludes::parse(&request.exclude)
            .map_err(|message| VaultError::Failed { what: "reading the patterns", message })?;
        let mut files = BTreeMap::new();
        for part in &request.parts {
            let name = PathBuf::from(&part.name);
            let left_out = |path: &Path| path.strip_prefix(&name).is_ok_and(|below| excludes.matches(below));
            read(&part.path, &name, &mut files, &left_out).map_err(disk)?;
        }
        let mut digest = digest_of(&request.parts, &excludes).map_err(disk)?;
        let live = request.steady.then(|| digest.clone());
        let mut state = self.state();
        if state.spoiled.remove("snapshot") {
            digest.hash = digest.hash.chars().rev().collect();
        }
        state.next += 1;
        let id: SnapshotId = format!("{:016x}", state.next)
            .parse()
            .map_err(|_| VaultError::Failed { what: "the simulated repository", message: "no id".into() })?;
        let pending =
            Pending { id: id.clone(), app: request.app.clone(), version: request.version.clone(), live };
        state.snapshots.push(Stored { id, pending: pending.clone(), digest, files, confirmed: None });
        Ok(pending)
    }

    async fn read_back(&self, id: &SnapshotId, _: &[String], progress: Sink) -> Result<Digest> {
        self.enter("read_back").await?;
        let digest = self.find(id)?.digest;
        progress(digest.bytes, None);
        Ok(digest)
    }

    async fn confirm(&self, pending: &Pending, digest: &Digest, parts: &[String]) -> Result<Snapshot> {
        self.enter("confirm").await?;
        let mut state = self.state();
        let at = FIRST + DAY * state.next;
        let lost = || VaultError::NotFound(pending.id.clone());
        let stored = state.snapshots.iter_mut().find(|it| it.pending == *pending).ok_or_else(lost)?;
        let view = BackupView {
            id: stored.id.clone(),
            app: pending.app.clone(),
            version: pending.version.clone(),
            at,
            files: digest.files,
            bytes: digest.bytes,
        };
        let snapshot = Snapshot { view, parts: parts.to_vec(), digest: digest.clone() };
        stored.confirmed = Some(snapshot.clone());
        Ok(snapshot)
    }

    async fn list(&self, app: Option<&AppId>) -> Result<Vec<Snapshot>> {
        self.enter("list").await?;
        let confirmed =
            self.state().snapshots.iter().filter_map(|it| it.confirmed.clone()).collect::<Vec<_>>();
        Ok(confirmed.into_iter().filter(|it| app.is_none_or(|app| it.view.app == *app)).collect())
    }

    async fn restore(&self, id: &SnapshotId, part: &str, into: &Path) -> Result<()> {
        self.enter("restore").await?;
        let spoiled = self.state().spoiled.remove("restore");
        for (name, node) in self.find(id)?.files.iter().filter(|(name, _)| name.starts_with(part)) {
            let path = into.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(disk)?;
            }
            match node {
                Node::File(mode, content) if spoiled => {
                    let content = [content.as_slice(), b"!"].concat();
                    write(&path, &Node::File(*mode, content)).map_err(disk)?;
                }
                node => write(&path, node).map_err(disk)?,
            }
        }
        Ok(())
    }

    async fn size(&self, _: &Path) -> Result<u64> {
        Ok(0)
    }

    async fn digest(&self, parts: &[Part], _: Sink) -> Result<Digest> {
        self.enter("digest").await?;
        digest_of(parts, &Excludes::default()).map_err(disk)
    }

    async fn tidy(&self, app: &AppId) -> Result<()> {
        self.enter("tidy").await?;
        self.state().snapshots.retain(|it| it.pending.app != *app || it.confirmed.is_some());
        Ok(())
    }

    /// Each snapshot is of a day of its own: the last ones by number or by day are kept.
    async fn prune(&self, app: &AppId, keep: &Retention) -> Result<()> {
        self.enter("prune").await?;
        let kept = keep.last.max(1).max(keep.daily) as usize;
        let mut state = self.state();
        let of_app = |it: &Stored| it.pending.app == *app && it.confirmed.is_some();
        let mut surplus = state.snapshots.iter().filter(|it| of_app(it)).count().saturating_sub(kept);
        state.snapshots.retain(|it| {
            let goes = of_app(it) && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
        Ok(())
    }

    fn free(&self, _: &Path) -> Result<u64> {
        Ok(self.state().free.unwrap_or(u64::MAX))
    }

    fn place(&self) -> String {
        "the simulated repository".into()
    }
}
