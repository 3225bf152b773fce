//! Start functions that panic, hang, lie, or forget whom they started.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisor::{
    ChildSpec, ChildState, ReportEvent, Restart, StartError, Started, Strategy, SupFlags, Supervisor,
};

use super::{unharmed, with_bystander};
use crate::lab::{Cmd, Gate, Lab, Manner, cell, child, roomy, secs, state, stop, tell};

/// The synchronous part of a hand-written `pre_start` panics in ractor's spawner.
struct SyncPanic;

impl Actor for SyncPanic {
    type Msg = ();
    type State = ();
    type Arguments = ();

    fn pre_start(
        &self,
        _: ActorRef<()>,
        (): (),
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        panic!("told to panic before the future");
        #[expect(unreachable_code, reason = "gives the type")]
        async {
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn start_functions_panic_anywhere() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander")]).await;
    let specs = [
        ChildSpec::worker("guarded", |ctx| async move { ctx.spawn(SyncPanic, ()).await }),
        ChildSpec::worker("bare", |ctx| async move {
            let (child, _) = Actor::spawn_linked(None, SyncPanic, (), ctx.supervisor.clone()).await?;
            Ok(Started::new(child.get_cell()))
        }),
        ChildSpec::worker("future", |_| async { panic!("told to panic in the future") }),
        ChildSpec::worker("call", |_| -> std::future::Ready<_> { panic!("told to panic in the call") }),
    ];
    for spec in specs {
        match sup.start_child(spec).await.unwrap_err() {
            supervisor::SupervisorError::StartFailed(StartError::Panicked(panic)) => {
                assert!(panic.message().starts_with("told to panic"));
            }
            other => panic!("{other:?}"),
        }
    }
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn child_that_is_gone_before_its_start_returns_is_restarted() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = ChildSpec::worker("a", move |ctx| {
        let lab = inner.clone();
        async move {
            let generation = ctx.generation;
            let started = lab.spawn(ctx, Manner::default()).await?;
            let cell = started.cell().unwrap();
            if generation < 4 {
                // The exit overtakes the start.
                match generation {
                    1 => cell.kill(),
                    2 => cell.stop(None),
                    _ => cell.send_message(Cmd::Panic).unwrap(),
                }
                cell.wait(None).await.unwrap();
            }
            Ok(started)
        }
    });
    let sup = with_bystander(&lab, spec).await;
    lab.until_started("a", 4).await;
    assert_eq!(state(&sup, "a").await, ChildState::Running);
    let reports = lab.reports();
    let reasons: Vec<_> = reports
        .iter()
        .filter_map(|report| match &report.event {
            ReportEvent::ChildTerminated { reason, .. } => Some(reason.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["killed", "normal", "panicked: told to panic"]);
    unharmed(&lab, &sup).await;
}

/// A start function that forgets the link, and one that names an actor long dead.
#[tokio::test(start_paused = true)]
async fn unlinked_and_dead_actors_are_taken_in() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander")]).await;
    let stranger = lab.supervisor(SupFlags::default(), vec![]).await;
    let unlinked = stranger.cell();
    let spec = ChildSpec::worker("unlinked", move |ctx| {
        let (cell, first) = (unlinked.clone(), ctx.generation == 1);
        async move { if first { Ok(Started::new(cell)) } else { Ok(Started::ignore()) } }
    });
    sup.start_child(spec).await.unwrap();
    stranger.cell().kill();
    lab.until_report("its end is noticed", |e| {
        matches!(e, ReportEvent::ChildTerminated { restarting: true, .. })
    })
    .await;
    stranger.wait().await;
    let dead = stranger.cell();
    let spec = ChildSpec::worker("dead", move |_| {
        let cell = dead.clone();
        async move { Ok(Started::new(cell)) }
    });
    sup.start_child(spec.restart(Restart::Temporary)).await.unwrap();
    let gone = async {
        while sup.get_childspec("dead").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(secs(60), gone).await.unwrap();
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_linked_actors_are_none_of_the_supervisors_business() {
    let lab = Lab::new();
    let sup = with_bystander(&lab, lab.child("a")).await;
    let helper =
        Supervisor::start_link("helper", SupFlags::default(), vec![], Some(sup.cell()), None).await.unwrap();
    helper.cell().kill();
    helper.wait().await;
    assert_eq!(child(&sup, "a").await.generation, 1);
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn hanging_start_holds_nobody_up() {
    let lab = Lab::new();
    let sup = with_bystander(&lab, lab.child("a")).await;
    let caller = sup.clone();
    let hang = ChildSpec::worker("hang", |_| std::future::pending());
    let start = async move { caller.start_child(hang).await };
    let others = async {
        tell(&sup, "a", Cmd::Panic).await;
        lab.until_started("a", 2).await;
        assert_eq!(state(&sup, "hang").await, ChildState::Starting);
        sup.terminate_child("hang").await.unwrap();
    };
    let (started, ()) = tokio::join!(start, others);
    assert!(matches!(started, Err(supervisor::SupervisorError::StartFailed(StartError::Aborted))));
    unharmed(&lab, &sup).await;
}

/// A start that is given up after it has spawned leaves no actor behind.
#[tokio::test(start_paused = true)]
async fn given_up_start_is_stopped_in_order() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = ChildSpec::worker("a", move |ctx| {
        let lab = inner.clone();
        async move {
            lab.spawn(ctx, Manner::default()).await?;
            std::future::pending().await
        }
    })
    .start_timeout(secs(3));
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander")]).await;
    let error = sup.start_child(spec).await.unwrap_err();
    assert!(matches!(error, supervisor::SupervisorError::StartFailed(StartError::Timeout(_))));
    assert_eq!(lab.words(), ["+bystander1", "+a1", "-a1"]);
    unharmed(&lab, &sup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn start_that_blocks_a_thread_holds_nobody_up() {
    let lab = Lab::new();
    let flags = roomy(Strategy::OneForOne).kill_grace(Duration::from_millis(50));
    let sup = lab.supervisor(flags, vec![lab.child("bystander")]).await;
    let gate = Arc::new(Gate::default());
    let closed = gate.clone();
    let spec = ChildSpec::worker("block", move |_| {
        let gate = closed.clone();
        async move {
            gate.block();
            Ok(Started::ignore())
        }
    })
    .start_timeout(Duration::from_millis(50));
    let error = sup.start_child(spec).await.unwrap_err();
    assert!(matches!(error, supervisor::SupervisorError::StartFailed(StartError::Timeout(_))));
    assert_eq!(state(&sup, "block").await, ChildState::Unkillable);
    gate.open();
    lab.until_report("its end is noticed", |e| matches!(e, ReportEvent::ChildTerminated { .. })).await;
    assert_eq!(state(&sup, "block").await, ChildState::Undefined);
    unharmed(&lab, &sup).await;
}

/// Two supervisors may have children of one name, and an actor name in use fails a start without a word more.
#[tokio::test(start_paused = true)]
async fn names_are_reused() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander"), lab.child("a")]).await;
    let other = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a")]).await;
    assert_ne!(cell(&sup, "a").await, cell(&other, "a").await);
    for round in 1..=20 {
        tell(&sup, "a", Cmd::Panic).await;
        lab.until_started("a", round + 1).await;
    }
    stop(&other).await;
    unharmed(&lab, &sup).await;
}

/// Nobody is left who could stop the tree: it must not stay.
#[tokio::test(start_paused = true)]
async fn cancelled_start_without_a_parent_leaves_nothing() {
    let lab = Lab::new();
    let hang = ChildSpec::worker("hang", |_| std::future::pending());
    let children = vec![lab.child("a"), hang];
    let start = Supervisor::start_link("root", SupFlags::default(), children, None, Some(lab.sink()));
    assert!(tokio::time::timeout(secs(1), start).await.is_err());
    lab.until_word("-a1").await;
    let ended = |e: &ReportEvent| matches!(e, ReportEvent::SupervisorEnded { .. });
    lab.until_report("the supervisor has ended", ended).await;
}
