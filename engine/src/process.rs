//! Processes of this host: what they are, and their end, from the kernel.

use crate::{EngineError, ProcessRef, Result};
use futures_util::future::BoxFuture;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::process::Stdio;
use tokio::{
    io::{Interest, unix::AsyncFd},
    process::Command,
};

impl ProcessRef {
    /// The process that has this pid now; `None` where there is none or it is a zombie of the kernel.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, start_time: parse_stat(&stat)? })
    }

    /// Whether it only has the pid of a container's init process, which was the child of this monitor and started at
    /// this time (ms since the Unix epoch).
    ///
    /// A child of the monitor is the one. Without that proof only a process that is far too young is held for another:
    /// the wall clock may have been set since.
    pub(crate) fn is_another(self, monitor: u32, started_at: Option<u64>) -> bool {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) else { return true };
        let parent =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        if monitor != 0 && parent == Some(monitor) {
            return false;
        }
        let (Some(started_at), Some(boot)) = (started_at, boot_time()) else { return false };
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        boot + self.start_time * 1000 / ticks > started_at + TOO_YOUNG
    }

    /// Resolves when this process has ended; see [`crate::Engine::exit_of`].
    pub(crate) fn exit(self) -> Result<BoxFuture<'static, ()>> {
        let gone = || EngineError::NotFound { subject: format!("process {}", self.pid) };
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let broken = |error: std::io::Error| EngineError::Broken {
            subject: format!("process {}", self.pid),
            message: format!("its end cannot be watched: {error}"),
        };
        let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => gone(),
            error => broken(error.into()),
        })?;
        // From here on the descriptor names one process for ever; whether it is the right one is read only now.
        if Self::of(self.pid) != Some(self) {
            return Err(gone());
        }
        #[expect(deprecated, reason = "sound for an OwnedFd, and its successor is unsafe to call")]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE).map_err(broken)?;
        Ok(Box::pin(async move {
            if fd.readable().await.is_err() {
                // Only a runtime that shuts down fails here; that says nothing about the process.
                std::future::pending::<()>().await;
            }
        }))
    }
}

/// Milliseconds after which a process is too young to be a container's first.
const TOO_YOUNG: u64 = 60_000;

/// When the machine was started, in milliseconds since the Unix epoch.
fn boot_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(seconds * 1000)
}

/// Kills what the monitor of this container still watches, and the monitor.
///
/// The monitor's command line names the container in full, so that no other process is ever meant.
pub(crate) async fn reap(id: &str) -> Result<()> {
    let id = id.to_owned();
    let found = tokio::task::spawn_blocking(move || left_of(&id)).await;
    for process in found.unwrap_or_default() {
        tracing::warn!(pid = process.pid, "process of a container that the engine has forgotten is killed");
        kill(process).await?;
    }
    Ok(())
}

/// The processes below the monitor first.
fn left_of(id: &str) -> Vec<ProcessRef> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_monitor = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(b"conmon"))
            && words.any(|word| word == id.as_bytes())
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let below = |pid: u32| {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children: Vec<u32> =
            children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        children.into_iter().chain([pid])
    };
    pids.filter(is_monitor).flat_map(below).filter_map(ProcessRef::of).collect()
}

async fn kill(process: ProcessRef) -> Result<()> {
    let broken =
        |message: String| EngineError::Broken { subject: format!("process {}", process.pid), message };
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| ProcessRef::of(process.pid) == Some(process)) else { return Ok(()) };
    match kill_process(pid, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        // It belongs to another user of the container's user namespace.
        Err(rustix::io::Errno::PERM) => {
            let mut command = Command::new("podman");
            command.args(["unshare", "kill", "-9", &process.pid.to_string()]).stdin(Stdio::null());
            let output = command.output().await.map_err(|error| broken(error.to_string()))?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(broken(said)) }
        }
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Field 22, unless field 3 says that the process has ended. The name in field 2 may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn start_time_is_read_behind_a_hostile_name() {
        let stat = "12 (a) Z (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(stat), Some(4242));
        assert_eq!(parse_stat(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_process_that_is_far_younger_than_the_container_is_another_one() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_millis()).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = ProcessRef::of(child.id()).unwrap();
        let me = std::process::id();
        assert!(!process.is_another(me, Some(0)), "its parent is the monitor");
        assert!(!process.is_another(1, Some(now)), "its age fits");
        assert!(process.is_another(1, Some(now - 3_600_000)));
        assert!(!process.is_another(0, None), "nothing speaks against it");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn end_of_a_process_is_told_by_the_kernel() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = ProcessRef::of(child.id()).unwrap();
        let exit = process.exit().unwrap();
        child.kill().unwrap();
        exit.await;
        // It is not reaped yet: a zombie counts as gone.
        assert_eq!(ProcessRef::of(child.id()), None);
        assert!(matches!(process.exit().err(), Some(EngineError::NotFound { .. })));
        child.wait().unwrap();
        assert!(matches!(process.exit().err(), Some(EngineError::NotFound { .. })));
    }

    #[tokio::test]
    async fn another_process_of_the_same_pid_is_not_watched() {
        let me = ProcessRef::of(std::process::id()).unwrap();
        let other = ProcessRef { start_time: me.start_time + 1, ..me };
        assert!(matches!(other.exit().err(), Some(EngineError::NotFound { .. })));
    }
}
