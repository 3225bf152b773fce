//! `podman system service` as a child of the node, for where nobody else runs it.

use crate::{EngineError, ProcessRef, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long the service may take to answer; the first start after a boot sets up the user's namespaces.
const READY: Duration = Duration::from_secs(20);
/// How long one attempt to reach it may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Pause between two attempts; a start takes some 100 ms.
const PAUSE: Duration = Duration::from_millis(20);

/// What Podman says when the process that holds its user namespace is gone, with containers and without.
const NAMESPACE_GONE: [&str; 2] = ["try resetting the pause process", "join the existing user namespace"];
/// As much of what the service said is read, in bytes.
const SAID: u64 = 64 * 1024;

/// A running `podman system service`.
///
/// It is in a process group of its own, so that an interrupt from the keyboard reaches the node alone.
/// Dropping it kills it. Containers live on: each has its `conmon`, which belongs to no group of ours.
#[derive(Debug)]
pub struct PodmanService {
    child: Child,
    socket: PathBuf,
}

impl PodmanService {
    /// Ends a service of an earlier life of the node that still listens on `socket`; containers live on.
    ///
    /// A node that was killed leaves its service behind.
    /// Only for a socket that is the caller's alone, since whoever listens there is killed.
    ///
    /// # Errors
    ///
    /// When the process that listens does not end.
    pub async fn end_earlier(socket: &Path) -> Result<()> {
        let Ok(Ok(stream)) = timeout(ATTEMPT, UnixStream::connect(socket)).await else { return Ok(()) };
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let process = pid.and_then(|pid| u32::try_from(pid).ok()).and_then(ProcessRef::of);
        let (Some(process), Some(pid)) = (process, pid.and_then(Pid::from_raw)) else { return Ok(()) };
        let exit = process.exit();
        tracing::info!(pid = process.pid, "service of an earlier life ended");
        // Gone by itself meanwhile is as good.
        let _ = kill_process(pid, Signal::KILL);
        let subject = socket.display().to_string();
        let late = |_| EngineError::Timeout { call: "kill", subject, after: ATTEMPT };
        match exit {
            Ok(exit) => timeout(ATTEMPT, exit).await.map_err(late),
            Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Starts the service on this socket and returns when it answers. What it says is appended to `log`.
    ///
    /// A socket file that nobody listens on is removed before; where somebody does, it is a `Conflict`.
    /// After a crash of the machine whose run folder survived, Podman finds the process gone that holds its user
    /// namespace: it is given a new one, once.
    pub async fn spawn(socket: PathBuf, log: &Path) -> Result<Self> {
        let refused = |error: io::Error| EngineError::Refused {
            subject: format!("log {}", log.display()),
            message: error.to_string(),
        };
        let before = std::fs::metadata(log).map_or(0, |meta| meta.len());
        match Self::begin(socket.clone(), open(log).map_err(refused)?).await {
            Err(EngineError::Unreachable { message }) => {
                let said = said_since(log, before).unwrap_or_default();
                if NAMESPACE_GONE.iter().any(|what| said.contains(what)) {
                    tracing::warn!(
                        said,
                        "podman lost its user namespace: migrating, which stops what still runs"
                    );
                    migrate(open(log).map_err(refused)?).await?;
                    return Self::begin(socket, open(log).map_err(refused)?).await;
                }
                let last =
                    said.lines().rfind(|line| line.contains("level=error") || line.starts_with("Error"));
                Err(unreachable(last.map_or(message.clone(), |line| format!("{message}: {line}"))))
            }
            other => other,
        }
    }

    async fn begin(socket: PathBuf, log: File) -> Result<Self> {
        clear(&socket).await?;
        let child = Command::new("podman")
            .args(["system", "service", "--time=0"])
            .arg(format!("unix://{}", socket.display()))
            // Meant for the node by whoever started it; Podman would listen on, or report to, something of ours.
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unreachable(format!("`podman` cannot be started: {error}")))?;
        let mut service = Self { child, socket };
        service.ready().await?;
        Ok(service)
    }

    /// Waits until the service answers.
    async fn ready(&mut self) -> Result<()> {
        let podman = podman_api::Podman::unix(&self.socket);
        let end = Instant::now() + READY;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| unreachable(error.to_string()))? {
                return Err(unreachable(format!("`podman system service` ended with {status}")));
            }
            if matches!(timeout(ATTEMPT, podman.ping()).await, Ok(Ok(_))) {
                return Ok(());
            }
            if Instant::now() > end {
                let subject = self.socket.display().to_string();
                return Err(EngineError::Timeout { call: "service", subject, after: READY });
            }
            sleep(PAUSE).await;
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process; `None` when it has ended and was waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the service ends by itself.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the service, waits for its end and removes the socket file. Containers live on.
    pub async fn kill(&mut self) -> io::Result<()> {
        // Only the service itself: a `conmon` that is just being started is in its group for a moment.
        self.child.kill().await?;
        match std::fs::remove_file(&self.socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn open(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}

/// What was written to the log from this place on.
fn said_since(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(start))?;
    let mut said = Vec::new();
    file.take(SAID).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Lets Podman make a new user namespace.
async fn migrate(log: File) -> Result<()> {
    if let Some(run) = std::env::var_os("XDG_RUNTIME_DIR") {
        let holder = Path::new(&run).join("libpod/tmp/pause.pid");
        let pid = std::fs::read_to_string(&holder).ok().and_then(|pid| pid.trim().parse().ok());
        if pid.is_some_and(|pid| ProcessRef::of(pid).is_none()) {
            // Gone already is as good.
            let _ = std::fs::remove_file(holder);
        }
    }
    let mut command = Command::new("podman");
    command
        .args(["system", "migrate"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    match timeout(READY, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(unreachable(format!("`podman system migrate` ended with {status}"))),
        Ok(Err(error)) => Err(unreachable(format!("`podman` cannot be started: {error}"))),
        Err(_) => {
            Err(EngineError::Timeout { call: "service", subject: "system migrate".to_owned(), after: READY })
        }
    }
}

/// Makes way for a new socket.
async fn clear(socket: &Path) -> Result<()> {
    let subject = || format!("socket {}", socket.display());
    let refused = |error: io::Error| EngineError::Refused { subject: subject(), message: error.to_string() };
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    match timeout(ATTEMPT, UnixStream::connect(socket)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(socket).map_err(refused)
        }
        Ok(Err(error)) => Err(refused(error)),
        Ok(Ok(_)) | Err(_) => {
            let message = "another process listens on it".to_owned();
            Err(EngineError::Conflict { subject: subject(), message })
        }
    }
}

fn unreachable(message: String) -> EngineError {
    EngineError::Unreachable { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_on_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sub/podman.sock");
        clear(&socket).await.unwrap();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(clear(&socket).await, Err(EngineError::Conflict { .. })));
        drop(listener);
        assert!(socket.exists());
        clear(&socket).await.unwrap();
        assert!(!socket.exists());
    }
}
