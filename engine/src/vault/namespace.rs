//! Processes in the user namespace of the containers, where all their files can be read and written.
//!
//! Arguments are given one by one, never through a shell. What is begun here is in a process group of its own, which
//! is killed when nobody waits for it any more.

use super::{Part, Result, VaultError};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// As much is kept of what a program says about its failure, in bytes.
const SAID: usize = 64 << 10;

/// How a program ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The beginning of what it said on its standard error.
    pub(super) said: String,
}

/// A program as the root of that namespace.
pub(super) fn inside(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("podman");
    command.arg("unshare").arg(program);
    command
}

pub(super) fn failed(what: &'static str) -> impl Fn(io::Error) -> VaultError {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            VaultError::NoSpace { message: error.to_string() }
        }
        _ => VaultError::Failed { what, message: error.to_string() },
    }
}

/// A program and all that it has begun.
pub(super) struct Group {
    child: Child,
}

impl Group {
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child })
    }

    pub(super) fn stdout(&mut self) -> io::Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for the end, while somebody else reads what it prints.
    pub(super) async fn ended(&mut self) -> io::Result<Ended> {
        let said = match self.child.stderr.take() {
            Some(stderr) => beginning(stderr).await?,
            None => String::new(),
        };
        Ok(Ended { status: self.child.wait().await?, said })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once it was waited for, its number may be another's.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Reads to the end and keeps the beginning.
async fn beginning(mut from: impl AsyncRead + Unpin) -> io::Result<String> {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 8 << 10]);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&kept).trim().to_owned());
        }
        let room = SAID.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
}

/// Runs a program to its end and hands out each line that it prints.
pub(super) async fn run(
    mut command: Command,
    what: &'static str,
    mut line: impl FnMut(&str),
) -> Result<Ended> {
    command.stdin(Stdio::null());
    let mut group = Group::spawn(command).map_err(failed(what))?;
    let mut lines = BufReader::new(group.stdout().map_err(failed(what))?).lines();
    let printed = async {
        while let Some(text) = lines.next_line().await? {
            line(&text);
        }
        Ok(())
    };
    let (printed, ended) = tokio::join!(printed, group.ended());
    printed.map_err(failed(what))?;
    ended.map_err(failed(what))
}

/// The same for a program that prints nothing of interest and whose failure nobody has to tell apart.
pub(super) async fn simply(command: Command, what: &'static str) -> Result<()> {
    let ended = run(command, what, |_| ()).await?;
    if ended.status.success() {
        return Ok(());
    }
    if ended.said.contains("No space left on device") {
        return Err(VaultError::NoSpace { message: ended.said });
    }
    Err(VaultError::Failed { what, message: ended.said })
}

/// Parts under their stable names in one folder, which is seen by those who are told of it only, and read-only.
pub(super) struct View {
    /// Ends when its standard input does, so also with the node.
    _holder: (Group, Option<ChildStdin>),
    pid: u32,
    root: PathBuf,
}

impl View {
    /// Mounts the parts below `root`, a folder for nothing else.
    pub(super) async fn new(root: &Path, parts: &[Part]) -> Result<Self> {
        const WHAT: &str = "showing the app's files under their names in the backup";
        for part in parts {
            let place = root.join(&part.name);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(failed(WHAT))?;
        }
        let mut holder = inside("unshare");
        // It says its own number, then does nothing.
        holder.args(["--mount", "--propagation", "private", "cat", "/proc/self/stat", "-"]);
        holder.stdin(Stdio::piped());
        let mut holder = Group::spawn(holder).map_err(failed(WHAT))?;
        let mut first = String::new();
        let mut said = BufReader::new(holder.stdout().map_err(failed(WHAT))?);
        said.read_line(&mut first).await.map_err(failed(WHAT))?;
        let Some(pid) = first.split(' ').next().and_then(|pid| pid.parse().ok()) else {
            let message = holder.ended().await.map_err(failed(WHAT))?.said;
            return Err(VaultError::Failed { what: WHAT, message });
        };
        let stdin = holder.stdin();
        let view = Self { _holder: (holder, stdin), pid, root: root.to_owned() };
        for part in parts {
            let mut mount = view.enter();
            mount.args(["mount", "--bind", "-o", "ro"]).arg(&part.path).arg(root.join(&part.name));
            simply(mount, WHAT).await?;
        }
        Ok(view)
    }

    fn enter(&self) -> Command {
        let mut command = inside("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.pid));
        command
    }

    /// A program that finds the parts in its working directory.
    pub(super) fn inside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.enter();
        command.arg("env").arg(format!("--chdir={}", self.root.display())).arg(program);
        command
    }
}

/// Kills programs of an earlier life of the node that work on the repository: those that use its own cache.
pub(super) async fn end_orphans(cache: &Path) -> Result<()> {
    const WHAT: &str = "ending a backup program of an earlier life";
    let cache = cache.as_os_str().as_encoded_bytes().to_owned();
    let find = move || {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.next().is_some_and(|program| program.ends_with(b"restic"))
                && words.any(|word| word == cache)
        };
        pids.filter(is_ours).filter_map(crate::ProcessRef::of).collect::<Vec<_>>()
    };
    let found = tokio::task::spawn_blocking(find).await.unwrap_or_default();
    for process in found {
        tracing::warn!(pid = process.pid, "backup program of an earlier life killed");
        let Ok(exit) = process.exit() else { continue };
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Gone by itself meanwhile is as good; in the namespace of the containers its user is ours.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        let late =
            |_| VaultError::Failed { what: WHAT, message: format!("process {} does not end", process.pid) };
        tokio::time::timeout(std::time::Duration::from_secs(10), exit).await.map_err(late)?;
    }
    Ok(())
}
