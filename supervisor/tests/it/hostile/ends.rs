//! Ends that are not as they should be.

use supervisor::ReportEvent;

use super::{unharmed, with_bystander};
use crate::lab::{Cmd, Lab, Manner, Way, cell, tell};

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

/// The crate needs unwinding: with `panic = "abort"` a child's panic ends the process.
#[test]
fn panics_unwind() {
    const { assert!(cfg!(panic = "unwind")) };
}
