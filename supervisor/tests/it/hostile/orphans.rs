//! Children that outlive their supervisor for a while, as they block their thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus};
use supervisor::{ChildSpec, ReportEvent, Strategy, SupFlags, Supervisor};

use crate::lab::{Gate, Lab, cell, roomy, secs, state, stop};

#[derive(Default)]
struct Family {
    members: Mutex<Vec<ActorRef<Arc<Gate>>>>,
    doubled: AtomicUsize,
}

impl Family {
    /// Blocks the last member's thread until the gate is opened.
    async fn block(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        let last = self.members.lock().unwrap().last().cloned().unwrap();
        last.send_message(gate.clone()).unwrap();
        gate.reached().await;
        gate
    }
}

/// Bounds a wait by the real clock.
async fn soon(wait: impl Future<Output = ()>) {
    tokio::time::timeout(secs(20), wait).await.expect("it comes about");
}

fn busy(family: &Arc<Family>) -> ChildSpec {
    let family = family.clone();
    ChildSpec::worker("w", move |ctx| {
        let family = family.clone();
        async move { ctx.spawn(Busy(family), ()).await }
    })
}

/// Blocks its thread at every gate it is shown.
struct Busy(Arc<Family>);

impl Actor for Busy {
    type Msg = Arc<Gate>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Arc<Gate>>, (): ()) -> Result<(), ActorProcessingErr> {
        let mut members = self.0.members.lock().unwrap();
        let others = members.iter().filter(|member| member.get_status() != ActorStatus::Stopped).count();
        self.0.doubled.fetch_add(others, Ordering::SeqCst);
        members.push(myself);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Arc<Gate>>,
        gate: Arc<Gate>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        gate.block();
        Ok(())
    }
}

/// A killed supervisor's children are waited for before it is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_of_a_killed_supervisor_are_never_doubled() {
    let lab = Lab::new();
    let family = Arc::new(Family::default());
    // Two levels, so that the orphans are grandchildren.
    let middle = Supervisor::child_spec("middle", SupFlags::default(), vec![busy(&family)]);
    let nested = Supervisor::child_spec("nested", SupFlags::default(), vec![middle]);
    let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![nested]).await;
    for round in 1..=20 {
        let gate = family.block().await;
        let ended = lab.ends();
        cell(&sup, "nested").await.kill();
        soon(lab.until("its end is noticed", |lab| lab.ends() > ended)).await;
        // A restart that did not wait would have its child by now: it is that many turns away at most.
        for _ in 0..200 {
            state(&sup, "nested").await;
        }
        gate.open();
        soon(lab.until_started("nested", round + 1)).await;
    }
    assert_eq!(family.members.lock().unwrap().len(), 21);
    assert_eq!(family.doubled.load(Ordering::SeqCst), 0);
    stop(&sup).await;
}

/// Kills a supervisor whose worker blocks its thread until some starts of the supervisor have been given up.
async fn orphan_outlives_starts(start_timeout: Option<Duration>, levels: usize) {
    const GRACE: Duration = Duration::from_millis(100);
    let lab = Lab::new();
    let family = Arc::new(Family::default());
    let mut spec = busy(&family);
    for _ in 0..levels {
        spec = Supervisor::child_spec("nested", SupFlags::default().kill_grace(GRACE), vec![spec]);
    }
    if let Some(time) = start_timeout {
        spec = spec.start_timeout(time);
    }
    let sup = lab.supervisor(roomy(Strategy::OneForOne).kill_grace(GRACE), vec![spec]).await;
    let gate = family.block().await;
    cell(&sup, "nested").await.kill();
    let failed = |lab: &Lab| lab.count(|event| matches!(event, ReportEvent::StartError { .. }));
    soon(lab.until("starts are given up", |lab| failed(lab) >= 2)).await;
    gate.open();
    soon(lab.until("it is started again", |_| family.members.lock().unwrap().len() == 2)).await;
    assert_eq!(family.doubled.load(Ordering::SeqCst), 0, "{start_timeout:?} {levels}");
    stop(&sup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_are_not_forgotten_by_a_start_that_takes_too_long() {
    orphan_outlives_starts(Some(Duration::from_millis(50)), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_of_orphans_are_not_forgotten_by_a_start_that_fails() {
    orphan_outlives_starts(None, 2).await;
    orphan_outlives_starts(Some(Duration::from_millis(50)), 2).await;
}
