//! The core under any order of events: starts that hang, children that do not die, calls in between.

use std::time::Duration;

use proptest::prelude::{Just, Strategy as _, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::rig::{Rig, spec};
use crate::core::{Event, Op, Outcome, Phase};
use crate::{
    AutoShutdown, Backoff, ExitReason, OnExhausted, Restart, Shutdown, StartError, Strategy, SupFlags,
};

const IDS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Act {
    /// Answer the start of a child: runs, ignored or failed.
    Answer(usize, u8),
    Exit(usize, bool),
    Start(usize),
    Terminate(usize),
    Restart(usize),
    Delete(usize),
    Wait(u64),
    Reconfigure(Strategy),
    Shutdown,
}

fn acts() -> impl proptest::strategy::Strategy<Value = Act> {
    let child = 0..IDS.len();
    prop_oneof![
        8 => (child.clone(), 0..5_u8).prop_map(|(child, how)| Act::Answer(child, how)),
        8 => (child.clone(), any::<bool>()).prop_map(|(child, abnormal)| Act::Exit(child, abnormal)),
        2 => child.clone().prop_map(Act::Start),
        2 => child.clone().prop_map(Act::Terminate),
        2 => child.clone().prop_map(Act::Restart),
        2 => child.prop_map(Act::Delete),
        4 => (0..4000_u64).prop_map(Act::Wait),
        1 => strategies().prop_map(Act::Reconfigure),
        1 => Just(Act::Shutdown),
    ]
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> + Clone {
    prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)]
}

/// Everything about a child that bears on the core.
fn child(index: usize, kind: u8) -> crate::ChildSpec {
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][usize::from(kind % 3)];
    let mut spec = spec(IDS[index], restart);
    spec = match kind / 3 % 3 {
        0 => spec.shutdown(Shutdown::BrutalKill),
        1 => spec.shutdown(Shutdown::Timeout(Duration::from_millis(500))),
        _ => spec.shutdown(Shutdown::Infinity),
    };
    if kind / 9 % 2 == 1 {
        spec = spec.backoff(Backoff::default());
    }
    if kind / 18 % 2 == 1 {
        spec = spec.start_timeout(Duration::from_secs(1));
    }
    let significant = kind / 36 % 2 == 1 && restart != Restart::Permanent;
    spec.significant(significant)
}

fn act(rig: &mut Rig, act: &Act) {
    match act {
        Act::Answer(index, how) => {
            let slot = rig.slot(IDS[*index]);
            let waits = slot.is_some_and(|slot| {
                !rig.running.contains_key(&slot)
                    && rig.core.children.get(slot).is_some_and(|child| {
                        matches!(child.phase, Phase::Starting | Phase::Stopping(_) | Phase::Unkillable { .. })
                    })
            });
            if waits {
                let outcome = match how {
                    0 => Outcome::Failed(StartError::Aborted),
                    1 => Outcome::Ignored,
                    _ => Outcome::Running,
                };
                rig.started(IDS[*index], outcome);
            }
        }
        Act::Exit(index, abnormal) => {
            rig.exit(IDS[*index], if *abnormal { ExitReason::Killed } else { ExitReason::Normal });
        }
        Act::Start(index) => {
            rig.ask(Op::Start(child(*index, 3)));
        }
        Act::Terminate(index) => drop(rig.terminate(IDS[*index])),
        Act::Restart(index) => {
            rig.ask(Op::Restart(IDS[*index].into()));
        }
        Act::Delete(index) => {
            rig.ask(Op::Delete(IDS[*index].into()));
        }
        Act::Wait(time) => rig.advance(Duration::from_millis(*time)),
        Act::Reconfigure(strategy) => {
            let flags = SupFlags { strategy: *strategy, ..rig.core.flags.clone() };
            rig.ask(Op::Reconfigure(flags, None));
        }
        Act::Shutdown => rig.shutdown(),
    }
}

/// Lets all that hangs come to its end, again and again; restarts may follow one another for ever.
fn settle(rig: &mut Rig) {
    for _ in 0..20 {
        for (index, id) in IDS.iter().enumerate() {
            act(rig, &Act::Answer(index, 2));
            // A child that was told to stop does.
            if matches!(rig.phase(id), Some(Phase::Stopping(_))) {
                act(rig, &Act::Exit(index, false));
            }
        }
        rig.advance(Duration::from_secs(10));
    }
}

/// Brings everything to an end: all that hangs is answered.
fn finish(rig: &mut Rig) {
    rig.shutdown();
    for _ in 0..200 {
        if rig.end.is_some() {
            return;
        }
        for index in 0..IDS.len() {
            act(rig, &Act::Answer(index, 0));
            act(rig, &Act::Exit(index, true));
        }
        rig.advance(Duration::from_secs(10));
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn core_keeps_its_promises_in_any_order_of_events(
        strategy in strategies(),
        simple in any::<bool>(),
        intensity in 0..6_u32,
        park in proptest::option::of(proptest::option::of(1..5_u64)),
        auto in prop_oneof![Just(AutoShutdown::AnySignificant), Just(AutoShutdown::AllSignificant)],
        kinds in proptest::collection::vec(any::<u8>(), 0..4),
        acts in proptest::collection::vec(acts(), 0..60),
    ) {
        let on_exhausted = match park {
            None => OnExhausted::Escalate,
            Some(retry_after) => OnExhausted::Park { retry_after: retry_after.map(Duration::from_secs) },
        };
        let flags = SupFlags::new(strategy)
            .intensity(intensity, Duration::from_secs(5))
            .auto_shutdown(auto)
            .on_exhausted(on_exhausted)
            .kill_grace(Duration::from_secs(1));
        let specs = if simple { Vec::new() } else { kinds.iter().enumerate().map(|(n, kind)| child(n, *kind)).collect() };
        let mut rig = Rig::new(flags, simple, specs);
        rig.held = IDS.map(str::to_owned).to_vec();
        rig.event(Event::Boot);
        for step in &acts {
            if rig.end.is_some() {
                break;
            }
            act(&mut rig, step);
        }
        if rig.end.is_none() {
            settle(&mut rig);
            prop_assert_eq!(rig.replies.len() as u64, rig.calls, "every call has its reply before the end");
        }
        if rig.end.is_none() {
            finish(&mut rig);
        }
        prop_assert!(rig.end.is_some(), "the supervisor ends");
        prop_assert_eq!(rig.replies.len() as u64, rig.calls, "every call has its reply");
    }
}
