//! The [`Vault`] in restic's format, written by the standard program in the user namespace of the containers.

use super::{
    Digest, Excludes, Hasher, Part, Pending, Result, Retention, Sink, Snapshot, SnapshotRequest, Vault,
    VaultError,
    digest::{ATTRIBUTES, within},
    namespace::{self, Ended, Group, failed, inside, simply},
    said::{self, Listed, PENDING, VERIFIED},
};
use async_trait::async_trait;
use protocol::{AppId, SnapshotId};
use std::{
    env, fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::process::Command;

/// A file smaller than this is not worth holes.
const SPARSE: &str = "+1023k";
/// Random bytes of the repository's password.
const PASSWORD: usize = 32;

/// A repository in a folder of the node, which also has its password and a cache.
#[derive(Debug)]
pub struct Restic {
    dir: PathBuf,
    /// Held by the call that is carried out.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whether what an earlier life has left was ended.
    swept: AtomicBool,
    /// Whether the program makes holes by itself; known once it was asked.
    sparse: Mutex<Option<bool>>,
}

impl Restic {
    /// In this folder. Nothing is made yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            turn: tokio::sync::Mutex::default(),
            swept: AtomicBool::new(false),
            sparse: Mutex::default(),
        }
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.dir.join("repository")
    }

    fn password(&self) -> PathBuf {
        self.dir.join("password")
    }

    fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// Where parts are shown under their stable names.
    pub(super) fn view(&self, app: &AppId) -> PathBuf {
        self.dir.join("view").join(app.as_str())
    }

    /// restic's arguments that say which repository.
    pub(super) fn addressed(&self, mut command: Command, repository: &Path) -> Command {
        // Whoever started the node may have a repository of his own in there.
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"RESTIC_") {
                command.env_remove(name);
            }
        }
        command.env("RESTIC_PROGRESS_FPS", "1");
        command.arg("--repo").arg(repository);
        command.arg("--password-file").arg(self.password()).arg("--cache-dir").arg(self.cache());
        command
    }

    /// restic, in the namespace.
    pub(super) fn program(&self) -> Command {
        self.addressed(inside("restic"), &self.repository())
    }

    /// Runs restic; a lock whose owner is dead is taken away, once.
    async fn call(&self, what: &'static str, arguments: &[String], mut line: impl FnMut(&str)) -> Result<()> {
        for attempt in 0.. {
            let mut command = self.program();
            command.args(arguments);
            let ended = namespace::run(command, what, &mut line).await?;
            match self.judge(what, &ended) {
                Err(VaultError::Locked { .. }) if attempt == 0 => self.unlock().await?,
                other => return other,
            }
        }
        Ok(())
    }

    pub(super) fn judge(&self, what: &'static str, ended: &Ended) -> Result<()> {
        if ended.status.success() { Ok(()) } else { Err(said::cause(what, &ended.said, &self.password())) }
    }

    /// Takes away the locks of processes that are dead, as restic itself makes sure.
    pub(super) async fn unlock(&self) -> Result<()> {
        namespace::end_orphans(&self.cache()).await?;
        let mut command = self.program();
        command.arg("unlock");
        simply(command, "taking away the locks of dead processes").await
    }

    pub(super) async fn snapshots(&self, tags: &str) -> Result<Vec<Listed>> {
        let mut json = String::new();
        let arguments = ["snapshots", "--json", "--tag", tags].map(str::to_owned);
        self.call("listing the snapshots", &arguments, |line| json.push_str(line)).await?;
        let wrong = |error: serde_json::Error| VaultError::Failed {
            what: "listing the snapshots",
            message: error.to_string(),
        };
        Ok(serde_json::from_str::<Option<Vec<Listed>>>(&json).map_err(wrong)?.unwrap_or_default())
    }

    /// Whether the program can write files with holes; Debian 12's cannot.
    async fn writes_holes(&self) -> Result<bool> {
        let known = *self.sparse.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        let mut command = Command::new("restic");
        command.args(["restore", "--help"]);
        let mut found = false;
        namespace::run(command, "asking restic what it can", |line| found |= line.contains("--sparse"))
            .await?;
        *self.sparse.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(found)
    }

    async fn make(&self) -> Result<()> {
        const WHAT: &str = "making the repository of backups";
        let fresh = self.dir.join("repository.new");
        match fs::remove_dir_all(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(WHAT)(error)),
            _ => {}
        }
        if !self.password().exists() {
            make_password(&self.password()).map_err(failed(WHAT))?;
        }
        let mut command = self.addressed(inside("restic"), &fresh);
        command.arg("init");
        let ended = namespace::run(command, WHAT, |_| ()).await?;
        self.judge(WHAT, &ended)?;
        fs::rename(&fresh, self.repository()).map_err(failed(WHAT))?;
        tracing::info!(repository = %self.repository().display(), "repository of backups made");
        Ok(())
    }
}

/// Writes a new password, whole or not at all.
fn make_password(path: &Path) -> io::Result<()> {
    let mut bytes = [0; PASSWORD];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// A pattern of restic that matches this text and no other.
pub(super) fn literally(path: &Path) -> String {
    let mut pattern = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Hashes the tar stream that a program prints; `prefix` comes before its names.
pub(super) async fn hashed(
    mut command: Command,
    what: &'static str,
    mut hasher: Hasher,
    (prefix, parts, excludes): (PathBuf, Vec<PathBuf>, Excludes),
    (progress, total): (Sink, Option<u64>),
) -> Result<(Hasher, Ended)> {
    command.stdin(Stdio::null());
    let mut group = Group::spawn(command).map_err(failed(what))?;
    let stream = group.stdout().and_then(|out| out.into_owned_fd()).map_err(failed(what))?;
    let done = AtomicU64::new(0);
    let read = tokio::task::spawn_blocking(move || {
        let seen = |bytes| progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
        let mut stream = io::BufReader::with_capacity(256 << 10, fs::File::from(stream));
        let read = hasher.add_tar(&mut stream, &prefix, &within(&parts, &excludes), &seen);
        // To its very end, or whoever prints it fails.
        read.and_then(|()| io::copy(&mut stream, &mut io::sink())).map(|_| hasher)
    });
    let (read, ended) = tokio::join!(read, group.ended());
    let ended = ended.map_err(failed(what))?;
    let lost = |error: tokio::task::JoinError| io::Error::other(error.to_string());
    match read.map_err(lost).and_then(|read| read) {
        Ok(hasher) => Ok((hasher, ended)),
        // Its own words tell the cause.
        Err(_) if !ended.status.success() => Ok((Hasher::default(), ended)),
        Err(error) => Err(failed(what)(error)),
    }
}

/// The arguments of tar that print what a digest needs.
pub(super) fn tar_arguments(command: &mut Command) {
    command.args([
        "--create",
        "--file=-",
        "--format=posix",
        "--hard-dereference",
        "--numeric-owner",
        "--xattrs",
    ]);
    command.args(ATTRIBUTES.map(|name| format!("--xattrs-include={name}")));
}

#[async_trait]
impl Vault for Restic {
    async fn open(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|dir| dir.join("restic").is_file()) {
            return Err(VaultError::Missing { program: "restic" });
        }
        let make = |dir: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        make(&self.dir).map_err(failed("making the folder of backups"))?;
        let is_first = !self.swept.load(Ordering::Relaxed);
        if is_first {
            namespace::end_orphans(&self.cache()).await?;
        }
        if !self.repository().exists() {
            self.make().await?;
        } else if !self.password().exists() {
            return Err(VaultError::WrongPassword { file: self.password() });
        }
        if is_first {
            self.unlock().await?;
            self.swept.store(true, Ordering::Relaxed);
        }
        self.call("opening the repository", &["cat".into(), "config".into()], |_| ()).await
    }

    async fn exists(&self) -> bool {
        self.repository().exists()
    }

    async fn snapshot(&self, request: &SnapshotRequest, progress: Sink) -> Result<Pending> {
        let _turn = self.turn.lock().await;
        self.write(request, progress).await
    }

    async fn read_back(&self, id: &SnapshotId, parts: &[String], progress: Sink) -> Result<Digest> {
        const WHAT: &str = "reading the snapshot back";
        let _turn = self.turn.lock().await;
        self.call("checking the repository", &["check".into()], |_| ()).await?;
        let mut command = self.program();
        command.args(["dump", "--archive", "tar", id.as_str(), "/"]);
        let parts = parts.iter().map(PathBuf::from).collect();
        let names = (PathBuf::new(), parts, Excludes::default());
        let (hasher, ended) = hashed(command, WHAT, Hasher::default(), names, (progress, None)).await?;
        self.judge(WHAT, &ended)?;
        Ok(hasher.finish())
    }

    async fn confirm(&self, pending: &Pending, digest: &Digest, parts: &[String]) -> Result<Snapshot> {
        let _turn = self.turn.lock().await;
        let mut arguments = vec!["tag".to_owned()];
        for tag in said::tags(pending, digest, parts) {
            arguments.extend(["--set".to_owned(), tag]);
        }
        arguments.push(pending.id.to_string());
        self.call("confirming the snapshot", &arguments, |_| ()).await?;
        let tags = format!("app:{},{VERIFIED}", pending.app);
        let all = self.snapshots(&tags).await?;
        let new = all.iter().find(|it| it.original.as_deref() == Some(pending.id.as_str()));
        new.and_then(Listed::confirmed).ok_or_else(|| VaultError::NotFound(pending.id.clone()))
    }

    async fn list(&self, app: Option<&AppId>) -> Result<Vec<Snapshot>> {
        let _turn = self.turn.lock().await;
        let tags = app.map_or(VERIFIED.to_owned(), |app| format!("app:{app},{VERIFIED}"));
        let mut found: Vec<Snapshot> =
            self.snapshots(&tags).await?.iter().filter_map(Listed::confirmed).collect();
        found.sort_by_key(|snapshot| snapshot.view.at);
        Ok(found)
    }

    async fn restore(&self, id: &SnapshotId, part: &str, into: &Path) -> Result<()> {
        let _turn = self.turn.lock().await;
        let mut arguments = ["restore", id.as_str(), "--include"].map(str::to_owned).to_vec();
        arguments.push(format!("/{}", literally(Path::new(part))));
        arguments.extend(["--target".to_owned(), into.display().to_string()]);
        let holes = self.writes_holes().await?;
        if holes {
            arguments.push("--sparse".into());
        }
        self.call("restoring", &arguments, |_| ()).await?;
        if !holes {
            let mut command = inside("find");
            command.arg(into).args(["-xdev", "-type", "f", "-size", SPARSE]);
            command.args(["-exec", "fallocate", "--dig-holes", "{}", ";"]);
            simply(command, "making holes in sparse files").await?;
        }
        let mut command = inside("sync");
        command.arg("--file-system").arg(into);
        simply(command, "writing the restored files to the disk").await
    }

    async fn size(&self, path: &Path) -> Result<u64> {
        const WHAT: &str = "measuring a folder";
        let mut command = inside("du");
        command.args(["--summarize", "--block-size=1"]).arg(path);
        let mut size = 0;
        let told =
            |line: &str| size = line.split('\t').next().and_then(|size| size.parse().ok()).unwrap_or(0);
        // Files that come and go meanwhile make it complain; it says a number all the same.
        namespace::run(command, WHAT, told).await?;
        Ok(size)
    }

    async fn digest(&self, parts: &[Part], progress: Sink) -> Result<Digest> {
        const WHAT: &str = "reading files";
        let mut hasher = Hasher::default();
        for part in parts {
            let mut command = inside("tar");
            tar_arguments(&mut command);
            command.arg("--directory").arg(&part.path).arg(".");
            let name = PathBuf::from(&part.name);
            let names = (name.clone(), vec![name], Excludes::default());
            let (more, ended) = hashed(command, WHAT, hasher, names, (progress.clone(), None)).await?;
            if !ended.status.success() {
                return Err(VaultError::Failed { what: WHAT, message: ended.said });
            }
            hasher = more;
        }
        Ok(hasher.finish())
    }

    async fn tidy(&self, app: &AppId) -> Result<()> {
        let _turn = self.turn.lock().await;
        let found = self.snapshots(&format!("app:{app},{PENDING}")).await?;
        if found.is_empty() {
            return Ok(());
        }
        let arguments: Vec<String> =
            ["forget".to_owned()].into_iter().chain(found.into_iter().map(|it| it.id)).collect();
        self.call("removing what was never confirmed", &arguments, |_| ()).await
    }

    async fn prune(&self, app: &AppId, keep: &Retention) -> Result<()> {
        let _turn = self.turn.lock().await;
        let mut arguments = ["forget", "--prune", "--group-by", "", "--tag"].map(str::to_owned).to_vec();
        arguments.push(format!("app:{app},{VERIFIED}"));
        let Retention { last, daily, weekly, monthly } = *keep;
        for (key, number) in
            [("last", last.max(1)), ("daily", daily), ("weekly", weekly), ("monthly", monthly)]
        {
            if number > 0 {
                arguments.extend([format!("--keep-{key}"), number.to_string()]);
            }
        }
        self.call("removing old snapshots", &arguments, |_| ()).await
    }

    fn free(&self, path: &Path) -> Result<u64> {
        let there = path.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
        let stat =
            rustix::fs::statvfs(there).map_err(|error| failed("looking for free space")(error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn place(&self) -> String {
        self.repository().display().to_string()
    }
}
