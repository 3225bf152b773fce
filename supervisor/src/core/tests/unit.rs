//! Single decisions that neither model shows.

use std::time::Duration;

use super::rig::{Rig, flags, spec};
use crate::core::{Event, Op, Outcome, Phase, Reply, Stage};
use crate::report::ReportEvent;
use crate::{
    Backoff, ChildType, ExitReason, OnExhausted, Restart, Shutdown, SpecError, StartCause, StartError,
    Strategy, SupFlags,
};

const MS: Duration = Duration::from_millis(1);

fn killed(rig: &mut Rig, id: &str) {
    rig.exit(id, ExitReason::Killed);
}

fn one(spec: crate::ChildSpec, flags: SupFlags) -> Rig {
    let mut rig = Rig::new(flags, false, vec![spec]);
    rig.event(Event::Boot);
    rig
}

fn exact(first: u64) -> Backoff {
    Backoff { first: Duration::from_millis(first), jitter: 0.0, ..Backoff::default() }
}

#[test]
fn restarts_count_for_the_whole_period_and_not_longer() {
    let flags = SupFlags::default().intensity(2, 100 * MS);
    let mut rig = one(spec("a", Restart::Permanent), flags);
    killed(&mut rig, "a");
    rig.now = 100 * MS;
    killed(&mut rig, "a");
    assert_eq!(rig.core.restarts_used(rig.now), 2);
    assert_eq!(rig.core.restarts_used(101 * MS), 1);
    rig.now = 101 * MS;
    killed(&mut rig, "a");
    assert!(rig.end.is_none(), "the first is out of the period");
    rig.now = 200 * MS;
    killed(&mut rig, "a");
    assert!(rig.end.is_some(), "three in one period are too many");
}

#[test]
fn history_is_bounded_and_restarts_are_counted() {
    let mut rig = one(spec("a", Restart::Permanent), flags(Strategy::OneForOne, 1000));
    for _ in 0..40 {
        killed(&mut rig, "a");
    }
    let child = rig.core.children.get(0).unwrap();
    assert_eq!((child.history.len(), child.restarts, child.generation), (16, 40, 41));
    assert_eq!(child.history.front().unwrap().generation, 25);
}

#[test]
fn timers_of_the_past_do_not_pile_up() {
    let hour = Duration::from_secs(3600);
    let mut rig = one(spec("a", Restart::Permanent).start_timeout(hour), flags(Strategy::OneForOne, 100_000));
    for _ in 0..10_000 {
        killed(&mut rig, "a");
    }
    assert!(rig.core.stored_timers() <= 66, "{}", rig.core.stored_timers());
    assert_eq!(rig.core.next_deadline(), None);
}

#[test]
fn start_timeout_aborts_and_counts_as_a_failed_start() {
    let mut rig = one(spec("a", Restart::Permanent).start_timeout(50 * MS), flags(Strategy::OneForOne, 10));
    rig.held.push("a".into());
    killed(&mut rig, "a");
    assert_eq!(rig.take_actions(), ["start a"]);
    assert_eq!(rig.core.next_deadline(), Some(50 * MS));
    rig.advance(49 * MS);
    assert!(rig.take_actions().is_empty());
    rig.advance(MS);
    assert_eq!(rig.take_actions(), ["abort a"]);
    rig.started("a", Outcome::Failed(StartError::Aborted));
    assert!(rig.reports.iter().any(|event| matches!(event, ReportEvent::StartError { error: StartError::Timeout(time) } if *time == 50 * MS)));
    assert_eq!(rig.take_actions(), ["start a"], "it is tried again");
    assert!(matches!(rig.causes.last(), Some(StartCause::OwnFailure { reason: ExitReason::Killed })));
}

#[test]
fn start_that_succeeds_while_it_is_given_up_is_stopped_first() {
    let mut rig = one(spec("a", Restart::Permanent).start_timeout(50 * MS), flags(Strategy::OneForOne, 10));
    rig.held.push("a".into());
    killed(&mut rig, "a");
    rig.advance(50 * MS);
    rig.take_actions();
    rig.started("a", Outcome::Running);
    assert_eq!(rig.take_actions(), ["stop a"]);
    rig.exit("a", ExitReason::Shutdown(None));
    assert_eq!(rig.take_actions(), ["start a"]);
}

#[test]
fn start_that_blocks_its_thread_is_unkillable_and_fails_the_boot() {
    let flags = flags(Strategy::OneForOne, 10).kill_grace(10 * MS);
    let specs = vec![spec("a", Restart::Permanent), spec("b", Restart::Permanent).start_timeout(50 * MS)];
    let mut rig = Rig::new(flags, false, specs);
    rig.held.push("b".into());
    rig.event(Event::Boot);
    rig.advance(50 * MS);
    rig.advance(10 * MS);
    let (_, boot_error) = rig.end.clone().unwrap();
    assert!(matches!(boot_error, Some(StartError::FailedToStartChild { id, .. }) if id == "b"));
    assert_eq!(rig.trace, ["+a", "-a"]);
    assert!(!rig.booted);
}

#[test]
fn asked_killed_given_up() {
    let flags = flags(Strategy::OneForOne, 10).kill_grace(10 * MS);
    let mut rig = one(spec("a", Restart::Permanent).shutdown(Shutdown::Timeout(50 * MS)), flags);
    rig.held.push("a".into());
    let first = rig.ask(Op::Terminate(crate::core::Target::Id("a".into())));
    let second = rig.ask(Op::Terminate(crate::core::Target::Id("a".into())));
    assert_eq!(rig.take_actions(), ["stop a"]);
    rig.advance(49 * MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Stopping(Stage::Asked))));
    rig.advance(MS);
    assert_eq!(rig.take_actions(), ["kill a"]);
    rig.advance(9 * MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Stopping(Stage::Killed))));
    rig.advance(MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Unkillable { resume: false })));
    for call in [first, second] {
        assert!(matches!(rig.replies[&call], Reply::Unkillable));
    }
    assert!(matches!(rig.call(Op::Restart("a".into())), Some(Reply::Unkillable)));
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::Running)));
    assert!(matches!(rig.terminate("a"), Some(Reply::Unkillable)));
    assert!(matches!(rig.call(Op::Start(spec("a", Restart::Permanent))), Some(Reply::AlreadyStarted(_))));
    assert_eq!(rig.core.children.counts().active, 1);
    rig.exit("a", ExitReason::Killed);
    assert!(matches!(rig.phase("a"), Some(Phase::Undefined)));
}

#[test]
fn unkillable_child_is_left_out_of_a_group_restart_and_joins_when_it_is_gone() {
    let flags = flags(Strategy::OneForAll, 10).kill_grace(10 * MS);
    let brutal = |id| spec(id, Restart::Permanent).shutdown(Shutdown::BrutalKill);
    let mut rig = Rig::new(flags, false, vec![brutal("a"), brutal("b")]);
    rig.event(Event::Boot);
    rig.held.push("a".into());
    killed(&mut rig, "b");
    rig.advance(10 * MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Unkillable { resume: true })));
    assert_eq!(rig.take_trace(), ["+a", "+b", "+b"]);
    rig.held.clear();
    rig.exit("a", ExitReason::Killed);
    assert_eq!(rig.take_trace(), ["+a", "+b"]);
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
}

#[test]
fn nobody_wants_a_terminated_unkillable_child_back() {
    let flags = flags(Strategy::OneForAll, 10).kill_grace(10 * MS);
    let brutal = |id| spec(id, Restart::Permanent).shutdown(Shutdown::BrutalKill);
    let mut rig = Rig::new(flags, false, vec![brutal("a"), brutal("b")]);
    rig.event(Event::Boot);
    rig.held.push("a".into());
    killed(&mut rig, "b");
    rig.advance(10 * MS);
    assert!(matches!(rig.terminate("a"), Some(Reply::Unkillable)));
    rig.exit("a", ExitReason::Killed);
    assert!(matches!(rig.phase("a"), Some(Phase::Undefined)));
}

#[test]
fn calls_about_a_child_wait_for_what_is_going_on_with_it() {
    let mut rig = one(spec("a", Restart::Permanent), flags(Strategy::OneForOne, 10));
    rig.held.push("b".into());
    let start = rig.ask(Op::Start(spec("b", Restart::Permanent)));
    let again = rig.ask(Op::Start(spec("b", Restart::Permanent)));
    let restart = rig.ask(Op::Restart("b".into()));
    let delete = rig.ask(Op::Delete("b".into()));
    assert!(matches!(rig.terminate("a"), Some(Reply::Done)), "others do not wait");
    assert!(rig.replies.len() == 1);
    rig.started("b", Outcome::Running);
    assert!(matches!(rig.replies[&start], Reply::Started(_)));
    assert!(matches!(rig.replies[&again], Reply::AlreadyStarted(_)));
    assert!(matches!(rig.replies[&restart], Reply::Running));
    assert!(matches!(rig.replies[&delete], Reply::Running));
    let stop = rig.ask(Op::Terminate(crate::core::Target::Id("b".into())));
    let start = rig.ask(Op::Start(spec("b", Restart::Permanent)));
    let restart = rig.ask(Op::Restart("b".into()));
    let delete = rig.ask(Op::Delete("b".into()));
    rig.exit("b", ExitReason::Shutdown(None));
    assert!(matches!(rig.replies[&stop], Reply::Done));
    assert!(matches!(rig.replies[&start], Reply::AlreadyPresent));
    rig.started("b", Outcome::Running);
    assert!(matches!(rig.replies[&restart], Reply::Started(_)));
    assert!(matches!(rig.replies[&delete], Reply::Running));
}

#[test]
fn terminate_interrupts_a_start_that_a_call_waits_for() {
    for strategy in [Strategy::OneForOne, Strategy::RestForOne] {
        let mut rig = Rig::booted(flags(strategy, 10), &["a"]);
        rig.held.push("b".into());
        let start = rig.ask(Op::Start(spec("b", Restart::Permanent)));
        let stop = rig.ask(Op::Terminate(crate::core::Target::Id("b".into())));
        assert_eq!(rig.take_actions(), ["start b", "abort b"]);
        rig.started("b", Outcome::Failed(StartError::Aborted));
        assert!(matches!(rig.replies[&stop], Reply::Done));
        assert!(matches!(rig.replies[&start], Reply::StartFailed(StartError::Aborted)));
        assert_eq!(rig.ids(), ["a"], "a child that never started is not known");
    }
}

#[test]
fn exits_during_a_group_restart_wait_for_its_end() {
    let mut rig = Rig::booted(flags(Strategy::RestForOne, 10), &["a", "b", "c"]);
    rig.held.push("c".into());
    killed(&mut rig, "b");
    assert_eq!(rig.take_actions(), ["stop c"]);
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Exited(_))));
    let call = rig.ask(Op::Delete("c".into()));
    rig.exit("c", ExitReason::Shutdown(None));
    assert_eq!(rig.take_actions(), ["start c"]);
    assert!(!rig.replies.contains_key(&call));
    rig.held.clear();
    rig.started("c", Outcome::Running);
    // Only now a's failure restarts all of them.
    assert_eq!(rig.take_trace(), ["+a", "+b", "+c", "+b", "+c", "-c", "-b", "+a", "+b", "+c"]);
    assert!(matches!(rig.replies[&call], Reply::Running));
}

#[test]
fn sibling_that_died_during_the_stopping_is_just_started_again() {
    let mut rig = Rig::booted(flags(Strategy::OneForAll, 1), &["a", "b", "c"]);
    rig.held.push("c".into());
    killed(&mut rig, "b");
    killed(&mut rig, "a");
    rig.held.clear();
    rig.exit("c", ExitReason::Shutdown(None));
    assert_eq!(rig.take_trace(), ["+a", "+b", "+c", "+a", "+b", "+c"]);
    assert_eq!(rig.core.restarts_used(rig.now), 1, "one failure, one restart");
    assert!(
        rig.reports
            .iter()
            .any(|event| matches!(event, ReportEvent::ShutdownError { reason: ExitReason::Killed }))
    );
}

#[test]
fn backoff_schedules_skips_and_resets() {
    let backoff = Backoff { reset_after: 100 * MS, ..exact(0) };
    let mut rig = one(spec("a", Restart::Permanent).backoff(backoff), flags(Strategy::OneForOne, 100));
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Restarting(Some(until))) if until == 200 * MS));
    assert_eq!(rig.core.next_deadline(), Some(200 * MS));
    rig.advance(199 * MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Restarting(_))));
    rig.advance(MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Restarting(Some(until))) if until == 600 * MS));
    assert!(matches!(rig.call(Op::Restart("a".into())), Some(Reply::Started(_))));
    assert_eq!(rig.core.next_deadline(), None);
    rig.advance(100 * MS);
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Running)), "healthy for long enough");
    assert_eq!(rig.core.children.get(0).unwrap().attempt, 1);
}

#[test]
fn jitter_stays_in_its_bounds_and_varies() {
    let backoff =
        Backoff { first: 1000 * MS, jitter: 0.2, reset_after: Duration::ZERO, ..Backoff::default() };
    let mut rig = one(spec("a", Restart::Permanent).backoff(backoff), flags(Strategy::OneForOne, 1000));
    let mut delays = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let before = rig.now;
        killed(&mut rig, "a");
        let Some(Phase::Restarting(Some(until))) = rig.phase("a") else { panic!("no wait") };
        delays.insert((until - before).as_millis());
        rig.advance(until - before);
    }
    assert!(*delays.first().unwrap() >= 800 && *delays.last().unwrap() <= 1200, "{delays:?}");
    assert!(*delays.first().unwrap() < 850 && *delays.last().unwrap() > 1150, "{delays:?}");
    assert!(delays.len() > 100);
}

#[test]
fn crash_of_another_while_a_group_waits_restarts_all_once() {
    let flags = flags(Strategy::RestForOne, 10);
    let specs = vec![spec("a", Restart::Permanent), spec("b", Restart::Permanent).backoff(exact(1000))];
    let mut rig = Rig::new(flags, false, specs);
    rig.event(Event::Boot);
    killed(&mut rig, "b");
    assert!(matches!(rig.phase("b"), Some(Phase::Restarting(Some(_)))));
    killed(&mut rig, "a");
    assert_eq!(rig.take_trace(), ["+a", "+b", "+a", "+b"]);
    rig.advance(2000 * MS);
    assert_eq!(rig.take_trace(), [""; 0], "b's wait is over");
    assert_eq!(rig.core.next_deadline(), None);
}

#[test]
fn deadline_during_a_group_restart_waits_for_its_end() {
    let mut rig = Rig::booted(flags(Strategy::RestForOne, 10), &["a"]);
    rig.call(Op::Start(spec("b", Restart::Permanent).backoff(exact(100))));
    rig.call(Op::Start(spec("c", Restart::Permanent)));
    rig.call(Op::Start(spec("d", Restart::Permanent)));
    killed(&mut rig, "b");
    rig.call(Op::Restart("d".into()));
    rig.held.push("c".into());
    rig.ask(Op::Restart("c".into()));
    rig.take_trace();
    rig.advance(100 * MS);
    assert!(rig.take_trace().is_empty(), "c is still being started");
    rig.held.clear();
    rig.started("c", Outcome::Running);
    assert_eq!(rig.take_trace(), ["+c", "-d", "-c", "+b", "+c", "+d"]);
}

#[test]
fn parking_clears_the_slate_and_unparks_on_request_or_in_time() {
    let park = |retry_after| flags(Strategy::OneForOne, 1).on_exhausted(OnExhausted::Park { retry_after });
    let mut rig = Rig::booted(park(Some(500 * MS)), &["a", "b"]);
    killed(&mut rig, "a");
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Parked)));
    assert_eq!(rig.core.restarts_used(rig.now), 0);
    rig.advance(499 * MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Parked)));
    rig.advance(MS);
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
    assert!(matches!(rig.causes.last(), Some(StartCause::OwnFailure { .. })));
    let mut rig = Rig::booted(park(None), &["a"]);
    killed(&mut rig, "a");
    killed(&mut rig, "a");
    assert_eq!(rig.core.next_deadline(), None);
    assert!(matches!(rig.call(Op::Start(spec("a", Restart::Permanent))), Some(Reply::AlreadyPresent)));
    assert!(matches!(rig.call(Op::Restart("a".into())), Some(Reply::Started(_))));
    killed(&mut rig, "a");
    killed(&mut rig, "a");
    assert!(matches!(rig.terminate("a"), Some(Reply::Done)));
    assert!(matches!(rig.phase("a"), Some(Phase::Undefined)));
    let mut rig = Rig::booted(park(None), &["a"]);
    killed(&mut rig, "a");
    killed(&mut rig, "a");
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::Done)));
    assert!(rig.ids().is_empty());
    let reports = rig.reports.iter().filter(|event| matches!(event, ReportEvent::Parked { .. }));
    assert_eq!(reports.count(), 1);
}

#[test]
fn reports_of_an_orderly_end() {
    let wrong = |reason: ExitReason, restart, shutdown| {
        let mut rig = one(spec("a", restart).shutdown(shutdown), flags(Strategy::OneForOne, 1));
        rig.held.push("a".into());
        rig.ask(Op::Terminate(crate::core::Target::Id("a".into())));
        rig.exit("a", reason);
        rig.reports.iter().any(|event| matches!(event, ReportEvent::ShutdownError { .. }))
    };
    let timeout = Shutdown::Timeout(MS);
    for (reason, permanent, transient, brutal_permanent, brutal_transient) in [
        (ExitReason::Shutdown(None), false, false, true, false),
        (ExitReason::shutdown("term"), true, false, true, false),
        (ExitReason::Normal, true, false, true, false),
        (ExitReason::Killed, true, true, false, false),
        (ExitReason::Cancelled, true, true, true, true),
    ] {
        assert_eq!(wrong(reason.clone(), Restart::Permanent, timeout), permanent, "{reason}");
        assert_eq!(wrong(reason.clone(), Restart::Transient, timeout), transient, "{reason}");
        assert_eq!(
            wrong(reason.clone(), Restart::Permanent, Shutdown::BrutalKill),
            brutal_permanent,
            "{reason}"
        );
        assert_eq!(
            wrong(reason.clone(), Restart::Transient, Shutdown::BrutalKill),
            brutal_transient,
            "{reason}"
        );
    }
    // A child that is found gone ended as it was told.
    assert!(!wrong(ExitReason::NoProc, Restart::Permanent, timeout));
    assert!(!wrong(ExitReason::NoProc, Restart::Permanent, Shutdown::BrutalKill));
}

#[test]
fn reconfigure_counts_orders_and_refuses() {
    let mut rig = Rig::booted(flags(Strategy::OneForOne, 1), &["a", "b"]);
    let mut supervisor = spec("a", Restart::Transient);
    supervisor.child_type = ChildType::Supervisor;
    let new = vec![spec("n", Restart::Permanent), supervisor];
    assert!(matches!(rig.call(Op::Reconfigure(flags(Strategy::OneForAll, 3), Some(new))), Some(Reply::Done)));
    assert_eq!(rig.ids(), ["n", "a", "b"]);
    let counts = rig.core.children.counts();
    assert_eq!((counts.specs, counts.workers, counts.supervisors, counts.active), (3, 2, 1, 2));
    let back = vec![spec("a", Restart::Transient)];
    rig.call(Op::Reconfigure(flags(Strategy::OneForAll, 3), Some(back)));
    assert_eq!(rig.core.children.counts().workers, 3);
    assert_eq!(rig.ids(), ["a", "n", "b"]);
    killed(&mut rig, "b");
    assert_eq!(rig.take_trace(), ["+a", "+b", "-a", "+a", "+n", "+b"], "the strategy is the new one");
    let zero = SupFlags::default().intensity(1, Duration::ZERO);
    assert!(matches!(rig.call(Op::Reconfigure(zero, None)), Some(Reply::Spec(SpecError::ZeroPeriod))));
}

#[test]
fn end_of_a_boot_that_is_interrupted() {
    let specs = ["a", "b", "c"].map(|id| spec(id, Restart::Permanent)).to_vec();
    let mut rig = Rig::new(flags(Strategy::OneForOne, 1), false, specs);
    rig.held.push("b".into());
    rig.event(Event::Boot);
    rig.shutdown();
    rig.shutdown();
    assert_eq!(rig.take_actions(), ["start b", "abort b"]);
    rig.started("b", Outcome::Failed(StartError::Aborted));
    assert_eq!(rig.take_trace(), ["+a", "-a"]);
    let (reason, boot_error) = rig.end.clone().unwrap();
    assert!(matches!(reason, ExitReason::Shutdown(None)) && boot_error.is_none() && !rig.booted);
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::NoProc)), "after the end");
}

#[test]
fn stale_events_are_ignored() {
    let mut rig = Rig::booted(flags(Strategy::OneForOne, 10), &["a"]);
    let (slot, token) = (rig.slot("a").unwrap(), rig.running[&rig.slot("a").unwrap()]);
    killed(&mut rig, "a");
    let before = rig.trace.len();
    rig.event(Event::Exited { slot, token, reason: ExitReason::Killed });
    rig.event(Event::Started { slot, token, outcome: Outcome::Failed(StartError::Aborted) });
    rig.event(Event::TryAgain { slot, token: token + 1 });
    rig.event(Event::Tick);
    assert_eq!(rig.trace.len(), before);
    assert!(matches!(rig.phase("a"), Some(Phase::Running)));
}

#[test]
fn once_ending_calls_are_refused_the_first_reason_holds_and_nothing_is_restarted() {
    let mut rig = Rig::booted(flags(Strategy::OneForOne, 10), &["a", "b"]);
    rig.held.push("b".into());
    rig.event(Event::Shutdown { reason: ExitReason::Normal });
    rig.shutdown();
    assert!(rig.core.is_ending());
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::NoProc)));
    killed(&mut rig, "a");
    assert!(matches!(rig.phase("a"), Some(Phase::Undefined)));
    assert!(rig.reports.iter().any(|event| matches!(
        event,
        ReportEvent::ChildTerminated { reason: ExitReason::Killed, restarting: false }
    )));
    rig.exit("b", ExitReason::Shutdown(None));
    assert!(matches!(rig.end, Some((ExitReason::Normal, None))));
    assert_eq!(rig.take_trace(), ["+a", "+b"]);
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::NoProc)), "nobody waits for ever");
}

/// Jitter is a pure function of the seed; a change of the sequence is a change of behaviour.
#[test]
fn chance_is_xorshift64_of_the_seed() {
    let mut rig = Rig::booted(flags(Strategy::OneForOne, 1), &[]);
    let mut expected = 7_u64;
    for _ in 0..100 {
        expected ^= expected << 13;
        expected ^= expected >> 7;
        expected ^= expected << 17;
        let high = (expected >> 32) as f64;
        assert_eq!(rig.core.chance(), high / 4_294_967_296.0);
    }
}
