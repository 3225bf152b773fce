//! `kill -9` of a container's processes: its first process, its monitor, those of its network anchor, in every
//! combination and under every strategy.

use super::{
    fault_test,
    support::{Facts, Rig, SEVEN, Stack, is_alive, kill_all, of},
};
use protocol::{AppView, ContainerPhase, Phase};
use std::collections::BTreeMap;

/// What a container consists of: bits of a combination.
const INIT: u8 = 1;
const MONITOR: u8 = 2;
const NET_INIT: u8 = 4;
const NET_MONITOR: u8 = 8;

/// Kills a combination of a service's processes, and checks what comes of it.
async fn kill(rig: &mut Rig, stack: &Stack, strategy: &str, service: &str, parts: u8) {
    let before = rig.facts(stack);
    let (name, anchor) = (stack.container(service), stack.anchor(service));
    let mut pids = vec![];
    for (part, container) in [(INIT, &name), (MONITOR, &name), (NET_INIT, &anchor), (NET_MONITOR, &anchor)] {
        if parts & part != 0 {
            let fact = &before[container];
            pids.push(if matches!(part, INIT | NET_INIT) { &fact.pid } else { &fact.monitor });
        }
    }
    let counts = counts(rig.app(stack));
    let (restarts, group) = (of(rig.app(stack), service).restarts, group(rig.app(stack), strategy, service));
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
    let again = |app: &AppView| group.iter().all(|member| of(app, member).restarts > counts[member.as_str()]);
    let app = rig.until(stack, |app| app.phase == Phase::Running && again(app)).await;
    let seen: Vec<_> = rig.rows(stack).iter().map(|app| of(app, service).phase).collect();
    assert!(
        seen.iter().any(|phase| *phase != ContainerPhase::Running),
        "{parts:04b}: the page never says so"
    );
    assert!(!seen.contains(&ContainerPhase::Unknown), "{parts:04b}: the page forgets: {seen:?}");
    for c in &app.containers {
        let bound = if group.contains(&c.service.to_string()) { 2 } else { 0 };
        let before = counts[c.service.as_str()];
        assert!(c.restarts <= before + bound, "{parts:04b}: more than one repair: {app:#?}");
        if bound > 0 {
            let cause = c.last_restart.as_ref().map(|it| it.cause.join(" ")).unwrap_or_default();
            let own = c.service.as_str() == service;
            assert!(own || cause.contains(service), "{parts:04b}: {} says {cause:?}", c.service);
        }
    }
    rig.answers(stack).await;
    check(rig, stack, &before, service, &group, parts);
}

fn counts(app: &AppView) -> BTreeMap<String, u32> {
    app.containers.iter().map(|c| (c.service.to_string(), c.restarts)).collect()
}

/// The services that are restarted when this one fails; a row has them in start order.
fn group(app: &AppView, strategy: &str, service: &str) -> Vec<String> {
    let all: Vec<_> = app.containers.iter().map(|c| c.service.to_string()).collect();
    let at = all.iter().position(|it| it == service).unwrap();
    match strategy {
        "one_for_one" => vec![service.to_owned()],
        "rest_for_one" => all[at..].to_vec(),
        "one_for_all" => all,
        other => panic!("{other}"),
    }
}

/// All containers run under live monitors, and nobody but the one that was hit, and its group, was touched.
fn check(rig: &Rig, stack: &Stack, before: &Facts, service: &str, group: &[String], parts: u8) {
    let after = rig.facts(stack);
    let names = |facts: &Facts| facts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(before), "{service} {parts:04b}: one container of each, and no other");
    for (name, fact) in &after {
        assert_eq!(fact.state, "running", "{service} {parts:04b}: {name}");
        assert!(is_alive(&fact.pid) && is_alive(&fact.monitor), "{service} {parts:04b}: {name}: {fact:?}");
        let hit = *name == stack.container(service) || *name == stack.anchor(service);
        let same = fact.same_run(&before[name]);
        let behind = group.iter().any(|member| member != service && stack.container(member) == *name);
        assert!(!(behind && same), "{service} {parts:04b}: {name} belongs to the group and was left alone");
        assert!(hit || behind || same, "{service} {parts:04b}: {name} was touched");
        if *name == stack.anchor(service) && parts & (NET_INIT | NET_MONITOR) == 0 {
            assert!(same, "{service} {parts:04b}: the anchor outlives its container");
        }
    }
}

async fn every_combination(strategy: &str) {
    let manifest = SEVEN.replace("strategy: one_for_one", &format!("strategy: {strategy}"));
    let (mut rig, stacks) = Rig::start(&[(&strategy.replace('_', "-"), &manifest)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for parts in 1..16 {
        kill(&mut rig, stack, strategy, "api", parts).await;
    }
    // Without a network of the app there is no anchor.
    for parts in [INIT, MONITOR, INIT | MONITOR] {
        kill(&mut rig, stack, strategy, "side", parts).await;
    }
    rig.operate(stack, "uninstall").await;
    assert!(rig.facts(stack).is_empty());
}

fault_test!(
    every_combination_of_killed_processes_is_recovered_under_one_for_one,
    every_combination("one_for_one")
);
fault_test!(
    every_combination_of_killed_processes_is_recovered_under_rest_for_one,
    every_combination("rest_for_one")
);
fault_test!(
    every_combination_of_killed_processes_is_recovered_under_one_for_all,
    every_combination("one_for_all")
);

fault_test!(published_ports_outlive_every_kill, async {
    let (mut rig, stacks) = Rig::start(&[("demo", "demo")]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let strategy = "one_for_one"; // the demo's own
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
        kill(&mut rig, stack, strategy, "web", parts).await;
    }
    for service in ["cache", "api"] {
        kill(&mut rig, stack, strategy, service, INIT).await;
        kill(&mut rig, stack, strategy, service, INIT | MONITOR).await;
    }
    rig.operate(stack, "uninstall").await;
});
