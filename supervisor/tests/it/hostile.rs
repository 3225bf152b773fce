//! Children that do what they must not: none takes the supervisor down, loses an exit or runs twice.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus};
use supervisor::{
    ChildSpec, ChildState, ReportEvent, Restart, StartError, Started, Strategy, SupFlags, Supervisor,
    SupervisorRef,
};

use crate::lab::{Cmd, Lab, Manner, Way, cell, child, roomy, secs, state, stop, tell};

/// The supervisor is as it should be if a bystander has not been touched and both still obey.
async fn unharmed(lab: &Lab, sup: &SupervisorRef) {
    assert_eq!(child(sup, "bystander").await.generation, 1);
    assert_eq!(state(sup, "bystander").await, ChildState::Running);
    stop(sup).await;
    assert!(lab.words().contains(&"-bystander1".to_owned()));
}

async fn with_bystander(lab: &Lab, spec: ChildSpec) -> SupervisorRef {
    lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander"), spec]).await
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_noticed_once() {
    let lab = Lab::new();
    let sup = with_bystander(&lab, lab.child("a")).await;
    let mut generation = 1;
    for cmd in [
        Cmd::Panic,
        Cmd::Fail("told"),
        Cmd::Stop,
        Cmd::StopWith("killed".into()),
        Cmd::StopWith("what".into()),
    ] {
        tell(&sup, "a", cmd).await;
        generation += 1;
        lab.until_started("a", generation).await;
    }
    // A hanging handler can be killed.
    tell(&sup, "a", Cmd::Hang).await;
    cell(&sup, "a").await.kill();
    lab.until_started("a", generation + 1).await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::ChildTerminated { .. })), 6);
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn drop_of_the_state_panics() {
    let lab = Lab::new();
    let manner = Manner { panic_in_drop: true, ..Manner::default() };
    let sup = with_bystander(&lab, lab.child_with("a", manner)).await;
    for (generation, way) in [(2, Way::Normal), (3, Way::Shutdown)] {
        way.end(&cell(&sup, "a").await);
        lab.until_started("a", generation).await;
    }
    sup.terminate_child("a").await.unwrap();
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn post_stop_panics() {
    let lab = Lab::new();
    let manner = Manner { panic_in_post_stop: true, ..Manner::default() };
    let sup = with_bystander(&lab, lab.child_with("a", manner)).await;
    tell(&sup, "a", Cmd::Stop).await;
    lab.until_started("a", 2).await;
    sup.terminate_child("a").await.unwrap();
    unharmed(&lab, &sup).await;
}

#[tokio::test(start_paused = true)]
async fn child_that_unlinked_itself_and_ends_is_restarted() {
    for way in [Way::Normal, Way::Abnormal, Way::Kill] {
        let lab = Lab::new();
        let sup = with_bystander(&lab, lab.child("a")).await;
        let a = cell(&sup, "a").await;
        a.send_message(Cmd::Unlink).unwrap();
        while a.try_get_supervisor().is_some() {
            tokio::task::yield_now().await;
        }
        way.end(&a);
        lab.until_started("a", 2).await;
        unharmed(&lab, &sup).await;
    }
}

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
    let gate = Arc::new(AtomicBool::new(false));
    let closed = gate.clone();
    let spec = ChildSpec::worker("block", move |_| {
        let gate = closed.clone();
        async move {
            while !gate.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            Ok(Started::ignore())
        }
    })
    .start_timeout(Duration::from_millis(50));
    let error = sup.start_child(spec).await.unwrap_err();
    assert!(matches!(error, supervisor::SupervisorError::StartFailed(StartError::Timeout(_))));
    assert_eq!(state(&sup, "block").await, ChildState::Unkillable);
    gate.store(true, Ordering::SeqCst);
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

/// A killed supervisor's children are waited for before it is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_of_a_killed_supervisor_are_never_doubled() {
    let lab = Lab::new();
    let family = Arc::new(Family::default());
    let spec = busy(&family);
    // Two levels, so that the orphans are grandchildren.
    let middle = Supervisor::child_spec("middle", SupFlags::default(), vec![spec]);
    let nested = Supervisor::child_spec("nested", SupFlags::default(), vec![middle]);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![nested]).await;
    for round in 1..=20 {
        let nested = SupervisorRef::from_cell(&cell(&sup, "nested").await).unwrap();
        let middle = SupervisorRef::from_cell(&cell(&nested, "middle").await).unwrap();
        // The worker blocks its thread for a moment while its supervisors are killed.
        cell(&middle, "w").await.send_message(Duration::from_millis(20)).unwrap();
        tokio::task::yield_now().await;
        nested.cell().kill();
        lab.until_started("nested", round + 1).await;
    }
    assert_eq!(family.members.lock().unwrap().len(), 21);
    assert_eq!(family.doubled.load(Ordering::SeqCst), 0);
    stop(&sup).await;
}

/// Kills a supervisor whose worker blocks its thread for much longer than a start of the supervisor may wait for it.
async fn orphan_outlives_starts(start_timeout: Option<Duration>, levels: usize) {
    let lab = Lab::new();
    let family = Arc::new(Family::default());
    let short = SupFlags::default().kill_grace(Duration::from_millis(300));
    let mut spec = busy(&family);
    for _ in 0..levels {
        spec = Supervisor::child_spec("nested", short.clone(), vec![spec]);
    }
    if let Some(time) = start_timeout {
        spec = spec.start_timeout(time);
    }
    let flags = roomy(Strategy::OneForOne).kill_grace(Duration::from_millis(300));
    let sup = lab.supervisor(flags, vec![spec]).await;
    let worker = family.members.lock().unwrap()[0].clone();
    worker.send_message(Duration::from_millis(1200)).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    cell(&sup, "nested").await.kill();
    let again = async {
        while family.members.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(secs(20), again).await.expect("it is started again");
    assert_eq!(family.doubled.load(Ordering::SeqCst), 0, "{start_timeout:?} {levels}");
    stop(&sup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_are_not_forgotten_by_a_start_that_takes_too_long() {
    orphan_outlives_starts(Some(Duration::from_millis(100)), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_of_orphans_are_not_forgotten_by_a_start_that_fails() {
    orphan_outlives_starts(None, 2).await;
    orphan_outlives_starts(Some(Duration::from_millis(100)), 2).await;
}

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
    let spec = ChildSpec::worker("bomb", move |ctx| {
        let lab = inner.clone();
        async move {
            tokio::time::sleep(secs(2)).await;
            let cell = lab.spawn(ctx, Manner::default()).await?.cell().unwrap().clone();
            Ok(Started::with_info(cell, Bomb))
        }
    });
    let call = tokio::time::timeout(secs(1), sup.start_child(spec)).await;
    assert!(call.is_err(), "the caller gives up");
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

#[derive(Default)]
struct Family {
    members: Mutex<Vec<ActorRef<Duration>>>,
    doubled: AtomicUsize,
}

fn busy(family: &Arc<Family>) -> ChildSpec {
    let family = family.clone();
    ChildSpec::worker("w", move |ctx| {
        let family = family.clone();
        async move { ctx.spawn(Busy(family), ()).await }
    })
}

/// Blocks its thread as long as it is told to.
struct Busy(Arc<Family>);

impl Actor for Busy {
    type Msg = Duration;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Duration>, (): ()) -> Result<(), ActorProcessingErr> {
        let mut members = self.0.members.lock().unwrap();
        let others = members.iter().filter(|member| member.get_status() != ActorStatus::Stopped).count();
        self.0.doubled.fetch_add(others, Ordering::SeqCst);
        members.push(myself);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Duration>,
        time: Duration,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let begin = std::time::Instant::now();
        while begin.elapsed() < time {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

/// The crate needs unwinding: with `panic = "abort"` a child's panic ends the process.
#[test]
fn panics_unwind() {
    const { assert!(cfg!(panic = "unwind")) };
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
