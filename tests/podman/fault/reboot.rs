//! A power cut and the boot after it, played to a user of Podman who has nothing but this test's containers.

use super::{
    fault_test,
    support::{Place, Rig, SEVEN, is_alive, kill_all, of},
};
use crate::node::support::podman;
use protocol::{ContainerPhase, Phase};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const BASE: &str = "localhost/archipelago/demo-base:1";

/// Makes a home with a storage of its own that has the base image. Its locks are files in its run folder: those of
/// Podman's default are shared by all storages of one user, and a boot frees them all.
fn make_home(home: &Path) {
    let config = home.join(".config/containers/containers.conf.d");
    fs::create_dir_all(&config).unwrap();
    make_run(home);
    let own = Path::new(&std::env::var("HOME").unwrap()).join(".config/containers");
    for file in fs::read_dir(own.join("containers.conf.d")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), config.join(file.file_name())).unwrap();
    }
    if own.join("storage.conf").exists() {
        fs::copy(own.join("storage.conf"), home.join(".config/containers/storage.conf")).unwrap();
    }
    fs::write(config.join("90-locks.conf"), "[engine]\nlock_type = \"file\"\n").unwrap();
    let archive = home.join("base.tar");
    podman(&["save", "-q", "-o", archive.to_str().unwrap(), BASE]);
    there(home, &["load", "-q", "-i", archive.to_str().unwrap()]);
    fs::remove_file(archive).unwrap();
}

fn make_run(home: &Path) {
    fs::create_dir_all(home.join("run")).unwrap();
    fs::set_permissions(home.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// Runs `podman` as the user of that home.
fn there(home: &Path, args: &[&str]) -> String {
    let mut command = Command::new("podman");
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run")).args(args);
    let output = command.output().unwrap();
    assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Every process that has this folder in its arguments, its environment or its mounts' user: what belongs to the home.
fn processes_of(home: &Path) -> Vec<String> {
    let home = home.to_str().unwrap().as_bytes();
    let me = std::process::id().to_string();
    let mut found = vec![];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid == me || !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let has = |file: &str| {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            text.windows(home.len()).any(|window| window == home)
        };
        if has("cmdline") || has("environ") {
            found.push(pid);
        }
    }
    found
}

fault_test!(after_a_power_cut_everything_that_should_run_runs_again, async {
    let home = tempfile::Builder::new().prefix("archipelago-boot-").tempdir().unwrap();
    let home = home.path();
    make_home(home);
    let place = Place { home: Some(home.to_owned()), disk: None };
    let (mut rig, stacks) = Rig::start_at(&[("boot", SEVEN), ("halt", SEVEN)], place).await;
    let (stack, stopped) = (&stacks[0], &stacks[1]);
    rig.install(stack).await;
    rig.install(stopped).await;
    rig.operate(stopped, "stop").await;
    rig.until(stopped, |app| app.phase == Phase::Stopped).await;
    let before = rig.facts(stack);

    // Everything dies at once, in no order, and the run folder is gone.
    let containers: Vec<String> = before.values().map(|fact| fact.pid.clone()).collect();
    rig.kill_daemon();
    for _ in 0..3 {
        let pids: Vec<String> =
            processes_of(home).into_iter().chain(containers.clone()).filter(|pid| is_alive(pid)).collect();
        if !pids.is_empty() {
            let _ = Command::new("kill").arg("-9").args(&pids).status();
        }
    }
    fs::remove_dir_all(home.join("run")).unwrap();
    make_run(home);

    rig.start_daemon();
    let app = rig.until(stack, |app| app.phase == Phase::Running).await;
    assert!(app.containers.iter().all(|c| c.phase == ContainerPhase::Running), "{app:#?}");
    rig.answers(stack).await;
    let after = rig.facts(stack);
    assert_eq!(after.len(), before.len());
    for (name, fact) in &after {
        assert_eq!(
            (fact.state.as_str(), &fact.id),
            ("running", &before[name].id),
            "{name}: the same containers run"
        );
    }
    // In order: nobody was started before what it needs was there.
    let first = |service: &str| {
        rig.rows(stack).iter().position(|app| of(app, service).phase == ContainerPhase::Running).unwrap()
    };
    assert!(first("store") <= first("api") && first("api") <= first("front"));
    // What the user stopped stays so.
    rig.until(stopped, |app| app.phase == Phase::Stopped).await;
    assert!(rig.facts(stopped).values().all(|fact| fact.state != "running"));
    let restarts = of(rig.app(stack), "api").restarts;
    kill_all([&after[&stack.container("api")].pid]);
    rig.recovered(stack, "api", restarts).await;
    rig.operate(stack, "uninstall").await;
    rig.operate(stopped, "uninstall").await;
    // What keeps the namespaces would outlive the folder.
    drop(rig);
    for pid in processes_of(home) {
        let _ = Command::new("kill").args(["-9", &pid]).status();
    }
    let _ =
        Command::new("podman").args(["unshare", "rm", "-rf", home.join(".local").to_str().unwrap()]).status();
});
