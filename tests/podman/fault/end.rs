//! How containers end by themselves, and how they are stopped.

use super::{
    fault_test,
    support::{Rig, SEVEN, kill_all, of, skipped},
};
use crate::node::support::podman;
use protocol::{ContainerPhase, OpState, Phase};
use std::{fs, time::Duration};
use tokio::time::Instant;

fault_test!(a_crash_loop_is_given_up_told_and_reset_by_a_start, async {
    let manifest = SEVEN.replace("intensity: 1000", "intensity: 3");
    let (mut rig, stacks) = Rig::start(&[("loop", &manifest), ("well", SEVEN)]).await;
    let (stack, other) = (&stacks[0], &stacks[1]);
    rig.install(stack).await;
    rig.install(other).await;
    let (before, others) = (rig.facts(stack), rig.facts(other));
    rig.history.clear();
    let broken = rig.control_dir(stack).join("broken");
    fs::write(&broken, "").unwrap();
    kill_all([&before[&stack.container("side")].pid]);
    let app = rig.until(stack, |app| app.phase == Phase::CrashLooping && app.next_retry.is_some()).await;
    let side = of(&app, "side");
    assert_eq!(side.phase, ContainerPhase::Parked);
    assert_eq!(side.last_exit.as_ref().unwrap().code, Some(3), "{side:#?}");
    assert_eq!(side.restarts, 3, "{side:#?}");
    assert!(side.last_restart.as_ref().is_some_and(|it| it.cause == ["exited with code 3"]), "{side:#?}");
    let reason = app.reason.clone().unwrap();
    for word in ["side", "3", "600 s", "exited with code 3"] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(app.next_retry.unwrap()) > now, "{app:#?}");
    // Neither its siblings nor the other app notice.
    let after = rig.facts(stack);
    for (name, fact) in &before {
        assert!(*name == stack.container("side") || after[name].same_run(fact), "{name} was touched");
    }
    rig.answers(stack).await;
    assert_eq!(rig.facts(other), others);
    assert!(rig.rows(other).iter().all(|app| app.phase == Phase::Running), "the other app does not notice");

    fs::remove_file(broken).unwrap();
    rig.operate(stack, "start").await;
    let app = rig.until(stack, |app| app.phase == Phase::Running).await;
    assert_eq!((app.next_retry, of(&app, "side").phase), (None, ContainerPhase::Running));
    let after = rig.facts(stack);
    for (name, fact) in &before {
        assert!(*name == stack.container("side") || after[name].same_run(fact), "{name} was touched");
    }
    rig.operate(stack, "uninstall").await;
    rig.operate(other, "uninstall").await;
});

fault_test!(a_container_that_ignores_sigterm_ends_stopped_after_its_grace, async {
    let (mut rig, stacks) = Rig::start(&[("stubborn", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    fs::write(rig.control_dir(stack).join("stubborn"), "").unwrap();
    let restarts = of(rig.app(stack), "side").restarts;
    kill_all([&rig.facts(stack)[&stack.container("side")].pid]);
    rig.recovered(stack, "side", restarts).await;
    // It ignores the signal as soon as its shell has read the line; nothing tells when, so ask the kernel.
    let pid = rig.facts(stack)[&stack.container("side")].pid.clone();
    let ignores = async {
        loop {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
            if u64::from_str_radix(ignored, 16).unwrap() & (1 << 14) != 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::node::support::BOUND, ignores).await.unwrap();
    let begun = Instant::now();
    rig.operate(stack, "stop").await;
    let app = rig.until(stack, |app| app.phase == Phase::Stopped).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "it was given its grace");
    assert!(app.containers.iter().all(|c| c.phase == ContainerPhase::Exited), "{app:#?}");
    assert_eq!(podman(&["ps", "-q", "--filter", &stack.label()]), "");
    assert_eq!(podman(&["inspect", "-f", "{{.State.ExitCode}}", &stack.container("side")]), "137");
    // Neither a restart of the daemon nor the engine's return starts it.
    rig.kill_daemon();
    rig.start_daemon();
    rig.until(stack, |app| app.phase == Phase::Stopped).await;
    assert_eq!(podman(&["ps", "-q", "--filter", &stack.label()]), "");
    rig.operate(stack, "uninstall").await;
});

fault_test!(exit_codes_and_lack_of_memory_are_told_apart, async {
    // A shell that doubles a string is beyond any small limit in a moment.
    let hog = "test ! -e /ctl/broken || { x=0; while :; do x=$x$x; done; }; sleep 1d";
    let manifest = SEVEN
        .replace(
            "stop_grace_period: 1s",
            "stop_grace_period: 1s\n    deploy: {resources: {limits: {memory: 32M}}}",
        )
        .replace("test ! -e /ctl/broken || exit 3; trap 'exit 0' TERM", hog)
        .replace("intensity: 1000", "intensity: 1");
    let (mut rig, stacks) = Rig::start(&[("oom", &manifest)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let side = stack.container("side");
    let pid = rig.facts(stack)[&side].pid.clone();
    let limited = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default().contains("libpod")
        && std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if limited {
        fs::write(rig.control_dir(stack).join("broken"), "").unwrap();
    } else {
        skipped(
            "lack of memory: no limits for containers here (cgroup v1 without root); a plain kill is none",
        );
    }
    rig.history.clear();
    kill_all([&pid]);
    let app = if limited {
        rig.until(stack, |app| app.phase == Phase::CrashLooping).await
    } else {
        rig.recovered(stack, "side", 0).await
    };
    let exit = of(&app, "side").last_exit.clone().unwrap();
    assert_eq!((exit.code, exit.oom), (Some(137), limited));
    let op = rig.submit(stack, "uninstall").await.unwrap();
    assert_eq!(rig.ended(&op).await.state, OpState::Succeeded);
});
