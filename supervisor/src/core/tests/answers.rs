//! What calls answer at moments that the models do not stop at.

use super::rig::{Rig, flags, spec};
use crate::core::{Event, Op, Outcome, Phase, Reply, Target};
use crate::{AutoShutdown, ExitReason, Restart, SpecError, StartCause, Strategy, SupFlags};

fn terminate(id: &str) -> Op {
    Op::Terminate(Target::Id(id.into()))
}

#[test]
fn child_that_is_being_restarted_is_present_and_restarting() {
    let mut rig = Rig::booted(flags(Strategy::OneForOne, 10), &["a"]);
    rig.held.push("a".into());
    rig.exit("a", ExitReason::Killed);
    assert!(matches!(rig.phase("a"), Some(Phase::Starting)));
    assert!(matches!(rig.call(Op::Start(spec("a", Restart::Permanent))), Some(Reply::AlreadyPresent)));
    assert!(matches!(rig.call(Op::Restart("a".into())), Some(Reply::Restarting)));
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::Restarting)));
}

#[test]
fn terminate_waits_for_a_plan_unless_it_interrupts_a_start() {
    let mut rig = Rig::booted(flags(Strategy::OneForAll, 10), &["a", "b", "c"]);
    rig.held.push("b".into());
    rig.exit("c", ExitReason::Killed);
    assert_eq!(rig.take_actions(), ["stop b"]);
    let call = rig.ask(terminate("a"));
    assert!(!rig.replies.contains_key(&call));
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
    rig.exit("b", ExitReason::Shutdown(None));
    assert_eq!(rig.take_actions(), ["start b"]);
    // A start is interrupted, and the plan goes on without the child.
    let interrupt = rig.ask(terminate("b"));
    assert_eq!(rig.take_actions(), ["abort b"]);
    rig.started("b", Outcome::Failed(crate::StartError::Aborted));
    assert!(matches!(rig.replies[&interrupt], Reply::Done));
    assert!(matches!(rig.replies[&call], Reply::Done));
    assert!(matches!(rig.phase("b"), Some(Phase::Undefined)));
    assert!(matches!(rig.phase("c"), Some(Phase::Running)));
    assert_eq!(rig.take_trace(), ["+a", "+b", "+c", "-a", "+a", "+c", "-a"]);
}

#[test]
fn slow_stop_of_one_holds_up_calls_only_in_a_group() {
    for (strategy, waits) in [(Strategy::OneForOne, false), (Strategy::RestForOne, true)] {
        let mut rig = Rig::booted(flags(strategy, 10), &["a", "b"]);
        rig.held.push("a".into());
        rig.ask(terminate("a"));
        let other = rig.ask(terminate("b"));
        assert_eq!(!rig.replies.contains_key(&other), waits, "{strategy:?}");
        rig.exit("a", ExitReason::Shutdown(None));
        assert!(matches!(rig.replies[&other], Reply::Done));
    }
}

#[test]
fn causes_tell_own_failure_siblings_and_requests() {
    let mut rig = Rig::booted(flags(Strategy::OneForAll, 10), &["a", "b"]);
    assert!(matches!(rig.causes[..], [StartCause::Initial, StartCause::Initial]));
    rig.exit("b", ExitReason::Killed);
    assert!(matches!(&rig.causes[2..], [
        StartCause::SiblingFailure { id, reason: ExitReason::Killed },
        StartCause::OwnFailure { reason: ExitReason::Killed },
    ] if *id == "b"));
    rig.call(terminate("a"));
    rig.call(Op::Restart("a".into()));
    assert!(matches!(rig.causes[4..], [StartCause::Requested]));
    rig.call(Op::Start(spec("c", Restart::Permanent)));
    assert!(matches!(rig.causes[5..], [StartCause::Initial]));
}

#[test]
fn reconfigure_checks_what_it_keeps() {
    let significant = flags(Strategy::OneForOne, 1).auto_shutdown(AutoShutdown::AnySignificant);
    let child = spec("a", Restart::Transient).significant(true);
    let mut rig = Rig::new(significant.clone(), false, vec![child]);
    rig.event(Event::Boot);
    let never = SupFlags { auto_shutdown: AutoShutdown::Never, ..significant };
    let bad = SpecError::BadCombination("a".into());
    assert!(
        matches!(rig.call(Op::Reconfigure(never.clone(), None)), Some(Reply::Spec(error)) if error == bad)
    );
    let harmless = vec![spec("a", Restart::Transient)];
    assert!(matches!(rig.call(Op::Reconfigure(never, Some(harmless))), Some(Reply::Done)));
    assert_eq!(rig.core.children.counts().significant, 0);
    let mut rig = Rig::new(flags(Strategy::OneForOne, 1), true, vec![]);
    rig.event(Event::Boot);
    assert!(matches!(
        rig.call(Op::Reconfigure(flags(Strategy::OneForOne, 9), Some(vec![]))),
        Some(Reply::Done)
    ));
    assert_eq!(rig.core.flags.intensity, 9);
    let refused =
        rig.call(Op::Reconfigure(flags(Strategy::OneForOne, 1), Some(vec![spec("a", Restart::Permanent)])));
    assert!(matches!(refused, Some(Reply::Spec(SpecError::SimpleOneForOne))));
    assert!(matches!(rig.call(Op::Restart("a".into())), Some(Reply::SimpleOneForOne)));
}

#[test]
fn dynamic_child_is_terminated_by_its_incarnation() {
    let mut rig = Rig::new(flags(Strategy::OneForOne, 10), true, vec![]);
    rig.event(Event::Boot);
    rig.call(Op::Start(spec("1", Restart::Permanent)));
    let slot = rig.slot("1").unwrap();
    let token = rig.running[&slot];
    assert!(matches!(rig.call(Op::Terminate(Target::Slot(slot, token + 1))), Some(Reply::NotFound)));
    assert!(matches!(rig.call(Op::Terminate(Target::Slot(slot, token))), Some(Reply::Done)));
    assert!(rig.ids().is_empty());
}
