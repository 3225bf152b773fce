//! What a restart costs: ours, a bare ractor respawn and Erlang/OTP in one run, as ratios; and a hundred thousand children.
//!
//! `cargo bench -p supervisor` prints it all and fails when a bar is missed; `-- quick` takes a tenth of the time and fails on nothing.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark is a program that prints and may die"
)]

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use supervisor::{
    ChildSpec, DynamicSpec, DynamicSupervisor, ExitReason, Restart, Strategy, SupFlags, Supervisor,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Up = (usize, ActorCell);

/// The child of all three: it ends with an error when told to.
struct Child {
    index: usize,
    up: Option<UnboundedSender<Up>>,
}

#[derive(Debug, thiserror::Error)]
#[error("crashed")]
struct Crashed;

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        if let Some(up) = &self.up {
            up.send((self.index, myself.get_cell()))?;
        }
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err(Box::new(Crashed))
    }
}

/// The least that restarts children on ractor.
struct Bare {
    up: UnboundedSender<Up>,
    size: usize,
}

impl Actor for Bare {
    type Msg = ();
    type State = HashMap<ActorId, usize>;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        let mut children = HashMap::new();
        for index in 0..self.size {
            let child = Child { index, up: Some(self.up.clone()) };
            let (actor, _) = Actor::spawn_linked(None, child, (), myself.get_cell()).await?;
            children.insert(actor.get_id(), index);
        }
        Ok(children)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        children: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(cell, _) = event
            && let Some(index) = children.remove(&cell.get_id())
        {
            let child = Child { index, up: Some(self.up.clone()) };
            let (actor, _) = Actor::spawn_linked(None, child, (), myself.get_cell()).await?;
            children.insert(actor.get_id(), index);
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Cost {
    per_second: f64,
    cpu_us: f64,
}

/// CPU time of this thread, on which the whole runtime runs.
fn cpu() -> Duration {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's CPU time");
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number"))
}

async fn closed_loop(mut up: UnboundedReceiver<Up>, size: usize, time: Duration) -> Cost {
    let mut cells = Vec::new();
    for _ in 0..size {
        cells.push(up.recv().await.expect("a child").1);
    }
    let (begin, cpu_begin) = (Instant::now(), cpu());
    let mut count = 0_usize;
    while begin.elapsed() < time {
        // The clock is read once for sixteen restarts.
        for _ in 0..16 {
            let index = count % size;
            cells[index].send_message(()).expect("the child lives");
            let (restarted, cell) = up.recv().await.expect("a child");
            assert_eq!(restarted, index);
            cells[index] = cell;
            count += 1;
            // The child has been started, but its supervisor may not know yet; the loop is closed when it does.
            tokio::task::yield_now().await;
        }
    }
    let cpu_us = (cpu() - cpu_begin).as_secs_f64() * 1e6 / count as f64;
    Cost { per_second: count as f64 / begin.elapsed().as_secs_f64(), cpu_us }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn bare(size: usize, time: Duration) -> Cost {
    runtime().block_on(async {
        let (sender, up) = unbounded_channel();
        let (actor, _) = Actor::spawn(None, Bare { up: sender, size }, ()).await.expect("it starts");
        let cost = closed_loop(up, size, time).await;
        actor.kill();
        cost
    })
}

fn flags() -> SupFlags {
    SupFlags::new(Strategy::OneForOne).intensity(1_000_000, Duration::from_secs(1))
}

fn ours(size: usize, time: Duration) -> Cost {
    runtime().block_on(async {
        let (sender, up) = unbounded_channel();
        let children = (0..size)
            .map(|index| {
                let sender = sender.clone();
                ChildSpec::worker(index.to_string(), move |ctx| {
                    let child = Child { index, up: Some(sender.clone()) };
                    async move { ctx.spawn(child, ()).await }
                })
            })
            .collect();
        let sup = Supervisor::start_link("bench", flags(), children, None, None).await.expect("it starts");
        let cost = closed_loop(up, size, time).await;
        sup.stop(ExitReason::Shutdown(None)).await;
        cost
    })
}

fn best(costs: impl Iterator<Item = Cost>) -> Cost {
    costs.fold(Cost { per_second: 0.0, cpu_us: f64::MAX }, |best, cost| Cost {
        per_second: best.per_second.max(cost.per_second),
        cpu_us: best.cpu_us.min(cost.cpu_us),
    })
}

fn erlang(size: usize, time: Duration) -> Cost {
    let program = std::env::temp_dir().join(format!("supervisor-bench-{}.erl", std::process::id()));
    std::fs::write(&program, format!("#!/usr/bin/env escript\n{}", include_str!("closed_loop.erl")))
        .expect("temp");
    let mut command = Command::new("escript");
    command.arg(&program).arg(time.as_secs().max(1).to_string()).arg(size.to_string());
    let output = command.output().expect("escript runs: apt-get install erlang-base");
    let _ = std::fs::remove_file(&program);
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [_, count, wall, cpu] = numbers[..] else { panic!("escript says {text:?}") };
    Cost { per_second: count / wall * 1e6, cpu_us: cpu / count }
}

fn resident_kb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells the memory");
    let line = text.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

const MANY: usize = 100_000;

/// Starts and stops a hundred thousand dynamic children, or static ones; run in a process of its own.
fn many(kind: &str) {
    runtime().block_on(async {
        let before = resident_kb();
        let begin = Instant::now();
        let (started, resident, stopped) = match kind {
            "dynamic" => {
                let spec = DynamicSpec::<usize>::new(|ctx, index| async move {
                    ctx.spawn(Child { index, up: None }, ()).await
                })
                .configure(|spec| spec.restart(Restart::Permanent));
                let sup = DynamicSupervisor::start_link("many", flags(), spec, None, None)
                    .await
                    .expect("it starts");
                for index in 0..MANY {
                    sup.start_child(index).await.expect("a child starts");
                }
                let (started, resident, begin) = (begin.elapsed(), resident_kb(), Instant::now());
                sup.stop(ExitReason::Shutdown(None)).await;
                (started, resident, begin.elapsed())
            }
            "static" => {
                let child = |index: usize| {
                    ChildSpec::worker(index.to_string(), move |ctx| async move {
                        ctx.spawn(Child { index, up: None }, ()).await
                    })
                };
                let children = (0..MANY).map(child).collect();
                let sup =
                    Supervisor::start_link("many", flags(), children, None, None).await.expect("it starts");
                let (started, resident, begin) = (begin.elapsed(), resident_kb(), Instant::now());
                sup.stop(ExitReason::Shutdown(None)).await;
                (started, resident, begin.elapsed())
            }
            _ => {
                let (sender, mut up) = unbounded_channel();
                let (actor, _) =
                    Actor::spawn(None, Bare { up: sender, size: MANY }, ()).await.expect("it starts");
                while up.try_recv().is_ok() {}
                let (started, resident, begin) = (begin.elapsed(), resident_kb(), Instant::now());
                actor.stop_children_and_wait(None, None).await;
                (started, resident, begin.elapsed())
            }
        };
        println!(
            "{:.3} {:.3} {:.3}",
            started.as_secs_f64(),
            (resident - before) / MANY as f64,
            stopped.as_secs_f64()
        );
    });
}

fn report_many(kind: &str) -> f64 {
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["many", kind])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [started, per_child, stopped] = numbers[..] else { panic!("{text:?} {output:?}") };
    println!("| {kind} | {started:.2} s | {stopped:.2} s | {per_child:.2} KB |");
    per_child
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [many_word, kind] = &arguments[..]
        && many_word == "many"
    {
        return many(kind);
    }
    let quick = arguments.iter().any(|argument| argument == "quick");
    let time = Duration::from_millis(if quick { 300 } else { 3000 });
    let sizes = [1, 100, 10_000];
    let mut missed = Vec::new();
    println!(
        "| children | ours /s (CPU us) | bare ractor /s (CPU us) | Erlang /s (CPU us) | CPU to bare | rate to Erlang |"
    );
    println!("|---|---|---|---|---|---|");
    let mut own = Vec::new();
    for size in sizes {
        // Three rounds in turn and the best of each, since the machine has others to serve.
        let rounds: Vec<_> =
            (0..3).map(|_| (bare(size, time / 3), ours(size, time / 3), erlang(size, time / 3))).collect();
        let bare = best(rounds.iter().map(|round| round.0));
        let ours = best(rounds.iter().map(|round| round.1));
        let erlang = best(rounds.iter().map(|round| round.2));
        let (to_bare, to_erlang) = (ours.cpu_us / bare.cpu_us, ours.per_second / erlang.per_second);
        println!(
            "| {size} | {:.0} ({:.1}) | {:.0} ({:.1}) | {:.0} ({:.1}) | {to_bare:.2} | {to_erlang:.1} |",
            ours.per_second, ours.cpu_us, bare.per_second, bare.cpu_us, erlang.per_second, erlang.cpu_us
        );
        if to_bare > 2.0 {
            missed.push(format!("{to_bare:.2} times the CPU of a bare respawn at {size} children"));
        }
        if to_erlang < 10.0 {
            missed.push(format!("only {to_erlang:.1} times Erlang at {size} children"));
        }
        own.push((ours, bare));
    }
    println!(
        "\nErlang's supervisor walks a list of the restarts within the period at each of them, and intensity and period here (as many as ours, for a loop without end) let that list grow long: the last column is the ratio for this setting."
    );
    let growth = own[2].0.cpu_us / own[0].0.cpu_us;
    let growth_bare = own[2].1.cpu_us / own[0].1.cpu_us;
    println!(
        "\nCPU per restart at 10,000 children to that at 1: {growth:.2}; bare ractor's (memory, not work): {growth_bare:.2}"
    );
    // Work that grew with the number of children or with the history would show as a factor of many.
    if growth > 2.0 * growth_bare {
        missed.push(format!("{growth:.2} times the CPU at 10,000 children, bare ractor {growth_bare:.2}"));
    }
    let short = best((0..3).map(|_| ours(1, time / 10)));
    let aged = ours(1, time * 2).cpu_us / short.cpu_us;
    println!("CPU per restart over a history 20 times as long: {aged:.2}");
    if aged > 2.0 {
        missed.push(format!("{aged:.2} times the CPU over a history 20 times as long"));
    }
    println!("\n| {MANY} children | start | stop | memory per child |\n|---|---|---|---|");
    for kind in ["dynamic", "static", "bare"] {
        let per_child = report_many(kind);
        if kind != "bare" && per_child > 8.5 {
            missed.push(format!("{per_child:.2} KB per {kind} child"));
        }
    }
    if !missed.is_empty() && !quick {
        eprintln!("bars missed: {}", missed.join("; "));
        std::process::exit(1);
    }
}
