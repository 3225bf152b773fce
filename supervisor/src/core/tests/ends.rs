//! Significant children, starts with nothing to run, and who is forgotten while a plan goes on.

use std::time::Duration;

use super::rig::{Rig, flags, spec};
use crate::core::{Event, Op, Outcome, Phase, Reply, Target};
use crate::{AutoShutdown, ExitReason, Restart, Shutdown, StartError, Strategy};

#[test]
fn significant_children_end_the_supervisor_as_the_mode_says() {
    for (auto, significant, ends_after) in [
        (AutoShutdown::Never, false, 9),
        (AutoShutdown::AnySignificant, true, 1),
        (AutoShutdown::AnySignificant, false, 9),
        (AutoShutdown::AllSignificant, true, 2),
        (AutoShutdown::AllSignificant, false, 9),
    ] {
        let child = |id| spec(id, Restart::Transient).significant(significant);
        let specs = vec![child("a"), child("b"), spec("c", Restart::Permanent)];
        let mut rig = Rig::new(flags(Strategy::OneForOne, 1).auto_shutdown(auto), false, specs);
        rig.event(Event::Boot);
        for (count, id) in ["a", "b"].into_iter().enumerate() {
            rig.exit(id, ExitReason::Normal);
            assert_eq!(rig.end.is_some(), count + 1 >= ends_after, "{auto:?} {significant} {id}");
        }
        if rig.end.is_none() {
            assert!(matches!(rig.phase("c"), Some(Phase::Running)));
        }
    }
}

#[test]
fn ignored_starts_keep_the_spec_unless_temporary_or_dynamic() {
    for simple in [false, true] {
        for (restart, kept) in
            [(Restart::Permanent, !simple), (Restart::Transient, !simple), (Restart::Temporary, false)]
        {
            let mut rig = Rig::new(flags(Strategy::OneForOne, 1), simple, vec![]);
            rig.event(Event::Boot);
            rig.held.push("1".into());
            let call = rig.ask(Op::Start(spec("1", restart)));
            rig.started("1", Outcome::Ignored);
            assert!(matches!(rig.replies[&call], Reply::Ignored));
            assert_eq!(rig.ids().len(), usize::from(kept));
            assert_eq!(rig.core.children.counts().active, 0);
            assert_eq!(rig.core.children.counts().live, 0);
        }
    }
}

#[test]
fn boot_goes_on_past_an_ignored_child() {
    let specs =
        vec![spec("t", Restart::Temporary), spec("b", Restart::Permanent), spec("c", Restart::Permanent)];
    let mut rig = Rig::new(flags(Strategy::OneForOne, 1), false, specs);
    rig.held = vec!["t".into(), "b".into()];
    rig.event(Event::Boot);
    rig.started("t", Outcome::Ignored);
    assert_eq!(rig.take_actions(), ["start t", "start b"]);
    rig.started("b", Outcome::Ignored);
    assert!(rig.booted);
    assert_eq!(rig.ids(), ["b", "c"]);
    assert_eq!(rig.take_trace(), ["+c"]);
}

/// The cursor of a plan stays where it is when another child is forgotten.
#[test]
fn child_forgotten_elsewhere_does_not_move_the_plan() {
    let specs = ["a", "t", "b", "c"]
        .map(|id| spec(id, if id == "t" { Restart::Temporary } else { Restart::Permanent }))
        .to_vec();
    let mut rig = Rig::new(flags(Strategy::OneForOne, 1), false, specs);
    rig.event(Event::Boot);
    rig.held.push("c".into());
    rig.shutdown();
    assert_eq!(rig.take_actions(), ["stop c"]);
    rig.exit("t", ExitReason::Killed);
    assert_eq!(rig.ids(), ["a", "b", "c"]);
    assert!(matches!(rig.phase("b"), Some(Phase::Running)), "c is still being stopped");
    rig.exit("c", ExitReason::Shutdown(None));
    assert_eq!(rig.take_trace(), ["+a", "+t", "+b", "+c", "-b", "-a"]);
    assert!(rig.end.is_some());
}

#[test]
fn group_restart_stops_temporary_children_where_they_stand() {
    let specs = ["a", "t", "b", "u"]
        .map(|id| spec(id, if id == "t" || id == "u" { Restart::Temporary } else { Restart::Permanent }))
        .to_vec();
    let mut rig = Rig::new(flags(Strategy::OneForAll, 1), false, specs);
    rig.event(Event::Boot);
    rig.take_trace();
    rig.held = vec!["u".into(), "t".into()];
    rig.exit("a", ExitReason::Killed);
    assert_eq!(rig.take_actions(), ["stop u"]);
    rig.exit("u", ExitReason::Shutdown(None));
    assert_eq!(rig.take_actions(), ["stop t"]);
    assert_eq!(rig.take_trace(), ["-b"]);
    rig.exit("t", ExitReason::Shutdown(None));
    assert_eq!(rig.take_trace(), ["+a", "+b"]);
}

/// A start that had been given up succeeds while the supervisor ends: the end waits for that child too.
#[test]
fn end_waits_for_one_that_came_back() {
    let flags = flags(Strategy::OneForOne, 1).kill_grace(Duration::from_secs(1));
    let specs =
        vec![spec("a", Restart::Permanent), spec("b", Restart::Permanent).shutdown(Shutdown::Infinity)];
    let mut rig = Rig::new(flags, false, specs);
    rig.held = vec!["a".into(), "b".into()];
    rig.event(Event::Boot);
    rig.started("a", Outcome::Running);
    rig.shutdown();
    rig.advance(Duration::from_secs(1));
    assert!(matches!(rig.phase("b"), Some(Phase::Unkillable { .. })));
    rig.started("b", Outcome::Running);
    assert_eq!(rig.take_actions(), ["start a", "start b", "abort b", "stop a", "stop b"]);
    rig.exit("a", ExitReason::Shutdown(None));
    assert!(rig.end.is_none(), "b still runs");
    rig.exit("b", ExitReason::Shutdown(None));
    assert!(rig.end.is_some());
}

#[test]
fn dynamic_children_are_told_to_stop_all_at_once() {
    let mut rig = Rig::new(flags(Strategy::OneForOne, 1), true, vec![]);
    rig.event(Event::Boot);
    for id in ["1", "2", "3"] {
        rig.call(Op::Start(spec(id, Restart::Permanent)));
    }
    rig.held = vec!["1".into(), "2".into(), "3".into(), "4".into()];
    let starting = rig.ask(Op::Start(spec("4", Restart::Permanent)));
    rig.shutdown();
    assert_eq!(rig.take_actions(), ["start 4", "stop 1", "stop 2", "stop 3", "abort 4"]);
    for id in ["2", "1", "3"] {
        assert!(rig.end.is_none());
        rig.exit(id, ExitReason::Normal);
    }
    rig.started("4", Outcome::Failed(StartError::Aborted));
    assert!(rig.end.is_some());
    assert!(matches!(rig.replies[&starting], Reply::StartFailed(StartError::Aborted)));
}

#[test]
fn terminated_significant_child_does_not_end_the_supervisor() {
    let flags = flags(Strategy::OneForOne, 1).auto_shutdown(AutoShutdown::AllSignificant);
    let mut rig = Rig::new(flags, false, vec![spec("a", Restart::Transient).significant(true)]);
    rig.event(Event::Boot);
    assert!(matches!(rig.call(Op::Terminate(Target::Id("a".into()))), Some(Reply::Done)));
    assert!(rig.end.is_none());
}

#[test]
fn counts_tell_supervisors_from_workers() {
    let mut supervisor = spec("s", Restart::Permanent);
    supervisor.child_type = crate::ChildType::Supervisor;
    let mut rig =
        Rig::new(flags(Strategy::OneForOne, 1), false, vec![spec("a", Restart::Permanent), supervisor]);
    rig.event(Event::Boot);
    let counts = rig.core.children.counts();
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (2, 2, 1, 1));
    rig.call(Op::Terminate(Target::Id("s".into())));
    rig.call(Op::Delete("s".into()));
    let counts = rig.core.children.counts();
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (1, 1, 1, 0));
}

#[test]
fn running_child_becomes_significant_and_stops_being_so() {
    let mut rig = Rig::new(
        flags(Strategy::OneForOne, 1).auto_shutdown(AutoShutdown::AllSignificant),
        false,
        vec![spec("a", Restart::Transient)],
    );
    rig.event(Event::Boot);
    for significant in [true, false, true] {
        let again = spec("a", Restart::Transient).significant(significant);
        let flags = rig.core.flags.clone();
        assert!(matches!(rig.call(Op::Reconfigure(flags, Some(vec![again]))), Some(Reply::Done)));
        assert_eq!(rig.core.children.counts().significant, usize::from(significant));
    }
    rig.exit("a", ExitReason::Normal);
    assert!(rig.end.is_some());
}
