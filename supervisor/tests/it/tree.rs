//! Supervisors under supervisors, changes at runtime, reports.

use std::sync::Arc;

use supervisor::{
    AutoShutdown, ChildState, ExitReason, Notice, ReportEvent, Restart, Shutdown, SpecError, StartCause,
    Strategy, SupFlags, Supervisor, SupervisorError, SupervisorRef,
};

use crate::lab::{Cmd, Lab, Way, cell, child, ids, roomy, secs, state, stop, tell};

async fn nested(sup: &SupervisorRef, id: &str) -> SupervisorRef {
    SupervisorRef::from_cell(&cell(sup, id).await).unwrap()
}

#[tokio::test(start_paused = true)]
async fn tree() {
    let lab = Lab::new();
    let flags = SupFlags::new(Strategy::OneForOne).intensity(1, secs(3600));
    let inner = vec![lab.child("c"), lab.child("d")];
    let one = Supervisor::child_spec("one", flags.clone(), inner);
    let two = Supervisor::child_spec("two", flags, vec![]);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a"), one, two]).await;
    let (one, two) = (nested(&sup, "one").await, nested(&sup, "two").await);
    two.start_child(lab.child("e")).await.unwrap();
    // A crash in a leaf touches only it.
    let d = cell(&one, "d").await;
    tell(&one, "c", Cmd::Panic).await;
    lab.until_started("c", 2).await;
    assert_eq!(cell(&one, "d").await, d);
    // A leaf that fails too often takes its supervisor down, which comes back with its static children.
    tell(&one, "c", Cmd::Panic).await;
    lab.until_started("one", 2).await;
    let one = nested(&sup, "one").await;
    assert_eq!(ids(&one).await, ["c", "d"]);
    assert_eq!(lab.words()[4..], ["+c2", "-d1", "+c1", "+d1"]);
    // Dynamic children of a supervisor that dies are gone after it.
    tell(&two, "e", Cmd::Panic).await;
    lab.until_started("e", 2).await;
    tell(&two, "e", Cmd::Panic).await;
    lab.until_started("two", 2).await;
    assert!(ids(&nested(&sup, "two").await).await.is_empty());
    assert_eq!(child(&sup, "two").await.generation, 2);
    lab.forget();
    stop(&sup).await;
    assert_eq!(lab.words(), ["-d1", "-c1", "-a1"]);
}

/// A terminated transient supervisor comes back with `one_for_all`.
#[tokio::test(start_paused = true)]
async fn tree_one_for_all() {
    let lab = Lab::new();
    let inner = Supervisor::child_spec("inner", SupFlags::default(), vec![lab.child("b")])
        .restart(Restart::Transient);
    let sup = lab.supervisor(roomy(Strategy::OneForAll), vec![lab.child("a"), inner]).await;
    sup.terminate_child("inner").await.unwrap();
    assert_eq!(state(&sup, "inner").await, ChildState::Undefined);
    tell(&sup, "a", Cmd::Panic).await;
    lab.until_started("inner", 2).await;
    assert_eq!(ids(&nested(&sup, "inner").await).await, ["b"]);
}

/// Exhaustion ends a supervisor with `shutdown`, so a transient entry is not restarted (OTP).
#[tokio::test(start_paused = true)]
async fn transient_supervisor_stays_down_after_exhaustion() {
    let lab = Lab::new();
    let flags = SupFlags::default().intensity(0, secs(1));
    let inner = Supervisor::child_spec("inner", flags, vec![lab.child("b")]).restart(Restart::Transient);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![inner]).await;
    tell(&nested(&sup, "inner").await, "b", Cmd::Panic).await;
    lab.until("ended", |lab| {
        lab.reports().iter().any(|report| {
            matches!(report.event, ReportEvent::ChildTerminated { restarting: false, .. })
                && report.offender.as_ref().is_some_and(|child| child.id == "inner")
        })
    })
    .await;
    assert_eq!(state(&sup, "inner").await, ChildState::Undefined);
}

/// OTP's four cases with a global name: kill the supervisor; kill, end, terminate and restart the worker.
#[tokio::test(start_paused = true)]
async fn simple_global_supervisor() {
    let lab = Lab::new();
    let inner = Supervisor::child_spec("inner", roomy(Strategy::OneForOne), vec![lab.child("w")]);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![inner]).await;
    let old = nested(&sup, "inner").await;
    let worker = cell(&old, "w").await;
    old.cell().kill();
    lab.until_started("inner", 2).await;
    worker.wait(Some(secs(5))).await.unwrap();
    let inner = nested(&sup, "inner").await;
    assert_ne!(cell(&inner, "w").await, worker);
    lab.forget();
    for (generation, way) in [(2, Way::Kill), (3, Way::Normal)] {
        lab.end(&cell(&inner, "w").await, way).await;
        lab.until_started("w", generation).await;
    }
    inner.terminate_child("w").await.unwrap();
    inner.restart_child("w").await.unwrap();
    assert_eq!(child(&inner, "w").await.generation, 4);
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn code_change() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a"), lab.child("b")]).await;
    let a = cell(&sup, "a").await;
    let flags = SupFlags::new(Strategy::RestForOne).intensity(7, secs(70));
    let changed = lab.child("b").shutdown(Shutdown::Timeout(secs(9)));
    sup.reconfigure(flags.clone(), Some(vec![changed, lab.child("n")])).await.unwrap();
    assert_eq!(sup.info().await.unwrap().flags, flags);
    assert_eq!(ids(&sup).await, ["b", "n", "a"], "missing ones stay, behind the new order");
    assert_eq!(state(&sup, "n").await, ChildState::Undefined, "new ones are not started");
    assert_eq!(cell(&sup, "a").await, a);
    assert_eq!(sup.get_childspec("b").await.unwrap().shutdown, Shutdown::Timeout(secs(9)));
    sup.restart_child("n").await.unwrap();
    // Faulty ones change nothing.
    let twice = vec![lab.child("x"), lab.child("x")];
    let error = sup.reconfigure(SupFlags::default(), Some(twice)).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Spec(SpecError::DuplicateChildId(_))));
    let error = sup.reconfigure(SupFlags::default().intensity(1, secs(0)), None).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Spec(SpecError::ZeroPeriod)));
    assert_eq!(sup.info().await.unwrap().flags, flags);
    sup.reconfigure(flags, None).await.unwrap();
    assert_eq!(ids(&sup).await, ["b", "n", "a"]);
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn code_change_simple() {
    let lab = Lab::new();
    let sup = lab.dynamic_supervisor(SupFlags::default(), lab.dynamic()).await;
    let flags = SupFlags::default().intensity(9, secs(9)).auto_shutdown(AutoShutdown::AnySignificant);
    sup.as_supervisor().reconfigure(flags.clone(), None).await.unwrap();
    assert_eq!(sup.info().await.unwrap().flags, flags);
    let error = sup.as_supervisor().reconfigure(flags, Some(vec![lab.child("a")])).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Spec(SpecError::SimpleOneForOne)));
}

/// OTP's `format_log_1` and `format_log_2`: what a report says, on one line of bounded length.
#[tokio::test(start_paused = true)]
async fn format_log() {
    let lab = Lab::new();
    let inner = Supervisor::child_spec("containers", roomy(Strategy::OneForOne), vec![lab.child("db")]);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![inner]).await;
    let containers = nested(&sup, "containers").await;
    let mut subscription = containers.subscribe(16).await.unwrap();
    lab.forget();
    tell(&containers, "db", Cmd::Fail("a\nb")).await;
    lab.until_started("db", 2).await;
    let reports = lab.reports();
    let texts: Vec<_> = reports.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "root/containers/db #1: child terminated: told to fail: a b",
            "root/containers/db #2: child started"
        ]
    );
    assert!(matches!(&reports[1].event, ReportEvent::ChildStarted { cause: StartCause::OwnFailure { .. } }));
    assert_eq!(reports[0].offender.as_ref().unwrap().generation, 1);
    for text in texts {
        let Some(Notice::Report(report)) = subscription.recv().await else { panic!("report expected") };
        assert_eq!(report.to_string(), text);
    }
    let long = "x".repeat(5000).leak();
    tell(&containers, "db", Cmd::Fail(long)).await;
    lab.until_started("db", 3).await;
    let longest = lab.reports().iter().map(|report| report.to_string().chars().count()).max();
    assert_eq!(longest, Some(1001));
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_is_told_what_it_missed() {
    let lab = Lab::new();
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("a")]).await;
    let mut subscription = sup.subscribe(2).await.unwrap();
    for generation in 2..=4 {
        lab.end(&cell(&sup, "a").await, Way::Kill).await;
        lab.until_started("a", generation).await;
    }
    let mut seen = Vec::new();
    while let Some(notice) = subscription.try_recv() {
        seen.push(notice);
    }
    assert!(matches!(&seen[..], [Notice::Report(_), Notice::Report(_), Notice::Missed(4)]), "{seen:?}");
    lab.end(&cell(&sup, "a").await, Way::Kill).await;
    assert!(matches!(subscription.recv().await, Some(Notice::Report(_))));
    stop(&sup).await;
    while subscription.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn panicking_sink_and_classifier_do_no_harm() {
    let lab = Lab::new();
    let spec = lab.child("a").restart(Restart::Transient).exit_classifier(|text| match text {
        "retire" => ExitReason::shutdown("retired"),
        _ => panic!("told to panic"),
    });
    let sink: supervisor::ReportSink = Arc::new(|_| panic!("told to panic"));
    let sup =
        Supervisor::start_link("root", SupFlags::default(), vec![spec], None, Some(sink)).await.unwrap();
    let mut subscription = sup.subscribe(64).await.unwrap();
    for text in ["other", "retire"] {
        tell(&sup, "a", Cmd::StopWith(text.into())).await;
        let Some(Notice::Report(report)) = subscription.recv().await else { panic!("report expected") };
        let ReportEvent::ChildTerminated { reason, .. } = &report.event else { panic!("{report}") };
        assert_eq!(reason.to_string(), if text == "retire" { "shutdown: retired" } else { "normal" });
        sup.restart_child("a").await.unwrap();
        let _ = subscription.recv().await;
    }
    stop(&sup).await;
}
