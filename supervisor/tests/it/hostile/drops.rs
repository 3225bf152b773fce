//! Values of children whose drop panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisor::{ChildSpec, Restart, Started, Strategy, Supervisor};
use tokio::sync::Notify;

use super::{unharmed, with_bystander};
use crate::lab::{Cmd, Lab, Manner, child, roomy, secs, stop, tell};

/// A value whose drop panics, with a payload whose drop panics too.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("told to panic in drop");
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("told to panic in display");
    }
}

#[tokio::test(start_paused = true)]
async fn drop_of_what_a_start_says_panics() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = ChildSpec::worker("bomb", move |ctx| {
        let lab = inner.clone();
        async move {
            let cell = lab.spawn(ctx, Manner::default()).await?.cell().unwrap().clone();
            Ok(Started::with_info(cell, Bomb))
        }
    });
    let sup = with_bystander(&lab, spec).await;
    for generation in 2..=4 {
        tell(&sup, "bomb", Cmd::Panic).await;
        lab.until_started("bomb", generation).await;
    }
    unharmed(&lab, &sup).await;
}

/// The caller of `start_child` has gone away, so its answer comes back to the supervisor.
#[tokio::test(start_paused = true)]
async fn drop_of_an_answer_that_nobody_waits_for_panics() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander")]).await;
    let inner = lab.clone();
    let gone = Arc::new(Notify::new());
    let answer = gone.clone();
    let spec = ChildSpec::worker("bomb", move |ctx| {
        let (lab, answer) = (inner.clone(), answer.clone());
        async move {
            answer.notified().await;
            let cell = lab.spawn(ctx, Manner::default()).await?.cell().unwrap().clone();
            Ok(Started::with_info(cell, Bomb))
        }
    });
    let call = tokio::time::timeout(secs(1), sup.start_child(spec)).await;
    assert!(call.is_err(), "the caller gives up");
    gone.notify_one();
    lab.until_started("bomb", 1).await;
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn sink_and_classifier_panic_with_a_payload_whose_drop_panics() {
    let lab = Lab::new();
    let sink: supervisor::ReportSink = {
        let record = lab.sink();
        Arc::new(move |report: &supervisor::Report| {
            record(report);
            std::panic::panic_any(Bomb);
        })
    };
    let bomb = lab.child("bomb").exit_classifier(|_| std::panic::panic_any(Bomb));
    let children = vec![lab.child("bystander"), bomb];
    let sup =
        Supervisor::start_link("root", roomy(Strategy::OneForOne), children, None, Some(sink)).await.unwrap();
    tell(&sup, "bomb", Cmd::StopWith("some words".into())).await;
    lab.until_started("bomb", 2).await;
    unharmed(&lab, &sup).await;
}

impl std::error::Error for Bomb {}

/// An error that can neither be written nor dropped.
struct Fails;

impl Actor for Fails {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err(Box::new(Bomb))
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_can_neither_be_written_nor_dropped() {
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::sink).finish(),
    );
    let lab = Lab::new();
    let spec =
        |restart| ChildSpec::worker("bomb", |ctx| async move { ctx.spawn(Fails, ()).await }).restart(restart);
    // Without a sink, nobody but the supervisor has the errors.
    let children = vec![lab.child("bystander")];
    let sup = Supervisor::start_link("root", roomy(Strategy::OneForOne), children, None, None).await.unwrap();
    for restart in [Restart::Temporary, Restart::Permanent] {
        let started = sup.start_child(spec(restart)).await.unwrap();
        let bomb = started.cell().unwrap();
        bomb.send_message(()).unwrap();
        bomb.wait(None).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(child(&sup, "bystander").await.generation, 1, "{restart:?}");
    }
    sup.stop(supervisor::ExitReason::failed(Bomb)).await;
    assert!(lab.words().contains(&"-bystander1".to_owned()));
}

/// Two drops that panic at once would end the process: a child's record has many errors in it.
#[tokio::test(start_paused = true)]
async fn records_full_of_errors_that_cannot_be_dropped() {
    for end in ["deletion", "stop", "kill"] {
        // Whoever listens or asks would have the errors too.
        let bombs = Arc::new(std::sync::Mutex::new(Vec::new()));
        let started = bombs.clone();
        let spec = ChildSpec::worker("bomb", move |ctx| {
            let started = started.clone();
            async move {
                let child = ctx.spawn(Fails, ()).await?;
                started.lock().unwrap().extend(child.cell().cloned());
                Ok(child)
            }
        });
        let sup =
            Supervisor::start_link("root", roomy(Strategy::OneForOne), vec![spec], None, None).await.unwrap();
        for restarts in 1..=3 {
            let bomb = bombs.lock().unwrap().last().cloned().unwrap();
            bomb.send_message(()).unwrap();
            while bombs.lock().unwrap().len() == restarts {
                tokio::task::yield_now().await;
            }
        }
        match end {
            "deletion" => {
                sup.terminate_child("bomb").await.unwrap();
                sup.delete_child("bomb").await.unwrap();
                assert_eq!(sup.count_children().await.unwrap().specs, 0);
                stop(&sup).await;
            }
            "stop" => stop(&sup).await,
            _ => {
                sup.cell().kill();
                sup.cell().wait(None).await.unwrap();
            }
        }
    }
}

struct PanicsInDrop(Arc<AtomicUsize>);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("dropped");
    }
}

/// What a start function owns is dropped away from the supervisor: of a child that is deleted, refused or temporary.
#[tokio::test(start_paused = true)]
async fn drop_of_a_start_function_panics() {
    let lab = Lab::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let spec = |id: &'static str| {
        let value = PanicsInDrop(drops.clone());
        ChildSpec::worker(id, move |_| {
            let _ = &value;
            async { Ok(Started::ignore()) }
        })
    };
    let sup = with_bystander(&lab, lab.child("a")).await;
    sup.start_child(spec("b")).await.unwrap();
    assert!(sup.start_child(spec("b")).await.is_err());
    sup.delete_child("b").await.unwrap();
    sup.start_child(spec("c").restart(Restart::Temporary)).await.unwrap();
    assert!(sup.start_child(spec("d").significant(true)).await.is_err());
    while drops.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    unharmed(&lab, &sup).await;
}
