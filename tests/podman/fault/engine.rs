//! What the machine and the engine's storage do to containers.

use super::{
    fault_test,
    support::{Place, Rig, SEVEN, kill_all, of, skipped},
};
use crate::node::support::{BOUND, podman};
use protocol::{OpState, Phase};
use std::{net::TcpListener, path::Path, process::Command};

fault_test!(a_port_that_is_taken_is_named_and_nothing_else_is_touched, async {
    let (mut rig, stacks) = Rig::start(&[("port", SEVEN), ("other", SEVEN)]).await;
    let (stack, other) = (&stacks[0], &stacks[1]);
    // At install: refused before anything is made.
    let thief = TcpListener::bind(("127.0.0.1", stack.port)).unwrap();
    let op = rig.submit(stack, "install").await.unwrap();
    let op = rig.ended(&op).await;
    let error = op.error.clone().unwrap();
    assert_eq!((op.state, error.code.as_str()), (OpState::Failed, "port_in_use"), "{op:#?}");
    assert!(error.message.contains(&stack.port.to_string()) && error.hint.is_some(), "{error:?}");
    assert!(rig.facts(stack).is_empty());
    drop(thief);
    rig.install(stack).await;
    rig.install(other).await;

    // At a later start: told, without a storm of attempts, and over as soon as the port is free.
    rig.operate(stack, "stop").await;
    rig.until(stack, |app| app.phase == Phase::Stopped).await;
    let others = rig.facts(other);
    let thief = TcpListener::bind(("127.0.0.1", stack.port)).unwrap();
    let op = rig.submit(stack, "start").await.unwrap();
    let port = stack.port.to_string();
    let app = rig
        .until(stack, |app| {
            of(app, "front")
                .reason
                .as_ref()
                .is_some_and(|r| r.contains("address already in use") || r.contains(&port))
        })
        .await;
    assert_ne!(app.phase, Phase::Running);
    drop(thief);
    rig.until(stack, |app| app.phase == Phase::Running).await;
    rig.answers(stack).await;
    let op = rig.ended(&op).await;
    assert!(op.state.is_terminal());
    assert_eq!(rig.facts(other), others);
    rig.operate(stack, "uninstall").await;
    rig.operate(other, "uninstall").await;
});

fault_test!(damaged_storage_gets_one_repair, async {
    let (mut rig, stacks) = Rig::start(&[("layer", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for service in ["api", "side"] {
        let before = rig.facts(stack);
        let name = stack.container(service);
        let upper = podman(&["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", &name]);
        let layer = Path::new(&upper).parent().unwrap().to_owned();
        let restarts = of(rig.app(stack), service).restarts;
        // Belongs to users of the container's namespace.
        assert!(unshare("umount -l \"$1/merged\"; rm -rf \"$1\"", &[layer.to_str().unwrap()]));
        kill_all([&before[&name].pid]);
        let app = rig.recovered(stack, service, restarts).await;
        assert!(of(&app, service).restarts <= restarts + 3, "{service}: one bounded repair: {app:#?}");
        rig.answers(stack).await;
        let after = rig.facts(stack);
        assert_ne!(after[&name].id, before[&name].id, "{service}: it was made anew");
        for (other, fact) in &before {
            let hit = *other == name || *other == stack.anchor(service);
            assert!(hit || after[other].same_run(fact), "{other} was touched");
        }
    }
    rig.operate(stack, "uninstall").await;
});

/// Runs a command in the user namespace in which Podman mounts, where its owner may mount, too.
fn unshare(script: &str, args: &[&str]) -> bool {
    let mut command = Command::new("podman");
    command.args(["unshare", "sh", "-c", script, "sh"]).args(args);
    command.status().unwrap().success()
}

fault_test!(a_full_disk_touches_no_container_and_is_over_when_there_is_room, async {
    // The node's data directory is a tmpfs of 4 MB, visible in Podman's mount namespace alone: so the daemon runs there.
    let disk = tempfile::Builder::new().prefix("archipelago-disk-").tempdir().unwrap();
    let place = Place { disk: Some(disk.path().to_owned()), home: None };
    let disk = disk.path().to_str().unwrap();
    if !unshare("mount -t tmpfs -o size=4m tmpfs \"$1\"", &[disk]) {
        skipped("a full disk: no tmpfs can be mounted here");
        return;
    }
    let (mut rig, stacks) = Rig::start_at(&[("full", SEVEN)], place).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let before = rig.facts(stack);
    let fill = "dd if=/dev/zero of=\"$1/fill\" bs=64k; test ! -s \"$1/none\"";
    assert!(unshare(fill, &[disk]));
    // What the user wants cannot be written, so it is refused or fails, and says so.
    let refused = match rig.submit(stack, "stop").await {
        Err(error) => format!("{error:?}"),
        Ok(op) => format!("{:?}", rig.ended(&op).await),
    };
    println!("stop on a full disk: {refused}");
    // Recovery needs no disk.
    let restarts = of(rig.app(stack), "api").restarts;
    kill_all([&before[&stack.container("api")].pid]);
    rig.recovered(stack, "api", restarts).await;
    rig.answers(stack).await;
    for (name, fact) in rig.facts(stack) {
        assert!(name == stack.container("api") || fact.same_run(&before[&name]), "{name} was touched");
    }
    assert!(unshare("rm \"$1/fill\"", &[disk]));
    let stopped = async {
        while rig.submit(stack, "stop").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, stopped).await.expect("a stop is taken when there is room again");
    rig.until(stack, |app| app.phase == Phase::Stopped).await;
    rig.operate(stack, "uninstall").await;
    drop(rig);
    assert!(unshare("umount \"$1\"", &[disk]));
});
