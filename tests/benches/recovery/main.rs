//! How fast containers come back, beside what else could bring them back, on real rootless Podman.
//!
//! `make bench-recovery`. Everything is measured in one run on one machine; a bar that is missed fails the run.
//! `ROUNDS` (200) deaths for Archipelago's figures, `IDLE_SECONDS` (60) for the cost at rest.

mod ground;
mod node;
mod scale;
mod stats;
mod ways;

use engine::{Engine, ProcessRef};
use futures_util::{FutureExt, future::join3};
use ground::{Ground, LOST, answers, free_port, kill_9};
use node::Node;
use protocol::ContainerPhase;
use stats::{Results, Samples};
use std::{env, process::ExitCode, time::Duration};
use tokio::time::{Instant, timeout};
use ways::{Runner, Way, gone};

/// Every so many of Archipelago's deaths, each of the other ways has one.
const INTERLEAVE: u32 = 4;
/// Zombies that are made.
const ZOMBIES: u32 = 40;

fn number(name: &str, default: u32) -> u32 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let good = runtime.block_on(async {
        let ground = Ground::lay().await;
        let mut results = Results::default();
        let what = env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
        if what.is_empty() || what == "one" {
            one(&ground, &mut results).await;
        }
        if what.is_empty() || what == "many" {
            scale::many(&ground, &mut results).await;
        }
        ground.clear().await;
        results.finish()
    });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What one death of Archipelago's container shows.
struct Death {
    /// Until the published port answers again; `None` where it is lost.
    back: Option<Duration>,
    /// From the kernel's word to the client's frame.
    told: Duration,
}

/// Kills the container of a node's app.
async fn death(ground: &Ground, node: &mut Node, id: &str, port: u16, zombie: bool) -> Death {
    let container = format!("{id}-s0");
    let found = ground.running(&container, None).await;
    node.until(|node| node.all_run()).await;
    let process = found.process.unwrap();
    let exit = ground.podman.exit_of(process).await.unwrap();
    let restarts = node.restarts();
    let victims: Vec<ProcessRef> =
        [found.monitor.filter(|_| zombie), Some(process)].into_iter().flatten().collect();
    let begun = Instant::now();
    kill_9(&victims);
    let seen_dead = |node: &Node| {
        node.restarts() > restarts || node.apps[id].containers[0].phase != ContainerPhase::Running
    };
    let (dead, told, back) = join3(
        exit.map(|()| begun.elapsed()),
        async {
            node.until(seen_dead).await;
            let told = begun.elapsed();
            node.until(|node| node.restarts() > restarts && node.all_run()).await;
            told
        },
        async {
            let back = async {
                gone(process).await;
                answers(port).await;
                begun.elapsed()
            };
            timeout(LOST, back).await.ok()
        },
    )
    .await;
    Death { back, told: told.saturating_sub(dead) }
}

async fn one(ground: &Ground, results: &mut Results) {
    let mut others = vec![];
    for way in Way::ALL {
        others.push((Runner::start(ground, way).await, Samples::default(), 0));
    }
    let (id, port) = (ground.name("one"), free_port());
    let mut node = Node::start(&[(id.clone(), node::manifest(&id, 1, port))]).await;
    let (mut back, mut told, mut lost) = (Samples::default(), Samples::default(), 0);
    for round in 0..number("ROUNDS", 200) {
        let death = death(ground, &mut node, &id, port, false).await;
        told.push(death.told);
        match death.back {
            Some(time) => back.push(time),
            None => lost += 1,
        }
        if round % INTERLEAVE == 0 {
            for (runner, samples, lost) in &mut others {
                match runner.round(ground).await {
                    Some(time) => samples.push(time),
                    None => *lost += 1,
                }
            }
        }
    }
    println!("kill -9 -> the published port answers again");
    let mut p50 = |way| {
        let (runner, samples, lost): &(Runner, Samples, u32) =
            others.iter().find(|(runner, ..)| runner.way == way).unwrap();
        results.samples(runner.way.title(), samples);
        if way == Way::Anchored {
            results.samples("  of which until the engine knows of the death", &runner.parts.0);
            results.samples("  of which its start", &runner.parts.1);
        }
        if *lost > 0 {
            println!("  port lost {lost} times");
        }
        samples.percentile(50.0)
    };
    let [own, _, bare, _] = Way::ALL.map(&mut p50);
    results.samples("Archipelago", &back);
    results.bar("Archipelago's p50 / Podman's own", back.percentile(50.0) / own, 0.65);
    results.bar("Archipelago's p50 / bare anchored start", back.percentile(50.0) / bare, 1.15);
    results.bar("published port lost", f64::from(lost), 0.0);
    results.samples("kernel's death -> frame at a WebSocket client", &told);
    results.bar("kernel's death -> frame, p99 in ms", told.percentile(99.0), 20.0);
    let mut zombies = Samples::default();
    for _ in 0..ZOMBIES {
        let death = death(ground, &mut node, &id, port, true).await;
        zombies.push(death.back.unwrap_or(LOST));
    }
    results.samples("container and monitor killed -> port answers again", &zombies);
    results.bar("zombie -> running again, p99 in ms", zombies.percentile(99.0), 2000.0);
}
