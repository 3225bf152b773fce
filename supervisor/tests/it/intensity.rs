//! Intensity, tries that fail, backoff and parking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervisor::{
    Backoff, ChildSpec, ChildState, DynamicSpec, DynamicSupervisor, OnExhausted, ReportEvent, StartError,
    Strategy, SupFlags, SupervisorError,
};
use tokio::time::Instant;

use crate::lab::{Cmd, Lab, Manner, Told, Way, cell, child, roomy, secs, state, stop, takes, tell};

/// A child whose starts after the first take two seconds and fail.
fn hanging(lab: &Lab, id: &str) -> ChildSpec {
    let lab = lab.clone();
    ChildSpec::worker(id, move |ctx| {
        let lab = lab.clone();
        async move {
            if ctx.generation > 1 {
                takes(secs(2)).await;
                return Err(StartError::failed(Told("hangs and fails")));
            }
            lab.spawn(ctx, Manner::default()).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn multiple_restarts() {
    let lab = Lab::new();
    let flags = SupFlags::default().intensity(1, secs(1));
    let sup = lab.supervisor(flags, vec![lab.child("a")]).await;
    for generation in 2..=5 {
        tell(&sup, "a", Cmd::Panic).await;
        lab.until_started("a", generation).await;
        tokio::time::advance(Duration::from_millis(2100)).await;
    }
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("a", 6).await;
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop() {
    let lab = Lab::new();
    let flags = SupFlags::default().intensity(8, secs(10));
    let sup = lab.supervisor(flags, vec![]).await;
    sup.start_child(hanging(&lab, "a")).await.unwrap();
    let a = cell(&sup, "a").await;
    lab.end(&a, Way::Abnormal).await;
    for _ in 0..3 {
        assert!(matches!(state(&sup, "a").await, ChildState::Restarting { .. }));
        assert!(matches!(sup.start_child(hanging(&lab, "a")).await, Err(SupervisorError::AlreadyPresent)));
        assert!(matches!(sup.restart_child("a").await, Err(SupervisorError::Restarting)));
        assert!(matches!(sup.delete_child("a").await, Err(SupervisorError::Restarting)));
        tokio::time::advance(Duration::from_millis(2001)).await;
    }
    sup.terminate_child("a").await.unwrap();
    assert_eq!(state(&sup, "a").await, ChildState::Undefined);
    let begun = lab.count(|e| matches!(e, ReportEvent::StartError { .. }));
    tokio::time::advance(secs(20)).await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), begun, "the loop has ended");
    sup.delete_child("a").await.unwrap();
    // The supervisor can be shut down in the loop.
    sup.start_child(hanging(&lab, "b")).await.unwrap();
    lab.end(&cell(&sup, "b").await, Way::Abnormal).await;
    let begin = Instant::now();
    stop(&sup).await;
    assert!(begin.elapsed() < secs(2), "a hanging start does not hold the end up");
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_rest_for_one() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::RestForOne).intensity(8, secs(10));
    let sup = lab.supervisor(flags, vec![lab.child("a"), hanging(&lab, "b"), lab.child("c")]).await;
    let a = cell(&sup, "a").await;
    lab.end(&cell(&sup, "b").await, Way::Abnormal).await;
    lab.until_report("a try failed", |e| matches!(e, ReportEvent::StartError { .. })).await;
    assert!(matches!(state(&sup, "b").await, ChildState::Restarting { .. }));
    assert_eq!(state(&sup, "c").await, ChildState::Undefined);
    assert_eq!(cell(&sup, "a").await, a);
    assert!(matches!(sup.start_child(hanging(&lab, "b")).await, Err(SupervisorError::AlreadyPresent)));
    assert!(matches!(sup.restart_child("b").await, Err(SupervisorError::Restarting)));
    assert!(matches!(sup.delete_child("b").await, Err(SupervisorError::Restarting)));
    assert!(
        matches!(sup.start_child(lab.child("a")).await, Err(SupervisorError::AlreadyStarted(it)) if it == a)
    );
    sup.terminate_child("b").await.unwrap();
    assert_eq!(state(&sup, "b").await, ChildState::Undefined);
    assert_eq!(cell(&sup, "a").await, a);
    let failed = lab.count(|e| matches!(e, ReportEvent::StartError { .. }));
    tokio::time::advance(secs(20)).await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), failed, "the loop has ended");
    sup.delete_child("b").await.unwrap();
    // The supervisor can be shut down in the loop.
    sup.start_child(hanging(&lab, "d")).await.unwrap();
    lab.end(&cell(&sup, "d").await, Way::Abnormal).await;
    assert!(matches!(state(&sup, "d").await, ChildState::Restarting { .. }));
    let begin = Instant::now();
    stop(&sup).await;
    assert!(begin.elapsed() < secs(2), "a hanging start does not hold the end up");
    assert_eq!(lab.words().last().unwrap(), "-a1");
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_simple() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = DynamicSpec::<()>::new(move |ctx, ()| {
        let lab = inner.clone();
        async move {
            if ctx.generation > 1 {
                takes(secs(2)).await;
                return Err(StartError::failed(Told("hangs and fails")));
            }
            lab.spawn(ctx, Manner::default()).await
        }
    });
    let flags = SupFlags::default().intensity(8, secs(10));
    let sup = DynamicSupervisor::start_link("root", flags, spec, None, Some(lab.sink())).await.unwrap();
    let a = sup.start_child(()).await.unwrap().cell().unwrap().clone();
    lab.end(&a, Way::Abnormal).await;
    lab.until_report("a try failed", |e| matches!(e, ReportEvent::StartError { .. })).await;
    let shown = sup.which_children().await.unwrap();
    assert!(matches!(shown[0].state, ChildState::Restarting { .. }));
    sup.terminate_child(&a).await.unwrap();
    assert!(sup.which_children().await.unwrap().is_empty());
    let failed = lab.count(|e| matches!(e, ReportEvent::StartError { .. }));
    tokio::time::advance(secs(20)).await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), failed, "the loop has ended");
    // The supervisor can be shut down in the loop.
    let b = sup.start_child(()).await.unwrap().cell().unwrap().clone();
    lab.end(&b, Way::Abnormal).await;
    assert!(matches!(sup.which_children().await.unwrap()[0].state, ChildState::Restarting { .. }));
    let begin = Instant::now();
    sup.stop(supervisor::ExitReason::Shutdown(None)).await;
    assert!(begin.elapsed() < secs(2), "a hanging start does not hold the end up");
}

#[tokio::test(start_paused = true)]
async fn count_restarting_children() {
    let lab = Lab::new();
    let spec =
        lab.dynamic().configure(|spec| spec.backoff(Backoff { first: secs(60), ..Backoff::default() }));
    let sup = lab.dynamic_supervisor(roomy(Strategy::OneForOne), spec).await;
    let mut cells = Vec::new();
    for _ in 0..3 {
        cells.push(sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone());
    }
    for (index, cell) in cells.iter().enumerate() {
        lab.end(cell, Way::Kill).await;
        let counts = sup.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active, counts.workers), (1, 2 - index, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn backoff_waits_longer_each_time_and_forgets_after_health() {
    let lab = Lab::new();
    let backoff = Backoff { jitter: 0.0, reset_after: secs(10), ..Backoff::default() };
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a").backoff(backoff)]).await;
    let mut waits = Vec::new();
    for generation in 2..=5 {
        let begin = Instant::now();
        tell(&sup, "a", Cmd::Panic).await;
        lab.until_started("a", generation).await;
        waits.push(begin.elapsed().as_millis());
    }
    tokio::time::advance(secs(11)).await;
    let begin = Instant::now();
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("a", 6).await;
    waits.push(begin.elapsed().as_millis());
    // tokio rounds timers up to the next millisecond.
    let expected = [0, 200, 400, 800, 0];
    assert!(
        waits.iter().zip(expected).all(|(wait, expected)| (expected..=expected + 1).contains(wait)),
        "{waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn terminate_child_cancels_a_backoff_and_restart_child_skips_it() {
    let lab = Lab::new();
    let slow = Backoff { first: secs(60), ..Backoff::default() };
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a").backoff(slow)]).await;
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_report("scheduled", |e| matches!(e, ReportEvent::RestartScheduled { .. })).await;
    assert!(matches!(state(&sup, "a").await, ChildState::Restarting { until: Some(_), attempt: 1 }));
    sup.terminate_child("a").await.unwrap();
    tokio::time::advance(secs(120)).await;
    assert_eq!(state(&sup, "a").await, ChildState::Undefined);
    sup.restart_child("a").await.unwrap();
    lab.end(&cell(&sup, "a").await, Way::Abnormal).await;
    let begin = Instant::now();
    sup.restart_child("a").await.unwrap();
    assert!(begin.elapsed() < secs(1));
    tokio::time::advance(secs(120)).await;
    assert_eq!(child(&sup, "a").await.generation, 3, "the skipped wait does not restart it again");
}

#[tokio::test(start_paused = true)]
async fn backoff_of_a_group_stops_the_siblings_first_and_starts_all_together() {
    let lab = Lab::new();
    let slow = Backoff { first: secs(60), jitter: 0.0, ..Backoff::default() };
    let children = vec![lab.child("a"), lab.child("b").backoff(slow), lab.child("c")];
    let sup = lab.supervisor(roomy(Strategy::OneForAll), children).await;
    tell(&sup, "b", Cmd::Panic).await;
    lab.until_word("-a1").await;
    assert_eq!(lab.words()[3..], ["-c1", "-a1"]);
    assert!(matches!(state(&sup, "b").await, ChildState::Restarting { until: Some(_), .. }));
    lab.until_started("c", 2).await;
    assert_eq!(lab.words()[5..], ["+a2", "+b2", "+c2"]);
}

#[tokio::test(start_paused = true)]
async fn parked_child_stays_down_until_it_is_wanted() {
    let lab = Lab::new();
    let flags =
        SupFlags::default().intensity(1, secs(3600)).on_exhausted(OnExhausted::Park { retry_after: None });
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child("b")]).await;
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("a", 2).await;
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_report("parked", |e| matches!(e, ReportEvent::Parked { .. })).await;
    assert_eq!(state(&sup, "a").await, ChildState::Parked);
    // The others go on with a clean slate.
    tell(&sup, "b", Cmd::Panic).await;
    lab.until_started("b", 2).await;
    sup.restart_child("a").await.unwrap();
    assert_eq!(state(&sup, "a").await, ChildState::Running);
    let history = child(&sup, "a").await.history;
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(|entry| entry.reason.panic().is_some()));
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn parked_group_comes_back_after_its_time() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::RestForOne)
        .intensity(0, secs(5))
        .on_exhausted(OnExhausted::Park { retry_after: Some(secs(30)) });
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child("b"), lab.child("c")]).await;
    tell(&sup, "b", Cmd::Panic).await;
    lab.until_word("-c1").await;
    assert_eq!(state(&sup, "b").await, ChildState::Parked);
    assert_eq!(state(&sup, "a").await, ChildState::Running);
    lab.until_started("c", 2).await;
    assert_eq!(lab.words()[3..], ["-c1", "+b2", "+c2"]);
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::Unparked)), 1);
}

/// OTP checks the flag at each start; here the gate stands for a disk that comes back.
#[tokio::test(start_paused = true)]
async fn failed_restart_is_tried_again_until_it_works() {
    let lab = Lab::new();
    let broken = Arc::new(AtomicBool::new(false));
    let gate = broken.clone();
    let spec = lab
        .child_if("a", move |_| {
            if gate.load(Ordering::SeqCst) { Err(StartError::failed(Told("disk gone"))) } else { Ok(()) }
        })
        .backoff(Backoff::default());
    let sup = lab.supervisor(SupFlags::default().intensity(1000, secs(1)), vec![spec]).await;
    broken.store(true, Ordering::SeqCst);
    tell(&sup, "a", Cmd::Panic).await;
    lab.until("some tries", |lab| lab.count(|e| matches!(e, ReportEvent::StartError { .. })) >= 5).await;
    broken.store(false, Ordering::SeqCst);
    lab.until("back", |lab| lab.words().len() == 2).await;
    let now = child(&sup, "a").await;
    assert_eq!((now.state, now.restarts), (ChildState::Running, 1));
}

/// A wait that no clock can show is shown as one far away.
#[tokio::test(start_paused = true)]
async fn endless_backoff_can_be_shown() {
    for wait in [Duration::MAX, Duration::MAX / 2] {
        let lab = Lab::new();
        let backoff = Backoff { first: wait, initial: wait, max: wait, jitter: 0.0, ..Backoff::default() };
        let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a").backoff(backoff)]).await;
        lab.end(&cell(&sup, "a").await, Way::Abnormal).await;
        let shown = state(&sup, "a").await;
        let later = std::time::SystemTime::now() + secs(1_000_000);
        assert!(
            matches!(shown, ChildState::Restarting { until: Some(until), .. } if until > later),
            "{shown:?}"
        );
        stop(&sup).await;
    }
}
