//! The single checks. What is read from the machine is judged by pure functions.

use super::{Check, Verdict};
use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

/// Ids that a user needs for containers with users of their own.
const IDS: u64 = 65_536;
/// Below this much free disk a node is in danger.
const DISK_LOW: u64 = 1 << 30;
/// Below this much free disk images may not fit.
const DISK_TIGHT: u64 = 10 << 30;

/// Everything, in the order in which a node needs it.
pub(super) fn all(data_dir: &Path) -> Vec<Check> {
    let user = user();
    vec![
        podman(),
        tool("newuidmap", "uidmap"),
        tool("newgidmap", "uidmap"),
        backups(tool("restic", "restic")),
        ids("subuid", &read("/etc/subuid"), &user),
        ids("subgid", &read("/etc/subgid"), &user),
        namespaces(&read("/proc/sys/user/max_user_namespaces")),
        cgroups(&read("/sys/fs/cgroup/cgroup.controllers")),
        runtime_dir(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)),
        port(),
        disk(data_dir),
        time(Path::new("/run/systemd/timesync/synchronized").exists(), Path::new("/run/chrony").exists()),
        data(data_dir),
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Name and number of the user, either of which `/etc/subuid` may have.
fn user() -> (String, u32) {
    let uid = rustix::process::getuid().as_raw();
    let passwd = read("/etc/passwd");
    let own = |line: &&str| line.split(':').nth(2) == Some(&uid.to_string());
    let name = passwd.lines().find(own).and_then(|line| line.split(':').next()).unwrap_or_default();
    (name.to_owned(), uid)
}

fn podman() -> Check {
    const NAME: &str = "podman";
    if rustix::process::getuid().is_root() {
        return Check::warning(
            NAME,
            "this is root, and containers are another user's",
            "run it as the node's user: archipelago/setup/as-user.sh archy doctor",
        );
    }
    let install = "install it: apt-get install -y podman";
    let Ok(output) = Command::new("podman")
        .args(["info", "--format", "{{.Host.Security.Rootless}} {{.Version.Version}}"])
        .output()
    else {
        return Check::failing(NAME, "not installed", install);
    };
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().split_once(' ') {
        Some(("true", version)) => Check::ok(NAME, format!("rootless, version {version}")),
        Some((_, version)) => {
            Check::failing(NAME, format!("version {version}, not rootless"), "run it as an ordinary user")
        }
        None => {
            let error = String::from_utf8_lossy(&output.stderr);
            let last = error.lines().last().unwrap_or("it says nothing").to_owned();
            Check::failing(NAME, format!("it does not work: {last}"), "see the checks below")
        }
    }
}

fn tool(name: &'static str, package: &str) -> Check {
    let path = env::var_os("PATH").unwrap_or_default();
    match env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()) {
        Some(file) => Check::ok(name, file.display().to_string()),
        None => Check::failing(name, "not found", format!("install it: apt-get install -y {package}")),
    }
}

/// A node without it does everything else.
fn backups(found: Check) -> Check {
    match found.verdict {
        Verdict::Failing => Check {
            verdict: Verdict::Warning,
            found: "not found: there are no backups without it".into(),
            ..found
        },
        _ => found,
    }
}

fn ids(name: &'static str, text: &str, (user, uid): &(String, u32)) -> Check {
    let own = text.lines().filter_map(|line| {
        let mut parts = line.trim().split(':');
        let (whom, _, count) = (parts.next()?, parts.next()?, parts.next()?);
        (whom == user || whom == uid.to_string()).then(|| count.parse::<u64>().ok()).flatten()
    });
    let count: u64 = own.sum();
    let flag = if name == "subuid" { "--add-subuids" } else { "--add-subgids" };
    let remedy = format!("as root: usermod {flag} 100000-165535 {user}, then podman system migrate");
    match count {
        _ if *uid == 0 => Check::ok(name, "not needed by root"),
        0 => Check::failing(name, format!("none for {user}"), remedy),
        count if count < IDS => Check::failing(name, format!("{count} for {user}, {IDS} are needed"), remedy),
        count => Check::ok(name, format!("{count} for {user}")),
    }
}

fn namespaces(text: &str) -> Check {
    const NAME: &str = "namespaces";
    match text.trim().parse::<u64>() {
        Ok(0) => {
            Check::failing(NAME, "users may make none", "as root: sysctl user.max_user_namespaces=15000")
        }
        Ok(count) => Check::ok(NAME, format!("up to {count}")),
        Err(_) => Check::warning(NAME, "the kernel does not tell", "see that user namespaces are built in"),
    }
}

fn cgroups(controllers: &str) -> Check {
    const NAME: &str = "cgroups";
    let missing: Vec<&str> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|name| !controllers.split_whitespace().any(|c| c == *name))
        .collect();
    if controllers.trim().is_empty() {
        return Check::warning(
            NAME,
            "not version 2",
            "boot with systemd.unified_cgroup_hierarchy=1; without it apps have no limits",
        );
    }
    if missing.is_empty() {
        return Check::ok(NAME, format!("version 2: {}", controllers.trim()));
    }
    Check::warning(
        NAME,
        format!("version 2 without {}", missing.join(", ")),
        "these limits of apps have no effect",
    )
}

fn runtime_dir(dir: Option<PathBuf>) -> Check {
    const NAME: &str = "runtime";
    let remedy = "as root: loginctl enable-linger <user>, and log in anew";
    match dir {
        Some(dir) if dir.is_dir() => Check::ok(NAME, dir.display().to_string()),
        Some(dir) => Check::failing(NAME, format!("{} is not there", dir.display()), remedy),
        None => Check::warning(NAME, "XDG_RUNTIME_DIR is not set; /tmp is used", remedy),
    }
}

fn port() -> Check {
    const NAME: &str = "ports";
    // The node's own port may be taken by the node; that others can be had shows that the network works.
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        return Check::failing(NAME, format!("none can be had: {error}"), "see that the interface lo is up");
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 8_420)) {
        Ok(_) => Check::ok(NAME, "8420 is free"),
        Err(_) => Check::ok(NAME, "8420 is taken; by the node, if it runs"),
    }
}

fn disk(dir: &Path) -> Check {
    const NAME: &str = "disk";
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(stat) => judge_disk(there, stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_favail),
        Err(error) => {
            Check::warning(NAME, format!("{}: {error}", there.display()), "check the data directory")
        }
    }
}

fn judge_disk(dir: &Path, free: u64, inodes: u64) -> Check {
    const NAME: &str = "disk";
    let found = format!("{:.1} GiB free in {}", free as f64 / f64::from(1 << 30), dir.display());
    let remedy = "make room; podman image prune removes images that nobody uses";
    if free < DISK_LOW || (inodes > 0 && inodes < 10_000) {
        return Check::failing(NAME, format!("{found}, {inodes} files"), remedy);
    }
    if free < DISK_TIGHT { Check::warning(NAME, found, remedy) } else { Check::ok(NAME, found) }
}

fn time(systemd: bool, chrony: bool) -> Check {
    const NAME: &str = "time";
    match (systemd, chrony) {
        (true, _) => Check::ok(NAME, "kept by systemd-timesyncd"),
        (_, true) => Check::ok(NAME, "kept by chrony"),
        _ => Check::warning(
            NAME,
            "nobody is known to keep it right",
            "install one: apt-get install -y systemd-timesyncd; codes of the second factor need the right time",
        ),
    }
}

fn data(dir: &Path) -> Check {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    const NAME: &str = "data";
    let Ok(meta) = fs::metadata(dir) else {
        return Check::ok(NAME, format!("{} is made by the node", dir.display()));
    };
    let found = format!("{}, mode {:o}", dir.display(), meta.permissions().mode() & 0o777);
    if meta.uid() != rustix::process::getuid().as_raw() {
        return Check::failing(
            NAME,
            format!("{found}, of another user"),
            "give it to the node's user with chown",
        );
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Check::failing(NAME, found, format!("chmod 700 {}", dir.display()));
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ids_are_found_by_name_or_number_and_added_up() {
        let me = ("node".to_owned(), 1_000);
        let verdict = |text: &str| ids("subuid", text, &me).verdict;
        assert_eq!(verdict("node:100000:65536\n"), Verdict::Ok);
        assert_eq!(verdict("other:1:65536\n1000:100000:65536"), Verdict::Ok);
        assert_eq!(verdict("node:100000:30000\nnode:200000:40000"), Verdict::Ok);
        assert_eq!(verdict("node:100000:1000\n"), Verdict::Failing);
        assert_eq!(verdict("other:100000:65536\n"), Verdict::Failing);
        assert_eq!(verdict(""), Verdict::Failing);
        assert!(ids("subgid", "", &me).remedy.unwrap().contains("--add-subgids"));
    }

    #[test]
    fn a_node_without_restic_works_without_backups() {
        let absent = backups(tool("archipelago-no-such-tool", "restic"));
        assert_eq!(
            (absent.verdict, absent.remedy.as_deref()),
            (Verdict::Warning, Some("install it: apt-get install -y restic"))
        );
        assert_eq!(backups(tool("sh", "dash")).verdict, Verdict::Ok);
    }

    #[test]
    fn what_is_missing_is_told_with_its_remedy() {
        assert_eq!(namespaces("0\n").verdict, Verdict::Failing);
        assert_eq!(namespaces("100\n").verdict, Verdict::Ok);
        assert_eq!(cgroups("cpuset cpu io memory pids\n").verdict, Verdict::Ok);
        assert!(cgroups("cpu\n").found.contains("memory, pids"));
        assert_eq!(cgroups("").verdict, Verdict::Warning);
        assert_eq!(judge_disk(Path::new("/"), 1 << 20, 1_000_000).verdict, Verdict::Failing);
        assert_eq!(judge_disk(Path::new("/"), 5 << 30, 1_000_000).verdict, Verdict::Warning);
        assert_eq!(judge_disk(Path::new("/"), 50 << 30, 5).verdict, Verdict::Failing, "no more files");
        assert_eq!(
            judge_disk(Path::new("/"), 50 << 30, 0).verdict,
            Verdict::Ok,
            "a disk that does not count them"
        );
        assert_eq!(time(false, false).verdict, Verdict::Warning);
    }
}
