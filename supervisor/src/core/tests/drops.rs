//! What belongs to the user is never dropped by the supervisor itself: the drop may panic or take long.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::rig::{Rig, flags};
use crate::core::{Event, Op, Outcome, Reply, Target};
use crate::{ChildSpec, ExitReason, Restart, StartError, Started, Strategy};

thread_local! {
    static ELSEWHERE: Cell<bool> = const { Cell::new(false) };
    /// How many were dropped by the supervisor, and elsewhere.
    static DROPS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Drops something as the shell's task would.
pub(super) fn elsewhere(drop: impl FnOnce()) {
    ELSEWHERE.set(true);
    drop();
    ELSEWHERE.set(false);
}

/// Something of the user's: an argument of a start function, or an error.
#[derive(Debug)]
struct Tattler;

impl Drop for Tattler {
    fn drop(&mut self) {
        let (here, there) = DROPS.get();
        DROPS.set(if ELSEWHERE.get() { (here, there + 1) } else { (here + 1, there) });
    }
}

impl fmt::Display for Tattler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tattler")
    }
}

impl std::error::Error for Tattler {}

fn spec(id: &str, restart: Restart) -> ChildSpec {
    let tattler = Arc::new(Tattler);
    let start = move |_| {
        let _ = &tattler;
        async { Ok(Started::ignore()) }
    };
    ChildSpec::worker(id, start).restart(restart)
}

fn failed() -> ExitReason {
    ExitReason::failed(Tattler)
}

/// A supervisor of `a`, a permanent child, and `t`, a temporary one.
fn booted(strategy: Strategy) -> Rig {
    DROPS.set((0, 0));
    let specs = vec![spec("a", Restart::Permanent), spec("t", Restart::Temporary)];
    let mut rig = Rig::new(flags(strategy, 1000), false, specs);
    rig.forgetful = true;
    rig.event(Event::Boot);
    // What a temporary child was started with is not needed any more.
    assert_eq!(DROPS.get(), (0, 1));
    DROPS.set((0, 0));
    rig
}

/// Asserts that this many have been dropped since, and none by the supervisor.
fn dropped(count: usize) {
    assert_eq!(DROPS.take(), (0, count));
}

#[test]
fn specifications_are_dropped_elsewhere() {
    let mut rig = booted(Strategy::OneForOne);
    // Refused, replaced, deleted, ended.
    rig.call(Op::Start(spec("a", Restart::Permanent)));
    dropped(1);
    rig.call(Op::Start(spec("b", Restart::Permanent).significant(true)));
    dropped(1);
    let flags = rig.core.flags.clone();
    rig.call(Op::Reconfigure(flags.clone(), Some(vec![spec("a", Restart::Permanent)])));
    dropped(1);
    rig.call(Op::Reconfigure(flags, Some(vec![spec("a", Restart::Permanent).significant(true)])));
    dropped(1);
    rig.call(Op::Terminate(Target::Id("a".into())));
    assert!(matches!(rig.call(Op::Delete("a".into())), Some(Reply::Done)));
    dropped(1);
    rig.held = vec!["t".into()];
    rig.shutdown();
    rig.call(Op::Start(spec("c", Restart::Permanent)));
    dropped(1);
}

#[test]
fn errors_are_dropped_elsewhere() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
        let mut rig = booted(strategy);
        // A temporary child is forgotten at once, and its error with it.
        rig.exit("t", failed());
        dropped(1);
        // The seventeenth end drives the first out of the history.
        for _ in 0..16 {
            rig.exit("a", failed());
            dropped(0);
        }
        rig.exit("a", failed());
        dropped(1);
        // Failed retries drive the cause of the restart out while it still is the cause.
        rig.failures.insert("a".into(), 20);
        rig.exit("a", failed());
        dropped(17);
        // A child that fails while it is stopped.
        rig.held.push("a".into());
        let call = rig.ask(Op::Terminate(Target::Id("a".into())));
        rig.exit("a", failed());
        assert!(matches!(rig.replies.get(&call), Some(Reply::Done)));
        dropped(1);
        // Starts that fail: for a call, and when nobody waits any more.
        let call = rig.ask(Op::Restart("a".into()));
        rig.started("a", Outcome::Failed(StartError::failed(Tattler)));
        elsewhere(|| drop(rig.replies.remove(&call)));
        dropped(1);
        let calls = [rig.ask(Op::Restart("a".into())), rig.ask(Op::Terminate(Target::Id("a".into())))];
        rig.started("a", Outcome::Failed(StartError::failed(Tattler)));
        elsewhere(|| calls.iter().for_each(|call| drop(rig.replies.remove(call))));
        dropped(1);
    }
}

#[test]
fn error_of_one_that_ended_before_it_was_stopped_is_dropped_elsewhere() {
    let mut rig = booted(Strategy::OneForAll);
    rig.call(Op::Start(spec("b", Restart::Permanent)));
    rig.held.push("t".into());
    rig.call(Op::Start(spec("c", Restart::Permanent)));
    rig.held.push("c".into());
    rig.exit("b", ExitReason::Killed);
    rig.exit("a", failed());
    rig.exit("c", ExitReason::Shutdown(None));
    rig.exit("t", ExitReason::Shutdown(None));
    // The temporary child's start function had gone before.
    dropped(1);
    let end = Event::Shutdown { reason: failed() };
    rig.event(end);
    rig.advance(Duration::from_secs(1));
    assert_eq!(DROPS.get().0, 0);
}

/// A task for each of the usual restarts would cost too much.
#[test]
fn what_the_record_keeps_is_not_handed_out() {
    let mut rig = booted(Strategy::OneForOne);
    let before = rig.discarded;
    for _ in 0..16 {
        rig.exit("a", failed());
    }
    assert_eq!(rig.discarded, before);
}
