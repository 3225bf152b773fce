//! Calls about children that wait, are parked or whose restart is given up: each has its one reply.

use std::time::Duration;

use super::rig::{Rig, flags, spec};
use crate::core::{CallId, Event, Op, Outcome, Phase, Reply};
use crate::report::ReportEvent;
use crate::{Backoff, ExitReason, OnExhausted, Restart, StartError, Strategy};

const MS: Duration = Duration::from_millis(1);
const ALL: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
const PARK: OnExhausted = OnExhausted::Park { retry_after: None };

/// Children of which the second waits for its restart for a second.
fn waiting(strategy: Strategy) -> Rig {
    let backoff = Backoff { first: Duration::from_secs(1), jitter: 0.0, ..Backoff::default() };
    let specs = ["a", "b", "c"].map(|id| spec(id, Restart::Permanent));
    let specs = specs.map(|spec| if spec.id == "b" { spec.backoff(backoff.clone()) } else { spec });
    let mut rig = Rig::new(flags(strategy, 2), false, specs.to_vec());
    rig.event(Event::Boot);
    rig.exit("b", ExitReason::Killed);
    assert!(matches!(rig.phase("b"), Some(Phase::Restarting(Some(_)))));
    rig
}

/// Children of which one is parked.
fn parked(strategy: Strategy, id: &str) -> Rig {
    let mut rig = Rig::booted(flags(strategy, 0).on_exhausted(PARK), &["a", "b", "c"]);
    rig.exit(id, ExitReason::Killed);
    assert!(matches!(rig.phase(id), Some(Phase::Parked)));
    rig
}

fn unparked(rig: &Rig) -> usize {
    rig.reports.iter().filter(|event| matches!(event, ReportEvent::Unparked)).count()
}

fn restart_of_b(rig: &mut Rig) -> CallId {
    rig.ask(Op::Restart("b".into()))
}

#[test]
fn restart_of_one_that_waits_or_is_parked_succeeds_under_every_strategy() {
    for strategy in ALL {
        for mut rig in [waiting(strategy), parked(strategy, "b")] {
            let call = restart_of_b(&mut rig);
            assert!(matches!(rig.replies.get(&call), Some(Reply::Started(_))), "{strategy:?}");
            for id in ["a", "b", "c"] {
                assert!(matches!(rig.phase(id), Some(Phase::Running)), "{strategy:?}");
            }
        }
    }
}

#[test]
fn restart_of_one_that_waits_tells_when_it_cannot_be() {
    for strategy in ALL {
        // Its own start fails.
        let mut rig = waiting(strategy);
        rig.held.push("b".into());
        let call = restart_of_b(&mut rig);
        rig.started("b", Outcome::Failed(StartError::Aborted));
        assert!(matches!(rig.replies.get(&call), Some(Reply::StartFailed(StartError::Aborted))));
        // The supervisor ends.
        let mut rig = waiting(strategy);
        rig.held.push("b".into());
        let call = restart_of_b(&mut rig);
        rig.shutdown();
        rig.started("b", Outcome::Failed(StartError::Aborted));
        assert!(matches!(rig.replies.get(&call), Some(Reply::StartFailed(StartError::Aborted))));
        assert!(rig.end.is_some());
    }
    // An earlier sibling is in the way.
    let mut rig = waiting(Strategy::OneForAll);
    rig.held.push("a".into());
    let call = restart_of_b(&mut rig);
    assert!(!rig.replies.contains_key(&call));
    rig.started("a", Outcome::Failed(StartError::Aborted));
    let reply = rig.replies.get(&call);
    assert!(
        matches!(reply, Some(Reply::StartFailed(StartError::FailedToStartChild { id, .. })) if *id == "a"),
        "{reply:?}"
    );
    // The supervisor ends before its turn has come.
    let mut rig = waiting(Strategy::OneForAll);
    rig.held.push("a".into());
    let call = restart_of_b(&mut rig);
    rig.shutdown();
    rig.started("a", Outcome::Failed(StartError::Aborted));
    assert!(matches!(rig.replies.get(&call), Some(Reply::StartFailed(StartError::Aborted))));
    assert!(rig.end.is_some());
}

#[test]
fn calls_behind_a_restart_that_is_given_up_are_let_go() {
    for (strategy, on_exhausted) in ALL.into_iter().flat_map(|it| [(it, OnExhausted::Escalate), (it, PARK)]) {
        for intensity in [1, 9] {
            let flags = flags(strategy, intensity).on_exhausted(on_exhausted);
            let mut rig = Rig::new(flags, false, vec![spec("a", Restart::Permanent).start_timeout(100 * MS)]);
            rig.event(Event::Boot);
            rig.held.push("a".into());
            rig.exit("a", ExitReason::Killed);
            rig.advance(100 * MS);
            let call = rig.ask(Op::Delete("a".into()));
            assert!(!rig.replies.contains_key(&call));
            rig.started("a", Outcome::Failed(StartError::Aborted));
            let reply = rig.replies.get(&call);
            let expected = if strategy == Strategy::OneForOne {
                matches!(reply, Some(Reply::Restarting))
            } else {
                // It waits for the group, as all calls do.
                reply.is_some() || matches!(rig.phase("a"), Some(Phase::Starting))
            };
            assert!(expected, "{strategy:?} {on_exhausted:?} {intensity}: {reply:?}");
        }
    }
}

#[test]
fn parked_child_that_a_group_restart_takes_along_is_reported() {
    let mut rig = parked(Strategy::RestForOne, "b");
    rig.exit("a", ExitReason::Killed);
    assert_eq!(unparked(&rig), 0, "a is parked too, and b with it");
    let mut rig = Rig::booted(flags(Strategy::RestForOne, 1).on_exhausted(PARK), &["a", "b", "c"]);
    rig.exit("b", ExitReason::Killed);
    rig.exit("b", ExitReason::Killed);
    assert!(matches!(rig.phase("b"), Some(Phase::Parked)));
    rig.exit("a", ExitReason::Killed);
    assert!(matches!(rig.phase("b"), Some(Phase::Running)));
    assert_eq!(unparked(&rig), 1);
    let mut rig = parked(Strategy::OneForAll, "b");
    restart_of_b(&mut rig);
    assert_eq!(unparked(&rig), 1);
}
