//! What others do to the containers behind the node's back.

use super::{
    fault_test,
    support::{Rig, SEVEN, is_alive, kill_all, of, skipped},
};
use crate::node::support::podman;
use protocol::{Confidence, Phase};
use std::{process::Command, time::Duration};
use tokio::time::Instant;

fault_test!(containers_removed_renamed_and_doubled_from_outside_come_out_right, async {
    let (mut rig, stacks) = Rig::start(&[("outside", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let (api, anchor) = (stack.container("api"), stack.anchor("api"));

    // Removed: made anew, the rest is left alone.
    for what in [vec!["rm", "-f", "-t", "0", &api], vec!["rm", "-f", "--depend", "-t", "0", &anchor]] {
        let before = rig.facts(stack);
        let restarts = of(rig.app(stack), "api").restarts;
        let removed = Command::new("podman").args(&what).output().unwrap();
        // The node may be quicker with a new container than Podman with the old one's anchor.
        let said = String::from_utf8_lossy(&removed.stderr);
        assert!(removed.status.success() || said.contains("dependency exists"), "{what:?}: {said}");
        let app = rig.recovered(stack, "api", restarts).await;
        assert!(of(&app, "api").restarts <= restarts + 2, "{what:?}: {app:#?}");
        rig.answers(stack).await;
        let after = rig.facts(stack);
        assert_eq!(after.len(), before.len());
        for (name, fact) in &after {
            let hit = *name == api || *name == anchor;
            assert!(hit || fact.same_run(&before[name]), "{what:?}: {name} was touched");
        }
        assert_ne!(after[&api].id, before[&api].id);
    }

    // Renamed: still this node's, and recovered under whatever name it has.
    let before = rig.facts(stack);
    let renamed = format!("{api}-renamed");
    podman(&["rename", &api, &renamed]);
    let restarts = of(rig.app(stack), "api").restarts;
    kill_all([&before[&api].pid]);
    rig.recovered(stack, "api", restarts).await;
    rig.answers(stack).await;
    let after = rig.facts(stack);
    assert_eq!(after.len(), before.len(), "no second one was made: {after:#?}");
    assert_eq!(after[&renamed].id, before[&api].id);
    podman(&["rename", &renamed, &api]);

    // Doubled: the one that the node did not make goes, once lists that are 30 s apart agree. The node lists when it
    // reaches the engine, and two such lists at once are not enough.
    let before = rig.facts(stack);
    let labels = podman(&["inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", &api]);
    let double = format!("{api}-double");
    let mut args = vec!["run", "-d", "--name", &double];
    for label in labels.split(' ').filter(|label| label.starts_with("archipelago.")) {
        args.extend(["--label", label]);
    }
    args.extend(["localhost/archipelago/demo-base:1", "sleep", "1d"]);
    podman(&args);
    for _ in 0..2 {
        rig.kill_engine_service();
        rig.until(stack, |app| app.confidence == Confidence::LastKnown).await;
        rig.until(stack, |app| app.confidence == Confidence::Live).await;
    }
    assert!(!podman(&["ps", "-aq", "--filter", &format!("name={double}")]).is_empty(), "it went too early");
    let gone = async {
        while !podman(&["ps", "-aq", "--filter", &format!("name={double}")]).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::node::support::BOUND, gone).await.unwrap();
    let after = rig.facts(stack);
    for (name, fact) in &before {
        assert!(after[name].same_run(fact), "{name} was touched because of a double");
    }
    assert_eq!(rig.app(stack).phase, Phase::Running);
    rig.operate(stack, "uninstall").await;
});

fault_test!(a_container_that_is_paused_or_hangs_is_told_and_left_alone, async {
    let (mut rig, stacks) = Rig::start(&[("still", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let before = rig.facts(stack);
    let api = stack.container("api");

    rig.history.clear();
    let paused = Command::new("podman").args(["pause", &api]).output().unwrap();
    if paused.status.success() {
        // Somebody paused what should run: it goes on.
        rig.until(stack, |app| app.phase == Phase::Running).await;
        rig.answers(stack).await;
    } else {
        // It refuses, and says by an event that it has paused: nothing may come of that.
        let said = String::from_utf8_lossy(&paused.stderr).to_lowercase();
        assert!(said.contains("cgroup"), "it is refused for what the machine lacks: {said}");
        skipped(&format!("a paused container: {}", said.trim()));
        rig.answers(stack).await;
        assert!(
            rig.rows(stack).iter().all(|app| app.phase == Phase::Running),
            "a pause that was none is shown"
        );
    }
    assert!(rig.facts(stack)[&api].same_run(&before[&api]), "paused or not, it was not restarted");

    // Every process of the container is stopped: Podman says "running", the probe alone sees it.
    let inside = podman(&["top", &api, "hpid"]);
    let pids: Vec<&str> = inside.lines().skip(1).map(str::trim).collect();
    let signal = |signal: &str| {
        assert!(Command::new("kill").arg(signal).args(&pids).status().unwrap().success());
    };
    rig.history.clear();
    signal("-STOP");
    rig.until(stack, |app| app.phase == Phase::Unhealthy).await;
    signal("-CONT");
    rig.until(stack, |app| app.phase == Phase::Running).await;
    rig.answers(stack).await;
    let after = rig.facts(stack);
    for (name, fact) in &before {
        assert!(after[name].same_run(fact), "{name} was touched");
    }
    rig.operate(stack, "uninstall").await;
});

fault_test!(a_killed_engine_service_stops_no_recovery, async {
    let (mut rig, stacks) = Rig::start(&[("service", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for _ in 0..3 {
        let before = rig.facts(stack);
        let restarts = of(rig.app(stack), "api").restarts;
        rig.history.clear();
        // The container's death is seen by the kernel's word while nobody can ask the engine.
        rig.kill_engine_service();
        kill_all([&before[&stack.container("api")].pid]);
        rig.recovered(stack, "api", restarts).await;
        rig.answers(stack).await;
        // What follows from the event, if anything does, is sent within moments of it.
        let end = Instant::now() + Duration::from_secs(3);
        while rig.moved(end).await {}
        assert!(rig.rows(stack).iter().all(|app| app.installed && app.containers.len() == 7));
        let after = rig.facts(stack);
        for (name, fact) in &after {
            assert!(is_alive(&fact.pid), "{name}");
            assert!(*name == stack.container("api") || fact.same_run(&before[name]), "{name} was touched");
        }
    }
    rig.operate(stack, "uninstall").await;
});
