//! `kill -9` of a container's processes: its first process, its monitor, those of its network anchor, in every
//! combination.

use super::{
    fault_test,
    support::{Facts, Rig, SEVEN, Stack, is_alive, kill_all, of},
};
use protocol::{ContainerPhase, Phase};

/// What a container consists of: bits of a combination.
const INIT: u8 = 1;
const MONITOR: u8 = 2;
const NET_INIT: u8 = 4;
const NET_MONITOR: u8 = 8;

/// Kills a combination of a service's processes, and checks what comes of it.
async fn kill(rig: &mut Rig, stack: &Stack, service: &str, parts: u8) {
    let before = rig.facts(stack);
    let (name, anchor) = (stack.container(service), stack.anchor(service));
    let mut pids = vec![];
    for (part, container) in [(INIT, &name), (MONITOR, &name), (NET_INIT, &anchor), (NET_MONITOR, &anchor)] {
        if parts & part != 0 {
            let fact = &before[container];
            pids.push(if matches!(part, INIT | NET_INIT) { &fact.pid } else { &fact.monitor });
        }
    }
    let restarts = of(rig.app(stack), service).restarts;
    rig.history.clear();
    kill_all(pids);
    if parts == MONITOR {
        // Its network is the anchor's: it serves on, and only its log is lost.
        let app = rig
            .until(stack, |app| of(app, service).reason.as_ref().is_some_and(|r| r.contains("monitor")))
            .await;
        assert_eq!((app.phase, of(&app, service).restarts), (Phase::Running, restarts));
        let now = rig.facts(stack);
        assert!(now[&name].same_run(&before[&name]), "a healthy container was touched");
        // Now nobody tells Podman of the end of its first process.
        kill_all([&before[&name].pid]);
    }
    let app = rig.recovered(stack, service, restarts).await;
    let seen: Vec<_> = rig.rows(stack).iter().map(|app| of(app, service).phase).collect();
    assert!(
        seen.iter().any(|phase| *phase != ContainerPhase::Running),
        "{parts:04b}: the page never says so"
    );
    assert!(!seen.contains(&ContainerPhase::Unknown), "{parts:04b}: the page forgets: {seen:?}");
    assert!(of(&app, service).restarts <= restarts + 2, "{parts:04b}: more than one repair: {app:#?}");
    rig.answers(stack).await;
    check(rig, stack, &before, service, parts);
}

/// All containers run under live monitors, and nobody but the one that was hit was touched.
fn check(rig: &Rig, stack: &Stack, before: &Facts, service: &str, parts: u8) {
    let after = rig.facts(stack);
    let names = |facts: &Facts| facts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(before), "{service} {parts:04b}: one container of each, and no other");
    for (name, fact) in &after {
        assert_eq!(fact.state, "running", "{service} {parts:04b}: {name}");
        assert!(is_alive(&fact.pid) && is_alive(&fact.monitor), "{service} {parts:04b}: {name}: {fact:?}");
        let hit = *name == stack.container(service) || *name == stack.anchor(service);
        let same = fact.same_run(&before[name]);
        assert!(hit || same, "{service} {parts:04b}: {name} was touched");
        if *name == stack.anchor(service) && parts & (NET_INIT | NET_MONITOR) == 0 {
            assert!(same, "{service} {parts:04b}: the anchor outlives its container");
        }
    }
}

fault_test!(every_combination_of_killed_processes_is_recovered, async {
    let (mut rig, stacks) = Rig::start(&[("seven", SEVEN)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for parts in 1..16 {
        kill(&mut rig, stack, "api", parts).await;
    }
    // Without a network of the app there is no anchor.
    for parts in [INIT, MONITOR, INIT | MONITOR] {
        kill(&mut rig, stack, "side", parts).await;
    }
    rig.operate(stack, "uninstall").await;
    assert!(rig.facts(stack).is_empty());
});

fault_test!(published_ports_outlive_every_kill, async {
    let (mut rig, stacks) = Rig::start(&[("demo", "demo")]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for parts in [
        INIT,
        MONITOR,
        INIT | MONITOR,
        NET_INIT,
        NET_MONITOR,
        NET_INIT | NET_MONITOR,
        INIT | NET_INIT,
        INIT | MONITOR | NET_INIT | NET_MONITOR,
    ] {
        kill(&mut rig, stack, "web", parts).await;
    }
    for service in ["cache", "api"] {
        kill(&mut rig, stack, service, INIT).await;
        kill(&mut rig, stack, service, INIT | MONITOR).await;
    }
    rig.operate(stack, "uninstall").await;
});
