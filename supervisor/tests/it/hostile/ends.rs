//! Ends that are not as they should be.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use supervisor::{ChildSpec, ChildState, ReportEvent};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{unharmed, with_bystander};
use crate::lab::{Cmd, Lab, Manner, Way, cell, secs, state, tell};

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

/// Takes an actor off its supervisor when it is dropped.
struct Parting(ActorCell, ActorCell);

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.unlink(self.1.clone());
    }
}

/// Works at every message until it is told that it is enough.
struct Busy(Arc<Notify>);

impl Actor for Busy {
    type Msg = Option<Parting>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        _: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.0.notified().await;
        Ok(())
    }
}

/// What is left in a mailbox is dropped after `post_stop` and before ractor tells of the end.
#[tokio::test(start_paused = true)]
async fn child_that_is_unlinked_while_it_ends_is_noticed_at_once() {
    let lab = Lab::new();
    let enough = Arc::new(Notify::new());
    let told = enough.clone();
    let spec = ChildSpec::worker("a", move |ctx| {
        let busy = Busy(told.clone());
        async move { ctx.spawn(busy, ()).await }
    });
    let sup = with_bystander(&lab, spec).await;
    let begun = Instant::now();
    let occupy = async || {
        let a = cell(&sup, "a").await;
        a.send_message::<Option<Parting>>(None).unwrap();
        a.send_message(Some(Parting(a.clone(), sup.cell()))).unwrap();
        a
    };
    occupy().await.stop(None);
    enough.notify_one();
    lab.until_started("a", 2).await;
    occupy().await;
    let release = async {
        assert_eq!(state(&sup, "a").await, ChildState::Stopping);
        enough.notify_one();
    };
    let (terminated, ()) = tokio::join!(sup.terminate_child("a"), release);
    terminated.unwrap();
    assert!(begun.elapsed() < secs(1), "{:?}", begun.elapsed());
    unharmed(&lab, &sup).await;
}

/// The crate needs unwinding: with `panic = "abort"` a child's panic ends the process.
#[test]
fn panics_unwind() {
    const { assert!(cfg!(panic = "unwind")) };
}
