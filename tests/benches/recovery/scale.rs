//! Many containers: the daemon's own death, forty deaths at once, the cost at rest.

use crate::{
    ground::{Ground, free_port, kill_9},
    node::{self, Node},
    number,
    stats::{Results, Samples},
};
use engine::{Engine, EngineState, ProcessRef};
use futures_util::future::join_all;
use std::{fs, time::Duration};
use tokio::time::{Instant, sleep};

/// Apps and services of each: fifty containers, and an anchor for each.
const APPS: usize = 5;
const SERVICES: usize = 10;
/// Containers that die at once.
const AT_ONCE: usize = 40;
/// Repetitions of what takes seconds.
const REPEAT: usize = 5;

pub(crate) async fn many(ground: &Ground, results: &mut Results) {
    let ids: Vec<String> = (0..APPS).map(|number| ground.name(&format!("many{number}"))).collect();
    let apps: Vec<_> = ids.iter().map(|id| (id.clone(), node::manifest(id, SERVICES, free_port()))).collect();
    let begun = Instant::now();
    let mut node = Node::start(&apps).await;
    results.figure("50 containers and their anchors installed in", begun.elapsed().as_secs_f64(), "s");
    let names: Vec<String> =
        ids.iter().flat_map(|id| (0..SERVICES).map(move |number| format!("{id}-s{number}"))).collect();

    at_rest(ground, &node, &names, results).await;
    adoption(ground, &mut node, &names, results).await;
    at_once(ground, &mut node, &names, results).await;
}

async fn processes(ground: &Ground, names: &[String]) -> Vec<ProcessRef> {
    let looks = join_all(names.iter().map(|name| ground.running(name, None))).await;
    looks.into_iter().filter_map(|look| look.process).collect()
}

/// The daemon is killed and started again: nothing else may change.
async fn adoption(ground: &Ground, node: &mut Node, names: &[String], results: &mut Results) {
    let before = processes(ground, names).await;
    let mut ready = Samples::default();
    for _ in 0..REPEAT {
        node.kill();
        ready.push(node.restart().await);
    }
    results.samples("daemon killed, started -> 50 containers adopted", &ready);
    results.bar("daemon started -> all adopted and ready, p50 in ms", ready.percentile(50.0), 1000.0);
    let after = processes(ground, names).await;
    let restarted = before.iter().filter(|process| !after.contains(process)).count();
    results.bar("containers restarted by that", restarted as f64, 0.0);
}

/// Forty die at once; then the same without the node, by as many calls side by side.
async fn at_once(ground: &Ground, node: &mut Node, names: &[String], results: &mut Results) {
    let names = &names[..AT_ONCE];
    let (mut ours, mut plain) = (Samples::default(), Samples::default());
    for _ in 0..REPEAT {
        let victims = processes(ground, names).await;
        let restarts = node.restarts();
        let begun = Instant::now();
        kill_9(&victims);
        let dead = restarts + u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        node.until(|node| node.restarts() >= dead && node.all_run()).await;
        ours.push(begun.elapsed());

        node.kill();
        let victims = processes(ground, names).await;
        let begun = Instant::now();
        kill_9(&victims);
        join_all(names.iter().zip(&victims).map(|(name, process)| bring_back(ground, name, *process))).await;
        plain.push(begun.elapsed());
        node.restart().await;
    }
    results.samples("40 containers killed at once -> all run: calls alone", &plain);
    results.samples("40 containers killed at once -> all run: Archipelago", &ours);
    let share = ours.percentile(50.0) / plain.percentile(50.0);
    results.bar("40 at once, p50 / plain concurrent calls", share, 1.3);
}

async fn bring_back(ground: &Ground, name: &str, process: ProcessRef) {
    if let Ok(exit) = ground.podman.exit_of(process).await {
        exit.await;
    }
    while ground.podman.inspect(name).await.is_ok_and(|found| found.state == EngineState::Running) {
        tokio::task::yield_now().await;
    }
    ground.podman.start(name).await.unwrap();
    ground.running(name, Some(process)).await;
}

/// Processor time and memory while nothing happens.
async fn at_rest(ground: &Ground, node: &Node, names: &[String], results: &mut Results) {
    let seconds = number("IDLE_SECONDS", 60);
    let services = node.services();
    let used = |pids: &[u32]| pids.iter().map(|pid| cpu(*pid)).sum::<f64>();
    let (ours, podmans) = (used(&[node.daemon.id()]), used(&services));
    sleep(Duration::from_secs(seconds.into())).await;
    let percent = |used: f64| used / f64::from(seconds) * 100.0;
    let (ours, podmans) = (percent(used(&[node.daemon.id()]) - ours), percent(used(&services) - podmans));
    println!("at rest with 50 containers, over {seconds} s");
    results.figure("podman system service", podmans, "% of a core");
    results.figure("podman system service, RSS", services.iter().map(|pid| rss(*pid)).sum(), "MiB");
    results.bar("Archipelago, % of a core", ours, 0.5);
    results.bar("Archipelago, RSS in MiB", rss(node.daemon.id()), 40.0);

    // What an anchor costs: its process and its monitor, as their shares of what they share with others.
    let anchors: Vec<String> = names.iter().map(|name| format!("{name}_net")).collect();
    let looks = join_all(anchors.iter().map(|name| ground.running(name, None))).await;
    let cost = |process: Option<ProcessRef>| process.map_or(0.0, |process| pss(process.pid));
    let total: f64 = looks.iter().map(|look| cost(look.process) + cost(look.monitor)).sum();
    results.figure("an anchor and its monitor, PSS", total / anchors.len() as f64, "MiB");
    let members = join_all(names.iter().map(|name| ground.running(name, None))).await;
    let total: f64 = members.iter().map(|look| cost(look.monitor)).sum();
    results.figure("a container's monitor, PSS", total / names.len() as f64, "MiB");
}

/// Seconds of processor time that a process has used; the kernel counts hundredths.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn rss(pid: u32) -> f64 {
    kib(&format!("/proc/{pid}/status"), "VmRSS:") / 1024.0
}

fn pss(pid: u32) -> f64 {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:") / 1024.0
}

fn kib(file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
