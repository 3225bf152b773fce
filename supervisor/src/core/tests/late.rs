//! The late ends of children that had been given up.

use std::time::Duration;

use super::rig::{Rig, flags, spec};
use crate::core::{Event, Op, Outcome, Phase, Reply, Target};
use crate::{ExitReason, Restart, Shutdown, StartCause, StartError, Strategy, SupFlags};

const SECOND: Duration = Duration::from_secs(1);

fn strict() -> SupFlags {
    flags(Strategy::OneForOne, 10).kill_grace(SECOND)
}

#[test]
fn temporary_child_is_forgotten() {
    let temporary = spec("t", Restart::Temporary).shutdown(Shutdown::BrutalKill);
    let mut rig = Rig::new(strict(), false, vec![temporary]);
    rig.event(Event::Boot);
    rig.held.push("t".into());
    let call = rig.ask(Op::Terminate(Target::Id("t".into())));
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&call], Reply::Unkillable));
    rig.exit("t", ExitReason::Killed);
    assert!(rig.ids().is_empty());
}

#[test]
fn blocked_restart_goes_on_with_its_first_cause() {
    let mut rig = Rig::new(strict(), false, vec![spec("a", Restart::Permanent).start_timeout(SECOND)]);
    rig.event(Event::Boot);
    rig.held.push("a".into());
    rig.exit("a", ExitReason::Normal);
    rig.advance(SECOND);
    rig.advance(SECOND);
    assert!(matches!(rig.phase("a"), Some(Phase::Unkillable { resume: true })));
    rig.held.clear();
    rig.started("a", Outcome::Failed(StartError::Aborted));
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
    assert!(matches!(rig.causes.last(), Some(StartCause::OwnFailure { reason: ExitReason::Normal })));
}

#[test]
fn terminated_restart_is_not_wanted_back() {
    let mut rig = Rig::new(strict(), false, vec![spec("a", Restart::Permanent)]);
    rig.event(Event::Boot);
    rig.held.push("a".into());
    rig.exit("a", ExitReason::Killed);
    let call = rig.ask(Op::Terminate(Target::Id("a".into())));
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&call], Reply::Unkillable));
    assert!(matches!(rig.phase("a"), Some(Phase::Unkillable { resume: false })));
    rig.started("a", Outcome::Ignored);
    assert!(matches!(rig.phase("a"), Some(Phase::Undefined)));
}

#[test]
fn one_that_is_forgotten_during_a_restart_does_not_move_it_on() {
    let specs = [
        spec("a", Restart::Permanent),
        spec("t", Restart::Temporary).shutdown(Shutdown::BrutalKill),
        spec("b", Restart::Permanent),
    ];
    let mut rig = Rig::new(flags(Strategy::OneForAll, 10).kill_grace(SECOND), false, specs.to_vec());
    rig.event(Event::Boot);
    rig.held = vec!["t".into(), "a".into()];
    let call = rig.ask(Op::Terminate(Target::Id("t".into())));
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&call], Reply::Unkillable));
    rig.exit("a", ExitReason::Killed);
    assert!(matches!(rig.phase("a"), Some(Phase::Starting)));
    rig.exit("t", ExitReason::Killed);
    assert_eq!(rig.ids(), ["a", "b"]);
    assert!(matches!(rig.phase("b"), Some(Phase::Undefined)), "its turn comes after a's");
    rig.started("a", Outcome::Running);
    assert!(matches!(rig.phase("b"), Some(Phase::Running)));
}

#[test]
fn start_that_blocks_its_thread_is_left_out_of_a_group_restart() {
    let specs = [spec("a", Restart::Permanent).start_timeout(SECOND), spec("b", Restart::Permanent)];
    let mut rig = Rig::new(flags(Strategy::OneForAll, 10).kill_grace(SECOND), false, specs.to_vec());
    rig.event(Event::Boot);
    rig.held.push("a".into());
    rig.exit("b", ExitReason::Killed);
    rig.exit("a", ExitReason::Shutdown(None));
    assert!(matches!(rig.phase("a"), Some(Phase::Starting)));
    rig.advance(SECOND);
    rig.advance(SECOND);
    assert!(matches!(rig.phase("a"), Some(Phase::Unkillable { resume: true })), "it may still come");
    assert!(matches!(rig.phase("b"), Some(Phase::Running)));
    rig.held.clear();
    rig.started("a", Outcome::Failed(StartError::Aborted));
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
}

#[test]
fn given_up_start_is_forgotten_if_nothing_would_start_it_again() {
    // Nobody but the child's restart type says so.
    let mut rig =
        Rig::new(strict(), false, vec![spec("t", Restart::Temporary), spec("p", Restart::Permanent)]);
    rig.held = vec!["t".into(), "p".into(), "new".into()];
    rig.event(Event::Boot);
    for (id, left) in [("t", vec!["p"]), ("p", vec!["p"])] {
        rig.ask(Op::Terminate(Target::Id(id.into())));
        rig.started(id, Outcome::Failed(StartError::Aborted));
        assert_eq!(rig.ids(), left);
    }
    // It was new.
    rig.ask(Op::Start(spec("new", Restart::Permanent)));
    rig.ask(Op::Terminate(Target::Id("new".into())));
    rig.started("new", Outcome::Failed(StartError::Aborted));
    assert_eq!(rig.ids(), ["p"]);
    // It is dynamic.
    let mut rig = Rig::new(strict(), true, vec![]);
    rig.event(Event::Boot);
    rig.ask(Op::Start(spec("d", Restart::Permanent)));
    rig.held.push("d".into());
    rig.exit("d", ExitReason::Killed);
    assert!(matches!(rig.phase("d"), Some(Phase::Starting)));
    rig.terminate("d");
    rig.started("d", Outcome::Failed(StartError::Aborted));
    assert!(rig.ids().is_empty());
}

#[test]
fn one_that_ends_after_its_supervisor_has_nothing_to_tell() {
    let brutal = spec("a", Restart::Permanent).shutdown(Shutdown::BrutalKill);
    let mut rig = Rig::new(strict(), false, vec![brutal]);
    rig.event(Event::Boot);
    rig.held.push("a".into());
    rig.shutdown();
    rig.advance(SECOND);
    assert!(rig.end.is_some(), "it does not wait for one that cannot be killed");
    let reports = rig.reports.len();
    rig.exit("a", ExitReason::Killed);
    assert_eq!(rig.reports.len(), reports);
}
