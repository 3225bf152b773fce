//! Operations that are ended by whoever asked for them.

use super::support::*;
use actors::{Fault, Faults, Position};
use engine::EngineState;
use protocol::{Desired, ErrorCode, OpId, OpState, OpView, Phase, StageState, StreamId};
use serde_json::from_str;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tests::{Ground, SimNode, shop};
use tokio::time::Instant;

async fn running(t: &SimNode, op: &OpId, stage: &str) -> OpView {
    t.wait(StreamId::Ops, || {
        let view: OpView = from_str(&t.node.board().row(StreamId::Ops, &op.0)?).unwrap();
        let is = view.stages.iter().any(|it| it.key == stage && it.state == StageState::Running);
        is.then_some(view)
    })
    .await
}

/// A shop whose web image has to be pulled, from a registry that does not answer.
async fn pulling() -> (SimNode, OpId) {
    let t = SimNode::start(&[&V1.replace("localhost/web:1", "localhost/far:1")]).await;
    t.sim.hang("pull_image");
    let op = t.submit(shop::install()).await.unwrap();
    running(&t, &op, "images").await;
    (t, op)
}

#[tokio::test(start_paused = true)]
async fn an_install_is_cancelled_within_seconds_while_its_pull_hangs_and_leaves_nothing() {
    let (t, op) = pulling().await;
    assert!(t.op(&op).cancellable);
    let begin = Instant::now();
    assert_eq!(t.submit(shop::cancel(&op)).await.unwrap(), op);
    let view = t.ended(&op).await;
    assert!(begin.elapsed() <= Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!((view.state, &view.error, view.cancellable), (OpState::Cancelled, &None, false));
    t.wait_phase("shop", Phase::NotInstalled).await;
    let left = there(&t);
    assert!([left.containers, left.networks, left.volumes, left.secrets].iter().all(BTreeSet::is_empty));
    assert!(!t.data_dir().join("secrets/shop").exists() && !t.data_dir().join("data/shop").exists());
    t.sim.resume("pull_image");
    t.sim.add_to_registry("localhost/far:1");
    t.perform(shop::install()).await;
    let page = t.node.events(None, None, 100).await.unwrap();
    let told: Vec<_> = page.items.iter().rev().map(|event| event.message.as_str()).collect();
    assert!(told.contains(&"cancel of shop was asked for"), "{told:?}");
    assert!(told.contains(&"install of shop was cancelled"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_takes_long_is_late_and_goes_on_and_never_silent() {
    let (t, op) = pulling().await;
    let (begin, mut rows) = (Instant::now(), t.node.board().watch(StreamId::Ops));
    let mut last = Instant::now();
    while !t.op(&op).late {
        tokio::time::timeout(Duration::from_secs(10), rows.changed()).await.unwrap().unwrap();
        assert!(last.elapsed() <= Duration::from_secs(10), "{:?}", last.elapsed());
        last = Instant::now();
        let stage = t.op(&op).stages[1].clone();
        let since = begin.elapsed().as_secs();
        assert!(since < 10 || stage.detail.unwrap().ends_with("s ago"), "after {since} s");
    }
    let late = t.op(&op);
    assert!((600..=610).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(late.cancellable && late.state == OpState::Running);
    t.sim.add_to_registry("localhost/far:1");
    t.sim.resume("pull_image");
    let view = t.ended(&op).await;
    assert_eq!((view.state, view.late), (OpState::Succeeded, false));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_cancelled_leaves_the_app_stopped_and_a_restart_leaves_it_running() {
    let t = SimNode::start(&[V1]).await;
    t.perform(shop::install()).await;
    t.perform(shop::stop()).await;
    t.probes_succeed.store(false, Ordering::Relaxed);
    let op = t.submit(shop::start()).await.unwrap();
    running(&t, &op, "start").await;
    t.submit(shop::cancel(&op)).await.unwrap();
    assert_eq!(t.submit(shop::cancel(&op)).await.unwrap(), op, "asked for twice is asked for once");
    assert_eq!(t.ended(&op).await.state, OpState::Cancelled);
    t.wait_phase("shop", Phase::Stopped).await;
    assert!(t.sim.states().values().all(|state| *state != EngineState::Running), "{:?}", t.sim.states());
    t.probes_succeed.store(true, Ordering::Relaxed);
    t.perform(shop::start()).await;
    t.sim.hang("stop");
    let op = t.submit(shop::restart()).await.unwrap();
    running(&t, &op, "stop").await;
    t.submit(shop::cancel(&op)).await.unwrap();
    assert_eq!(t.ended(&op).await.state, OpState::Cancelled);
    t.sim.resume("stop");
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_can_be_cancelled_until_it_removes_something() {
    let t = SimNode::start(&[V1]).await;
    t.perform(shop::install()).await;
    t.sim.hang("stop");
    let op = t.submit(shop::uninstall()).await.unwrap();
    assert!(running(&t, &op, "stop").await.cancellable);
    t.submit(shop::cancel(&op)).await.unwrap();
    assert_eq!(t.ended(&op).await.state, OpState::Cancelled);
    t.sim.resume("stop");
    t.wait_phase("shop", Phase::Running).await;
    runs_at(&t, "1").await;

    t.sim.hang("remove_network");
    let op = t.submit(shop::uninstall()).await.unwrap();
    assert!(!running(&t, &op, "remove").await.cancellable);
    assert_eq!(t.submit(shop::cancel(&op)).await, Err(ErrorCode::Conflict));
    t.sim.resume("remove_network");
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_or_is_another_apps_cannot_be_cancelled() {
    let t = SimNode::start(&[V1, &kiosk()]).await;
    let ended = t.perform(shop::install()).await.id;
    let refused = async |command| t.node.submit(command, None).await.unwrap_err();
    let error = refused(shop::cancel(&ended)).await;
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.ends_with("has ended: it succeeded"), "{error:?}");
    let other = t.submit(install("kiosk")).await.unwrap();
    let error = refused(shop::cancel(&other)).await;
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.ends_with("is of kiosk"), "{error:?}");
    assert_eq!(t.ended(&other).await.state, OpState::Succeeded);
    assert_eq!(refused(shop::cancel(&OpId("none".into()))).await.code, ErrorCode::NotFound);
    t.sim.hang("stop");
    let stop = t.submit(shop::stop()).await.unwrap();
    assert!(!running(&t, &stop, "stop").await.cancellable);
    assert_eq!(t.submit(shop::cancel(&stop)).await, Err(ErrorCode::Conflict));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_cancelled_is_back_at_the_old_version_with_the_data() {
    for stage in ["images", "stop", "start", "ready"] {
        let t = SimNode::start(&[V1]).await;
        t.perform(shop::install()).await;
        let before = t.wait_phase("shop", Phase::Running).await;
        std::fs::write(canary(&t), "1").unwrap();
        t.add(&v2().replace("image: localhost/web:2", "image: localhost/far:2"));
        t.sim.add_to_registry("localhost/far:2");
        let (call, name) = match stage {
            "images" => ("pull_image", "localhost/far:2"),
            "stop" => ("stop", "shop-old"),
            _ => ("start", "shop-fresh"),
        };
        if stage == "ready" {
            t.sim.on_exec(|name, _| engine::ExecOutput {
                code: i32::from(name == "shop-fresh"),
                output: String::new(),
            });
        } else {
            t.sim.hang(call);
        }
        let _ = name;
        let op = t.submit(shop::update()).await.unwrap();
        assert!(running(&t, &op, stage).await.cancellable, "{stage}");
        t.submit(shop::cancel(&op)).await.unwrap();
        t.sim.resume(call);
        let view = t.ended(&op).await;
        assert_eq!((view.state, &view.error), (OpState::Cancelled, &None), "{stage}: {view:#?}");
        runs_at(&t, "1").await;
        let after = t.wait_phase("shop", Phase::Running).await;
        assert_eq!(facts(&before)[0], facts(&after)[0], "{stage}: db is the same in both");
        assert_eq!(after.desired, Desired::Running);
        assert_eq!(std::fs::read_to_string(canary(&t)).unwrap(), "1");
    }
}

#[test]
fn a_node_that_is_killed_while_it_cancels_goes_on_undoing() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let halted = Arc::new(tokio::sync::Notify::new());
    let faults: Faults = {
        let halted = Arc::clone(&halted);
        Arc::new(move |at| {
            let is_it = at.undoing && at.stage == "remove" && at.position == Position::Before;
            if is_it {
                halted.notify_one();
                return Fault::Halt;
            }
            Fault::None
        })
    };
    let first = runtime();
    let (ground, op, clock) = first.block_on(async {
        let t = SimNode::upon(Ground::new(&[V1]), Some(faults)).await;
        t.probes_succeed.store(false, Ordering::Relaxed);
        let op = t.submit(shop::install()).await.unwrap();
        running(&t, &op, "start").await;
        t.submit(shop::cancel(&op)).await.unwrap();
        halted.notified().await;
        (t.abandon(), op, Instant::now())
    });
    drop(first);
    runtime().block_on(async {
        tokio::time::advance(clock.duration_since(Instant::now())).await;
        let t = SimNode::upon(ground, None).await;
        assert_eq!(t.ended(&op).await.state, OpState::Cancelled);
        t.wait_phase("shop", Phase::NotInstalled).await;
        let left = there(&t);
        assert!([left.containers, left.networks, left.volumes, left.secrets].iter().all(BTreeSet::is_empty));
    });
}
