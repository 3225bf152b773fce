//! What is done by hand beside the node: restic itself, and looking at files as the containers' users have them.

use crate::{
    fault::support::{Rig, Stack},
    node::support::{BOUND, podman, variable},
};
use protocol::{
    BackupView, Command, OpId, OpView, Row, StageState,
    client::{Auth, Client, ClientError},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Output},
};
use tokio::time::Instant;

pub(super) const KEPT: &str = include_str!("kept.yml");

/// Runs a command of redis in the app's container.
pub(super) fn redis(stack: &Stack, words: &[&str]) -> String {
    let script = "REDISCLI_AUTH=$(cat /run/secrets/pass) exec redis-cli \"$@\"";
    podman(&[&["exec", &stack.container("db"), "sh", "-c", script, "sh"], words].concat())
}

/// Runs a script in the user namespace of the containers.
fn unshare(script: &str, args: &[&Path]) -> String {
    let mut command = process::Command::new("podman");
    let output = command.args(["unshare", "sh", "-c", script, "sh"]).args(args).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below a folder with its rights, owner, target, attributes and the hash of its content.
pub(super) fn listing(path: &Path) -> Vec<String> {
    let script =
        "cd \"$1\" && LC_ALL=C find . ! -name '*\n*' -printf '%p %y %m %U:%G %n %l\\n' | LC_ALL=C sort \
        && find . -type f -exec sha256sum {} + | LC_ALL=C sort && python3 -c '
import os, sys
for folder, _, files in os.walk(\".\"):
    for name in sorted(files):
        path = os.path.join(folder, name)
        if os.path.islink(path) or not os.path.isfile(path): continue
        for key in os.listxattr(path): print(path, key, os.getxattr(path, key))'";
    unshare(script, &[path]).lines().map(str::to_owned).collect()
}

/// Runs the command-line tool.
pub(super) fn archy(rig: &Rig, args: &[&str]) -> Output {
    let mut command = process::Command::new(variable("ARCHY_BIN"));
    command.arg("--data-dir").arg(rig.dir.path().join("data")).args(args).stdin(process::Stdio::null());
    command.output().expect("ARCHY_BIN can be run")
}

/// The same, and expects a good end.
pub(super) fn done(rig: &Rig, args: &[&str]) {
    let output = archy(rig, args);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{args:?}: {said}\n{}", rig.log());
}

/// What `archy backups --json` has printed.
pub(super) fn backups(output: &Output) -> Vec<BackupView> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Begins a backup, or a restore of the last one.
pub(super) async fn begin(rig: &Rig, stack: &Stack, what: &str) -> OpId {
    let app = stack.id.parse().unwrap();
    // A client of its own: the connection of one that was not looked at for seconds is closed by now.
    let data = rig.dir.path().join("data");
    let read = |name: &str| fs::read_to_string(data.join(name)).unwrap().trim().to_owned();
    let client = Client::new(&read("url"), Auth::Bearer(read("owner-token"))).unwrap();
    if what == "backup" {
        return client.command(&Command::Backup { app }, None).await.unwrap().op_id;
    }
    let path = format!("/api/v1/apps/{app}/backups");
    let snapshot = client.get::<Vec<BackupView>>(&path).await.unwrap().pop().unwrap().id;
    let command = Command::Restore { app, snapshot };
    let refused = client.command(&command, None).await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    let token = refused.confirm.unwrap().token;
    client.command_confirmed(&command, &token).await.unwrap().op_id
}

/// Waits until a stage of an operation runs, or the operation has ended.
pub(super) async fn until_stage(rig: &mut Rig, op: &OpId, key: &str) {
    let reached = |view: &OpView| {
        let running = |it: &protocol::Stage| it.key == key && it.state == StageState::Running;
        view.id == *op && (view.state.is_terminal() || view.stages.iter().any(running))
    };
    let end = Instant::now() + BOUND;
    while !rig.history.iter().any(|(_, row)| matches!(row, Row::Op(view) if reached(view))) {
        rig.next(end).await;
    }
}

/// The command lines of all processes on this machine.
pub(super) fn arguments_of_all() -> Vec<String> {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let lines = folders.filter_map(|folder| fs::read(folder.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

impl Rig {
    /// Waits for the end of an operation, and looks at the machine at each of its rows.
    pub(super) async fn watched(&mut self, op: &OpId, mut look: impl FnMut()) -> OpView {
        let end = Instant::now() + BOUND;
        loop {
            look();
            let ended = |row: &Row| match row {
                Row::Op(view) if view.id == *op && view.state.is_terminal() => Some((**view).clone()),
                _ => None,
            };
            if let Some(view) = self.history.iter().find_map(|(_, row)| ended(row)) {
                return view;
            }
            self.next(end).await;
        }
    }
}

/// The repository, without the node.
pub(super) struct Hand {
    backups: PathBuf,
    data: PathBuf,
    out: PathBuf,
}

impl Hand {
    pub(super) fn new(rig: &Rig) -> Self {
        let data = rig.dir.path().join("data");
        Self { backups: data.join("backups"), data, out: rig.dir.path().join("by-hand") }
    }

    fn command(&self, args: &[&str]) -> process::Command {
        let mut command = process::Command::new("podman");
        command.args(["unshare", "restic", "--repo"]).arg(self.backups.join("repository"));
        command.arg("--password-file").arg(self.backups.join("password")).args(args);
        command
    }

    /// Runs restic as docs/backups.md says.
    pub(super) fn restic(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Restores a snapshot into a folder of the test's.
    pub(super) fn restored(&self, id: &str) -> PathBuf {
        self.restic(&["restore", id, "--target", self.out.to_str().unwrap()]);
        self.out.clone()
    }

    /// Where the files of the app's volume lie.
    pub(super) fn volume(&self, stack: &Stack) -> PathBuf {
        let name = format!("{}_db", stack.id);
        podman(&["volume", "inspect", "-f", "{{.Mountpoint}}", &name]).into()
    }

    /// Sets an attribute of a file.
    pub(super) fn attribute(&self, path: &Path) {
        unshare(
            "python3 -c 'import os, sys; os.setxattr(sys.argv[1], \"user.kept\", b\"yes\")' \"$1\"",
            &[path],
        );
    }

    /// Bytes that a file takes on the disk.
    pub(super) fn blocks(&self, path: &Path) -> u64 {
        unshare("stat -c %b \"$1\"", &[path]).trim().parse::<u64>().unwrap() * 512
    }

    /// What a restore has left beside the app's data.
    pub(super) fn beside(&self, stack: &Stack) -> Vec<String> {
        let volume = self.volume(stack).parent().unwrap().to_owned();
        let folders = [volume, self.data.join("data"), self.backups.join("restoring")];
        let names = folders.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name != "_data" && *name != stack.id).collect()
    }

    /// Kills a restic that holds the lock for itself.
    pub(super) fn leave_a_lock(&self) {
        let locks = || fs::read_dir(self.backups.join("repository/locks")).unwrap().count();
        // It waits for what is to be saved from its standard input, and holds its lock meanwhile.
        let mut command = self.command(&["backup", "--stdin", "--tag", "by-hand"]);
        let mut held = command.stdin(process::Stdio::piped()).stdout(process::Stdio::null()).spawn().unwrap();
        while locks() == 0 {
            assert!(held.try_wait().unwrap().is_none(), "restic ended by itself");
            std::thread::yield_now();
        }
        let repository = self.backups.join("repository");
        let own = arguments(repository.to_str().unwrap());
        assert!(!own.is_empty());
        assert!(process::Command::new("kill").arg("-9").args(own).status().unwrap().success());
        held.wait().unwrap();
        assert_eq!(locks(), 1, "the lock outlives its owner");
    }

    /// Turns a byte of every pack of data over.
    pub(super) fn spoil_a_pack(&self) {
        let folders = fs::read_dir(self.backups.join("repository/data")).unwrap().flatten();
        let packs = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        for pack in packs {
            let mut bytes = fs::read(pack.path()).unwrap();
            bytes[20] ^= 1;
            fs::remove_file(pack.path()).unwrap();
            fs::write(pack.path(), bytes).unwrap();
        }
    }
}

/// Processes of restic with this argument.
fn arguments(word: &str) -> Vec<String> {
    let found = process::Command::new("pgrep").args(["-x", "restic"]).output().unwrap();
    let pids = String::from_utf8_lossy(&found.stdout).into_owned();
    let own = |pid: &&str| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|it| it == word.as_bytes())
    };
    pids.split_whitespace().filter(own).map(str::to_owned).collect()
}
