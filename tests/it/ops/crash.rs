//! Every operation, at every step, before its effect, after it and after its record: the node is killed, the worker
//! panics, the engine fails. Which places there are is told by the product; one that nobody came by fails the test.

use super::support::*;
use actors::{CrashPoint, Fault, Faults, Position, crash_points};
use engine::EngineError;
use protocol::{AppView, Command, OpId, OpState, OpView, Phase, StreamId};
use serde_json::from_str;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tests::{Ground, SimNode, shop};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    time::{Instant, advance},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hurt {
    Kill,
    Panic,
    Engine,
}

/// What was seen of one case.
struct Case {
    command: Command,
    point: CrashPoint,
    hurt: Hurt,
    armed: AtomicBool,
    fired: AtomicBool,
    halted: Notify,
    seen: Arc<Mutex<BTreeSet<CrashPoint>>>,
}

impl Case {
    /// The last stage, at which an operation has to fail where its undoing is to be seen.
    fn last(&self) -> &'static str {
        match self.point.kind {
            "update" | "install" | "restore" => "ready",
            "backup" => "verify",
            _ => "",
        }
    }

    fn fault(&self, at: &CrashPoint) -> Fault {
        if !self.armed.load(Ordering::Relaxed) || at.kind != self.point.kind {
            return Fault::None;
        }
        self.seen.lock().unwrap().insert(at.clone());
        if *at == self.point && !self.fired.swap(true, Ordering::Relaxed) {
            return match self.hurt {
                Hurt::Kill => {
                    self.halted.notify_one();
                    Fault::Halt
                }
                Hurt::Panic => Fault::Panic,
                // What is undone is tried again while that may help.
                Hurt::Engine if at.undoing => {
                    Fault::Fail(EngineError::Unreachable { message: "hurt".into() })
                }
                Hurt::Engine => {
                    Fault::Fail(EngineError::Broken { subject: "it".into(), message: "hurt".into() })
                }
            };
        }
        if self.point.undoing && !at.undoing && at.stage == self.last() && at.position == Position::After {
            return Fault::Fail(EngineError::Broken { subject: "it".into(), message: "hurt".into() });
        }
        Fault::None
    }

    /// Whether what it is to do is done when it is hurt, or is taken up again.
    fn succeeds(&self) -> bool {
        let stages: Vec<_> = crash_points(&"shop".parse().unwrap())
            .into_iter()
            .filter(|(_, it)| it.kind == self.point.kind && !it.undoing)
            .map(|(_, it)| it.stage)
            .collect();
        let is_last = stages.last() == Some(&self.point.stage) && self.point.position == Position::Recorded;
        !self.point.undoing && (self.hurt == Hurt::Kill || is_last)
    }

    /// Whether an earlier install has left data.
    fn has_past(&self) -> bool {
        self.point.position != Position::After
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

async fn watch(t: &SimNode, op: &OpId, forwards: &Mutex<Forwards>) -> OpView {
    t.wait(StreamId::Ops, || {
        let view: OpView = from_str(&t.node.board().row(StreamId::Ops, &op.0)?).unwrap();
        forwards.lock().unwrap().look(view.clone());
        view.state.is_terminal().then_some(view)
    })
    .await
}

async fn prepare(t: &SimNode, case: &Case) -> AppView {
    t.perform(install("kiosk")).await;
    if case.point.kind != "install" || case.has_past() {
        t.perform(shop::install()).await;
        std::fs::write(canary(t), "1").unwrap();
    }
    match case.point.kind {
        "install" if case.has_past() => drop(t.perform(shop::uninstall()).await),
        "start" => drop(t.perform(shop::stop()).await),
        "update" => t.add(&v2_with_backup()),
        "restore" => {
            t.perform(Command::Backup { app: "shop".parse().unwrap() }).await;
            std::fs::write(canary(t), "2").unwrap();
        }
        _ => {}
    }
    t.wait_phase("kiosk", Phase::Running).await
}

/// The command of a case, about what there is.
async fn command(t: &SimNode, case: &Case) -> Command {
    match &case.command {
        Command::Restore { app, .. } => {
            let backups = t.node.backups(Some(app)).await.unwrap();
            Command::Restore { app: app.clone(), snapshot: backups[0].id.clone() }
        }
        other => other.clone(),
    }
}

fn run(case: Case) {
    let (case, forwards) = (Arc::new(case), Mutex::new(Forwards::default()));
    let faults: Faults = {
        let case = Arc::clone(&case);
        Arc::new(move |at| case.fault(at))
    };
    let first = runtime();
    let (ground, op, neighbour, clock) = first.block_on(async {
        let t = SimNode::upon(Ground::new(&[V1, &kiosk()]), Some(Arc::clone(&faults))).await;
        let neighbour = prepare(&t, &case).await;
        case.armed.store(true, Ordering::Relaxed);
        let op = t.submit(command(&t, &case).await).await.unwrap();
        tokio::select! {
            biased;
            () = case.halted.notified() => {}
            _ = watch(&t, &op, &forwards) => assert_ne!(case.hurt, Hurt::Kill, "{:?} was not reached", case.point),
        }
        if case.hurt != Hurt::Kill {
            check(&t, &case, &op, &neighbour).await;
        }
        (t.abandon(), op, neighbour, Instant::now())
    });
    drop(first);
    if case.hurt == Hurt::Kill {
        forwards.lock().unwrap().next_life();
        runtime().block_on(async {
            advance(clock.duration_since(Instant::now())).await;
            let t = SimNode::upon(ground, Some(faults)).await;
            watch(&t, &op, &forwards).await;
            check(&t, &case, &op, &neighbour).await;
        });
    }
}

async fn check(t: &SimNode, case: &Case, op: &OpId, neighbour: &AppView) {
    let view = t.ended(op).await;
    let what = format!("{:?} {:?}: {view:#?}", case.hurt, case.point);
    let expected = if case.succeeds() { OpState::Succeeded } else { OpState::Failed };
    assert_eq!(view.state, expected, "{what}");
    assert_eq!(view.error.is_some(), expected == OpState::Failed, "{what}");
    let is_undone = !case.succeeds() && matches!(case.point.kind, "install" | "update");
    match (case.point.kind, is_undone) {
        ("install", true) => {
            t.wait_phase("shop", Phase::NotInstalled).await;
            let there = there(t);
            assert!(there.containers.is_empty() && there.networks.is_empty(), "{what}");
            let past = case.has_past();
            let kept = |name: &str| if past { names(&[name]) } else { names(&[]) };
            assert_eq!((there.volumes, there.secrets), (kept("shop_db"), kept("shop_pass")), "{what}");
            assert_eq!(t.data_dir().join("secrets/shop").exists(), past, "{what}");
            assert_eq!(t.data_dir().join("data/shop").exists(), past, "{what}");
        }
        ("install" | "start" | "restart", _) => runs_at(t, "1").await,
        ("update", true) => {
            let error = view.error.as_ref().unwrap();
            assert!(error.message.contains("rolled back to version 1"), "{what}");
            runs_at(t, "1").await;
        }
        ("update", false) => runs_at(t, "2").await,
        ("backup", _) => {
            runs_at(t, "1").await;
            let counted = t.node.backups(Some(&"shop".parse().unwrap())).await.unwrap();
            assert!(!counted.is_empty() || !case.succeeds(), "{what}");
        }
        ("restore", _) => {
            if !case.succeeds() {
                let error = view.error.as_ref().unwrap();
                assert!(error.message.contains("from before the restore"), "{what}");
            }
            runs_at(t, "1").await;
        }
        _ => {}
    }
    if case.point.kind != "purge" && (case.point.kind != "install" || case.has_past()) {
        let undone = case.point.kind == "restore" && !case.succeeds();
        let content = if undone { "2" } else { "1" };
        assert_eq!(std::fs::read_to_string(canary(t)).unwrap(), content, "{what}");
    }
    let kiosk = t.wait_phase("kiosk", Phase::Running).await;
    assert_eq!(facts(&kiosk), facts(neighbour), "{what}");
    // One end in the journal, over both lives. It is written in order: this one is there when a later one is.
    let ends = async || {
        let page = t.node.events(None, Some("shop".parse().unwrap()), 500).await.unwrap();
        let of_op = page.items.into_iter().filter(|event| event.op.as_ref() == Some(op));
        of_op.filter(|event| ["op_succeeded", "op_failed"].contains(&event.kind.as_str())).count()
    };
    goes_on(t, case).await;
    assert_eq!(ends().await, 1, "{what}");
}

/// Another command works, and in the end nothing is left.
async fn goes_on(t: &SimNode, case: &Case) {
    case.armed.store(false, Ordering::Relaxed);
    if case.point.kind == "stop" {
        t.wait_phase("shop", Phase::Stopped).await;
        t.sim.forget_calls();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(t.sim.calls(), []);
        t.perform(shop::start()).await;
    }
    let installed = t.app("shop").is_some_and(|app| app.installed);
    if !installed && !matches!(case.point.kind, "uninstall" | "purge") {
        t.perform(shop::install()).await;
    }
    if t.app("shop").unwrap().phase != Phase::NotInstalled {
        t.perform(shop::uninstall()).await;
    }
    let left = there(t);
    assert!(left.containers.is_empty() && left.networks.is_empty(), "{:?}", case.point);
}

fn every_point(kind: &str) {
    // The panics that were asked for tell nothing, and their backtraces take most of the time.
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("as it was told to") {
            others(panic);
        }
    }));
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut listed = BTreeSet::new();
    for (command, point) in crash_points(&"shop".parse().unwrap()).into_iter().filter(|(_, p)| p.kind == kind)
    {
        listed.insert(point.clone());
        for hurt in [Hurt::Kill, Hurt::Panic, Hurt::Engine] {
            run(Case {
                command: command.clone(),
                point: point.clone(),
                hurt,
                armed: AtomicBool::new(false),
                fired: AtomicBool::new(false),
                halted: Notify::new(),
                seen: Arc::clone(&seen),
            });
        }
    }
    assert!(!listed.is_empty());
    assert_eq!(*seen.lock().unwrap(), listed, "what was come by, and what is listed");
}

#[test]
fn an_install_that_is_hurt_anywhere_ends_well() {
    every_point("install");
}

#[test]
fn a_start_that_is_hurt_anywhere_ends_well() {
    every_point("start");
}

#[test]
fn a_stop_that_is_hurt_anywhere_ends_well() {
    every_point("stop");
}

#[test]
fn a_restart_that_is_hurt_anywhere_ends_well() {
    every_point("restart");
}

#[test]
fn an_uninstall_that_is_hurt_anywhere_ends_well() {
    every_point("uninstall");
}

#[test]
fn a_purge_that_is_hurt_anywhere_ends_well() {
    every_point("purge");
}

#[test]
fn an_update_that_is_hurt_anywhere_ends_well() {
    every_point("update");
}

#[test]
fn a_backup_that_is_hurt_anywhere_ends_well() {
    every_point("backup");
}

#[test]
fn a_restore_that_is_hurt_anywhere_ends_well() {
    every_point("restore");
}

#[test]
fn every_kind_has_its_test() {
    let kinds: BTreeSet<_> =
        crash_points(&"shop".parse().unwrap()).into_iter().map(|(_, point)| point.kind).collect();
    let tested = ["install", "start", "stop", "restart", "uninstall", "purge", "update", "backup", "restore"];
    assert_eq!(kinds, BTreeSet::from(tested));
}
