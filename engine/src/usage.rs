//! What a container uses of the machine, read from the kernel.
//!
//! Where it has a group of its own (cgroup v2, `libpod-<id>`), processor time and memory are the group's. Otherwise they are
//! the sums over its processes: its first one and all below, which is where orphans of a container go.

use crate::{EngineError, ProcessRef, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a container uses. Counters begin anew with its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time so far.
    pub cpu: Duration,
    /// Memory in use, in bytes; what processes share is counted once.
    pub memory_bytes: u64,
    /// Memory that it may use, in bytes; `None` without a limit.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes received over its networks.
    pub rx_bytes: u64,
    /// Bytes sent over its networks.
    pub tx_bytes: u64,
    /// Bytes read from block devices.
    pub read_bytes: u64,
    /// Bytes written to block devices.
    pub write_bytes: u64,
    /// Processes.
    pub pids: u32,
}

/// Deeper trees than this are no container's.
const DEPTH: usize = 64;

/// What the container with this first process uses.
pub(crate) fn of(process: ProcessRef) -> Result<Usage> {
    let usage = Kernel::default().usage(process.pid);
    // Whose numbers these are is known only now.
    if ProcessRef::of(process.pid) == Some(process) {
        Ok(usage)
    } else {
        Err(EngineError::NotFound { subject: format!("process {}", process.pid) })
    }
}

/// The kernel's files.
struct Kernel {
    proc: PathBuf,
    cgroup: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

impl Kernel {
    /// A process that ends meanwhile counts as nothing.
    fn usage(&self, pid: u32) -> Usage {
        let mut pids = Vec::new();
        self.below(pid, DEPTH, &mut pids);
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let mut usage = Usage { pids: u32::try_from(pids.len()).unwrap_or(u32::MAX), ..Usage::default() };
        let group = self.group(pid);
        for pid in &pids {
            let file = |name: &str| text(&self.proc.join(pid.to_string()).join(name));
            let io = file("io");
            usage.read_bytes += value(&io, "read_bytes:");
            usage.write_bytes += value(&io, "write_bytes:");
            if group.is_none() {
                usage.cpu += Duration::from_millis(cpu_ticks(&file("stat")) * 1000 / ticks);
                usage.memory_bytes += 1024 * memory_kib(&file("smaps_rollup"), &file("status"));
            }
        }
        if let Some(group) = group {
            let file = |name: &str| text(&group.join(name));
            usage.cpu = Duration::from_micros(value(&file("cpu.stat"), "usage_usec"));
            // Cache that is not in use goes as soon as somebody needs the memory.
            let idle = value(&file("memory.stat"), "inactive_file");
            let current: u64 = file("memory.current").trim().parse().unwrap_or_default();
            usage.memory_bytes = current.saturating_sub(idle);
            usage.memory_limit_bytes = file("memory.max").trim().parse().ok();
        }
        (usage.rx_bytes, usage.tx_bytes) = traffic(&text(&self.proc.join(format!("{pid}/net/dev"))));
        usage
    }

    /// A process and all below it.
    fn below(&self, pid: u32, depth: usize, pids: &mut Vec<u32>) {
        let threads = fs::read_dir(self.proc.join(format!("{pid}/task")));
        let Some(depth) = depth.checked_sub(1) else { return };
        let Ok(threads) = threads else { return };
        pids.push(pid);
        for thread in threads.flatten() {
            for child in text(&thread.path().join("children")).split_ascii_whitespace() {
                if let Ok(child) = child.parse() {
                    self.below(child, depth, pids);
                }
            }
        }
    }

    /// The control group that is the container's alone.
    fn group(&self, pid: u32) -> Option<PathBuf> {
        let line = text(&self.proc.join(format!("{pid}/cgroup")));
        let path = line.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let own = path.split('/').position(|part| part.starts_with("libpod-") && !part.contains("conmon"))?;
        let path: PathBuf = path.split('/').take(own + 1).collect();
        Some(self.cgroup.join(path)).filter(|group| group.join("memory.current").exists())
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number behind a word at the beginning of a line.
fn value(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Fields 14 to 17: its own time and that of the children that it has waited for.
fn cpu_ticks(stat: &str) -> u64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_ascii_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Its share of the memory that it has; of all that it has where the shares are not told.
fn memory_kib(smaps: &str, status: &str) -> u64 {
    match value(smaps, "Pss:") {
        0 => value(status, "RssAnon:") + value(status, "RssShmem:"),
        share => share,
    }
}

/// Received and sent, over all interfaces but the loopback.
fn traffic(dev: &str) -> (u64, u64) {
    let interfaces = dev.lines().filter_map(|line| line.split_once(':'));
    let outside = interfaces.filter(|(name, _)| name.trim() != "lo");
    outside.fold((0, 0), |(rx, tx), (_, numbers)| {
        let numbers: Vec<u64> = numbers.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
        let at = |field: usize| numbers.get(field).copied().unwrap_or_default();
        (rx + at(0), tx + at(8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files under a folder.
    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    fn kernel() -> (tempfile::TempDir, Kernel) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let kernel = Kernel { proc: at("proc"), cgroup: at("cgroup") };
        write(
            &kernel.proc,
            &[
                ("7/stat", "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 100 50 7 3 20 0 1"),
                ("7/task/7/children", "8 "),
                ("7/task/9/children", "10"),
                ("7/smaps_rollup", "00-ff ---p\nRss: 900 kB\nPss: 100 kB\n"),
                ("7/io", "rchar: 5\nread_bytes: 4096\nwrite_bytes: 10\n"),
                (
                    "7/net/dev",
                    "Inter-| Receive\n face |bytes\n  lo: 9 1 0 0 0 0 0 0 9 1\neth0: 1000 5 0 0 0 0 0 0 300 4 0\n",
                ),
                ("8/stat", "8 (sh) S 7 7 7 0 -1 0 0 0 0 0 40 0 0 0 20 0 1"),
                ("8/task/8/children", ""),
                ("8/status", "Name: sh\nRssAnon: 20 kB\nRssFile: 90 kB\nRssShmem: 4 kB\n"),
                ("8/io", "read_bytes: 1\nwrite_bytes: 2\n"),
            ],
        );
        (dir, kernel)
    }

    #[test]
    fn without_a_group_of_its_own_the_processes_are_summed_up() {
        let (_dir, kernel) = kernel();
        let usage = kernel.usage(7);
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(
            usage.cpu,
            Duration::from_millis(160 * 1000 / ticks) + Duration::from_millis(40 * 1000 / ticks)
        );
        assert_eq!((usage.memory_bytes, usage.memory_limit_bytes), (124 * 1024, None));
        assert_eq!((usage.rx_bytes, usage.tx_bytes), (1000, 300));
        assert_eq!((usage.read_bytes, usage.write_bytes), (4097, 12));
        assert_eq!(usage.pids, 2, "the one that a thread has started is gone already");
    }

    #[test]
    fn a_group_of_its_own_knows_better() {
        let (_dir, kernel) = kernel();
        write(&kernel.proc, &[("7/cgroup", "0::/user.slice/libpod-abc.scope/container\n")]);
        assert_eq!(kernel.usage(7).pids, 2, "a group that cannot be read is none");
        write(
            &kernel.cgroup,
            &[
                ("user.slice/libpod-abc.scope/memory.current", "5000\n"),
                ("user.slice/libpod-abc.scope/memory.stat", "anon 1\ninactive_file 1000\n"),
                ("user.slice/libpod-abc.scope/memory.max", "8000\n"),
                ("user.slice/libpod-abc.scope/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
            ],
        );
        let usage = kernel.usage(7);
        assert_eq!((usage.cpu, usage.memory_bytes), (Duration::from_millis(2500), 4000));
        assert_eq!(usage.memory_limit_bytes, Some(8000));
        write(&kernel.cgroup, &[("user.slice/libpod-abc.scope/memory.max", "max\n")]);
        assert_eq!(kernel.usage(7).memory_limit_bytes, None);
    }

    #[test]
    fn this_very_process_is_measured_and_one_that_is_gone_is_not() {
        let me = ProcessRef::of(std::process::id()).unwrap();
        let usage = of(me).unwrap();
        assert!(usage.memory_bytes > 100_000 && usage.pids >= 1, "{usage:?}");
        let another = ProcessRef { start_time: me.start_time + 1, ..me };
        assert!(matches!(of(another), Err(EngineError::NotFound { .. })));
    }
}
