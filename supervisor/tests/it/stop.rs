//! Ends.

use std::sync::Arc;

use supervisor::{ExitReason, ReportEvent, Restart, Shutdown, Strategy, SupFlags};
use tokio::time::Instant;

use crate::lab::{Cmd, Gate, Lab, Manner, Way, cell, roomy, secs, stop, tell};

fn slow(seconds: u64) -> Manner {
    Manner { slow_stop: Some(secs(seconds)), ..Manner::default() }
}

/// How each child ended, by the supervisor's reports.
fn ends(lab: &Lab) -> Vec<(String, String)> {
    let reports = lab.reports();
    let ended = reports.iter().filter_map(|report| match (&report.event, &report.offender) {
        (ReportEvent::ChildTerminated { reason, .. }, Some(child)) => {
            Some((child.id.to_string(), reason.to_string()))
        }
        _ => None,
    });
    ended.collect()
}

fn pair(id: &str, reason: &str) -> (String, String) {
    (id.to_owned(), reason.to_owned())
}

#[tokio::test(start_paused = true)]
async fn sup_stop_infinity() {
    let lab = Lab::new();
    let a = lab.child_with("a", slow(1000)).shutdown(Shutdown::Infinity);
    let sup = lab.supervisor(SupFlags::default(), vec![a, lab.child("b").shutdown(Shutdown::Infinity)]).await;
    stop(&sup).await;
    assert_eq!(ends(&lab), [pair("b", "shutdown"), pair("a", "shutdown")]);
    assert_eq!(lab.words(), ["+a1", "+b1", "-b1", "-a1"]);
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout() {
    let lab = Lab::new();
    let a = lab.child("a").shutdown(Shutdown::Timeout(secs(1)));
    let b = lab.child_with("b", slow(5)).shutdown(Shutdown::Timeout(secs(1)));
    let sup = lab.supervisor(SupFlags::default(), vec![a, b]).await;
    let begin = Instant::now();
    stop(&sup).await;
    assert_eq!(ends(&lab), [pair("b", "killed"), pair("a", "shutdown")]);
    assert_eq!(begin.elapsed().as_secs(), 1);
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::ShutdownError { reason: ExitReason::Killed })), 1);
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout_dynamic() {
    let lab = Lab::new();
    let spec = lab.dynamic().configure(|spec| spec.shutdown(Shutdown::Timeout(secs(1))));
    let sup = lab.dynamic_supervisor(SupFlags::default(), spec).await;
    for manner in [Manner::default(), slow(5), Manner::default(), slow(5)] {
        sup.start_child(manner).await.unwrap();
    }
    let begin = Instant::now();
    sup.stop(ExitReason::Shutdown(None)).await;
    assert_eq!(begin.elapsed().as_secs(), 1);
    let mut ends = ends(&lab);
    ends.sort();
    assert_eq!(
        ends,
        [pair("1", "shutdown"), pair("2", "killed"), pair("3", "shutdown"), pair("4", "killed")]
    );
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill() {
    let lab = Lab::new();
    let children = vec![lab.child("a"), lab.child("b").shutdown(Shutdown::BrutalKill)];
    let sup = lab.supervisor(SupFlags::default(), children).await;
    stop(&sup).await;
    assert_eq!(ends(&lab), [pair("b", "killed"), pair("a", "shutdown")]);
    assert_eq!(lab.words(), ["+a1", "+b1", "-a1"]);
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::ShutdownError { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill_dynamic() {
    let lab = Lab::new();
    let sup = lab
        .dynamic_supervisor(
            SupFlags::default(),
            lab.dynamic().configure(|spec| spec.shutdown(Shutdown::BrutalKill)),
        )
        .await;
    for _ in 0..10 {
        sup.start_child(Manner::default()).await.unwrap();
    }
    sup.stop(ExitReason::Shutdown(None)).await;
    assert_eq!(ends(&lab).iter().filter(|(_, reason)| reason == "killed").count(), 10);
}

/// Children of each restart type end in each way while the last one takes its time to stop.
#[tokio::test(start_paused = true)]
async fn sup_stop_race() {
    let lab = Lab::new();
    let mut children = Vec::new();
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for way in Way::ALL {
            children.push((lab.child(&format!("{restart:?}-{way:?}")).restart(restart), way));
        }
    }
    let mut specs: Vec<_> = children.iter().map(|(spec, _)| spec.clone()).collect();
    specs.push(lab.child_with("last", slow(2)));
    let sup = lab.supervisor(SupFlags::default(), specs).await;
    let mut cells = Vec::new();
    for (spec, way) in &children {
        cells.push((cell(&sup, spec.id.as_str()).await, *way));
    }
    tokio::join!(stop(&sup), async {
        for (cell, way) in &cells {
            way.end(cell);
        }
    });

    assert_eq!(lab.count(|e| matches!(e, ReportEvent::ChildStarted { .. })), children.len() + 1);
    let reports = lab.reports();
    for (spec, way) in &children {
        let reason = reports.iter().find_map(|report| match (&report.event, &report.offender) {
            (ReportEvent::ChildTerminated { reason, restarting }, Some(child)) if child.id == spec.id => {
                assert!(!restarting);
                Some(reason)
            }
            _ => None,
        });
        assert!(way.is_reason(reason.unwrap()), "{} ended with {reason:?}", spec.id);
    }
}

#[tokio::test(start_paused = true)]
async fn sup_stop_non_shutdown_exit_dynamic() {
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        let lab = Lab::new();
        let sup = lab
            .dynamic_supervisor(
                SupFlags::default(),
                lab.dynamic().configure(|spec| spec.restart(restart).shutdown(Shutdown::Infinity)),
            )
            .await;
        let manner = Manner { panic_in_post_stop: true, ..Manner::default() };
        let a = sup.start_child(manner).await.unwrap().cell().unwrap().clone();
        let b = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
        b.send_message(Cmd::StopWith("something".into())).unwrap();
        sup.stop(ExitReason::Shutdown(None)).await;
        assert!(
            a.get_status() == ractor::ActorStatus::Stopped && b.get_status() == ractor::ActorStatus::Stopped
        );
        assert_eq!(
            lab.count(
                |e| matches!(e, ReportEvent::ChildTerminated { reason, .. } if reason.panic().is_some())
            ),
            1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_shutdown() {
    let lab = Lab::new();
    let spec = lab.dynamic().configure(|spec| spec.shutdown(Shutdown::Timeout(secs(20))));
    let sup = lab.dynamic_supervisor(SupFlags::default(), spec).await;
    for _ in 0..5 {
        sup.start_child(slow(10)).await.unwrap();
    }
    let begin = Instant::now();
    sup.stop(ExitReason::Shutdown(None)).await;
    assert_eq!(begin.elapsed().as_secs(), 10, "the children are shut down in parallel");
    assert!(ends(&lab).iter().all(|(_, reason)| reason == "shutdown"));
}

#[tokio::test(start_paused = true)]
async fn child_unlink() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![lab.child("a").shutdown(Shutdown::Infinity)]).await;
    let a = cell(&sup, "a").await;
    a.send_message(Cmd::Unlink).unwrap();
    sup.terminate_child("a").await.unwrap();
    assert_eq!(a.get_status(), ractor::ActorStatus::Stopped);
    let late = Manner { unlink_in_post_stop: true, ..Manner::default() };
    for shutdown in [Shutdown::Infinity, Shutdown::Timeout(secs(5))] {
        sup.start_child(lab.child_with("b", late.clone()).shutdown(shutdown)).await.unwrap();
        sup.terminate_child("b").await.unwrap();
        sup.delete_child("b").await.unwrap();
    }
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn order_of_children() {
    let lab = Lab::new();
    let children = ["a", "b", "c", "d", "e"].map(|id| lab.child(id)).to_vec();
    let sup = lab.supervisor(roomy(Strategy::RestForOne), children).await;
    assert_eq!(lab.words(), ["+a1", "+b1", "+c1", "+d1", "+e1"]);
    lab.forget();
    tell(&sup, "c", Cmd::Panic).await;
    lab.until_started("e", 2).await;
    assert_eq!(lab.words(), ["-e1", "-d1", "+c2", "+d2", "+e2"]);
    lab.forget();
    stop(&sup).await;
    assert_eq!(lab.words(), ["-e2", "-d2", "-c2", "-b1", "-a1"]);
}

/// ractor's own stop closes the mailbox before `post_stop`; the order must hold all the same.
#[tokio::test(start_paused = true)]
async fn stop_from_outside_is_ordered_too() {
    let lab = Lab::new();
    let children =
        vec![lab.child("a"), lab.child_with("b", slow(2)), lab.child_with("c", slow(60)), lab.child("d")];
    let sup = lab.supervisor(SupFlags::default(), children).await;
    sup.cell().stop(None);
    sup.wait().await;
    assert_eq!(lab.words()[4..], ["-d1", "-b1", "-a1"]);
    assert_eq!(
        ends(&lab),
        [pair("d", "shutdown"), pair("c", "killed"), pair("b", "shutdown"), pair("a", "shutdown")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unkillable_child_is_reported_and_never_doubled() {
    let lab = Lab::new();
    let gate = Arc::new(Gate::default());
    let kill_grace = std::time::Duration::from_millis(50);
    let flags = roomy(Strategy::OneForAll).kill_grace(kill_grace);
    let children = vec![lab.child("a").shutdown(Shutdown::BrutalKill), lab.child("b")];
    let sup = lab.supervisor(flags, children).await;
    let a = cell(&sup, "a").await;
    a.send_message(Cmd::Block(gate.clone())).unwrap();
    gate.reached().await;
    let error = sup.terminate_child("a").await.unwrap_err();
    assert!(matches!(error, supervisor::SupervisorError::Unkillable));
    tell(&sup, "b", Cmd::Panic).await;
    lab.until_started("b", 2).await;
    assert_eq!(lab.words(), ["+a1", "+b1", "+b2"], "no second a beside the first");
    assert!(matches!(sup.restart_child("a").await, Err(supervisor::SupervisorError::Unkillable)));
    gate.open();
    // The strategy wanted it back, so its late end brings the group up again.
    lab.until_started("a", 2).await;
    stop(&sup).await;
}
