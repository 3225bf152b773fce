//! Restart strategies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use supervisor::{ReportEvent, StartCause, StartCtx, StartError, Strategy, SupFlags, SupervisorError};

use crate::lab::{Cmd, Lab, Manner, Told, Way, cell, ids, roomy, secs, tell};

/// Refuses the starts with these numbers, counted from 1.
fn refuse(numbers: &'static [u64]) -> impl Fn(&StartCtx) -> Result<(), StartError> + Send + Sync + 'static {
    let calls = Arc::new(AtomicU64::new(0));
    move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
        if numbers.contains(&call) { Err(StartError::failed(Told("refused"))) } else { Ok(()) }
    }
}

const ALL_BUT_FIRST: &[u64] = &[2, 3, 4, 5, 6, 7, 8, 9, 10];

#[tokio::test(start_paused = true)]
async fn one_for_one() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::OneForOne).intensity(2, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child("b")]).await;
    let b = cell(&sup, "b").await;
    for generation in 2..=3 {
        lab.end(&cell(&sup, "a").await, Way::Abnormal).await;
        lab.until_started("a", generation).await;
        assert_eq!(cell(&sup, "b").await, b);
    }
    assert_eq!(sup.info().await.unwrap().restarts_used, 2);
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.words(), ["+a1", "+b1", "+a2", "+a3", "-b1"]);
}

#[tokio::test(start_paused = true)]
async fn one_for_one_escalation() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::OneForOne).intensity(4, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child_if("a", refuse(ALL_BUT_FIRST)), lab.child("b")]).await;
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), 4, "every try counts");
    assert_eq!(lab.words(), ["+a1", "+b1", "-b1"]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::OneForAll).intensity(2, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child("b"), lab.child("c")]).await;
    for generation in 2..=3 {
        tell(&sup, "b", Cmd::Fail("b")).await;
        lab.until_started("c", generation).await;
    }
    assert_eq!(
        lab.words(),
        ["+a1", "+b1", "+c1", "-c1", "-a1", "+a2", "+b2", "+c2", "-c2", "-a2", "+a3", "+b3", "+c3"]
    );
    let causes = lab.causes();
    assert!(matches!(&causes[3], (id, StartCause::SiblingFailure { id: by, reason })
        if id == "a" && *by == "b" && reason.downcast_ref::<Told>().is_some()));
    assert!(
        matches!(&causes[4], (id, StartCause::OwnFailure { reason }) if id == "b" && reason.is_abnormal())
    );
    tell(&sup, "b", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.words()[13..], ["-c3", "-a3"]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_escalation() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::OneForAll).intensity(4, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child_if("b", refuse(ALL_BUT_FIRST))]).await;
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), 4);
    assert_eq!(lab.words().last().unwrap(), "-a5");
}

#[tokio::test(start_paused = true)]
async fn one_for_all_other_child_fails_restart() {
    let lab = Lab::new();
    let children = vec![lab.child("a"), lab.child_if("b", refuse(&[2, 3])), lab.child("c")];
    let sup = lab.supervisor(roomy(Strategy::OneForAll), children).await;
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("c", 2).await;
    assert_eq!(
        lab.words(),
        ["+a1", "+b1", "+c1", "-c1", "-b1", "+a2", "-a2", "+a3", "-a3", "+a4", "+b4", "+c2"]
    );
    assert!(
        lab.causes()[3..].iter().all(|(id, cause)| match cause {
            StartCause::OwnFailure { .. } => id == "a",
            StartCause::SiblingFailure { id: by, .. } => *by == "a" && id != "a",
            _ => false,
        }),
        "retries keep the first failure"
    );
    assert_eq!(sup.info().await.unwrap().restarts_used, 3);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::RestForOne).intensity(1, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child("b"), lab.child("c")]).await;
    tell(&sup, "b", Cmd::Panic).await;
    lab.until_started("c", 2).await;
    assert_eq!(lab.words(), ["+a1", "+b1", "+c1", "-c1", "+b2", "+c2"]);
    assert_eq!(ids(&sup).await, ["a", "b", "c"]);
    tell(&sup, "c", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.words()[6..], ["-b2", "-a1"]);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_escalation() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::RestForOne).intensity(4, secs(3600));
    let sup = lab.supervisor(flags, vec![lab.child("a"), lab.child_if("b", refuse(ALL_BUT_FIRST))]).await;
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), 4);
    assert_eq!(lab.words(), ["+a1", "+b1", "-b1", "+a2", "-a2"]);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_other_child_fails_restart() {
    let lab = Lab::new();
    let children = vec![lab.child("a"), lab.child_if("b", refuse(&[2, 3])), lab.child("c")];
    let sup = lab.supervisor(roomy(Strategy::RestForOne), children).await;
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("c", 2).await;
    assert_eq!(lab.words(), ["+a1", "+b1", "+c1", "-c1", "-b1", "+a2", "+b4", "+c2"]);
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one() {
    let lab = Lab::new();
    let flags = SupFlags::default().intensity(2, secs(3600));
    let sup = lab.dynamic_supervisor(flags, lab.dynamic()).await;
    let mut cells = Vec::new();
    for _ in 0..3 {
        cells.push(sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone());
    }
    lab.end(&cells[1], Way::Abnormal).await;
    lab.until_started("2", 2).await;
    let now: Vec<_> =
        sup.which_children().await.unwrap().into_iter().filter_map(|child| child.cell).collect();
    assert_eq!((&now[0], &now[2]), (&cells[0], &cells[2]));
    assert_ne!(now[1], cells[1]);
    lab.end(&cells[0], Way::Kill).await;
    lab.until_started("1", 2).await;
    cells[2].kill();
    sup.as_supervisor().wait().await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_extra() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = supervisor::DynamicSpec::<u32>::new(move |ctx, number| {
        let lab = inner.clone();
        async move {
            let started = lab.spawn(ctx, Manner::default()).await?;
            Ok(supervisor::Started::with_info(started.cell().unwrap().clone(), number))
        }
    });
    let sup =
        supervisor::DynamicSupervisor::start_link("root", SupFlags::default(), spec, None, Some(lab.sink()))
            .await
            .unwrap();
    let started = sup.start_child(7).await.unwrap();
    assert_eq!(started.info::<u32>(), Some(&7));
    lab.end(started.cell().unwrap(), Way::Kill).await;
    lab.until_started("1", 2).await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_escalation() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = supervisor::DynamicSpec::<()>::new(move |ctx, ()| {
        let lab = inner.clone();
        async move {
            if ctx.id == "1" && ctx.generation > 1 {
                return Err(StartError::failed(Told("refused")));
            }
            lab.spawn(ctx, Manner::default()).await
        }
    });
    let flags = SupFlags::default().intensity(4, secs(3600));
    let sup =
        supervisor::DynamicSupervisor::start_link("root", flags, spec, None, Some(lab.sink())).await.unwrap();
    let a = sup.start_child(()).await.unwrap().cell().unwrap().clone();
    sup.start_child(()).await.unwrap();
    a.kill();
    sup.as_supervisor().wait().await;
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::StartError { .. })), 4);
    assert_eq!(lab.words(), ["+11", "+21", "-21"]);
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_corruption() {
    let lab = Lab::new();
    let spec = lab.dynamic().configure(|spec| spec.restart(supervisor::Restart::Temporary));
    let sup = lab.dynamic_supervisor(roomy(Strategy::OneForOne), spec).await;
    let a = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
    lab.end(&a, Way::Kill).await;
    let b = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
    let shown = sup.which_children().await.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].cell.as_ref(), Some(&b));
    assert!(matches!(sup.as_supervisor().restart_child("2").await, Err(SupervisorError::SimpleOneForOne)));
}
