//! The core against OTP's semantics written down as plainly as a list allows.

use std::collections::HashMap;

use proptest::prelude::{Just, Strategy as _, any, prop_assert_eq, prop_oneof, proptest};

use super::rig::{Rig, flags, spec};
use crate::core::{Event, Op, Phase, Reply};
use crate::{ExitReason, Panic, Restart, Strategy};

#[derive(Clone, Debug)]
enum Act {
    Start(String, Restart),
    Terminate(String),
    Restart(String),
    Delete(String),
    Fail(String, u32),
    Exit(String, Ending),
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Normal,
    Shutdown,
    Abnormal,
}

impl Ending {
    fn reason(self) -> ExitReason {
        match self {
            Self::Normal => ExitReason::Normal,
            Self::Shutdown => ExitReason::shutdown("term"),
            Self::Abnormal => ExitReason::failed(Panic::new("told to")),
        }
    }
}

struct Entry {
    id: String,
    restart: Restart,
    up: bool,
}

/// A supervisor whose children do everything at once.
struct Model {
    strategy: Strategy,
    simple: bool,
    intensity: usize,
    children: Vec<Entry>,
    restarts: usize,
    failures: HashMap<String, u32>,
    ended: bool,
    trace: Vec<String>,
}

impl Model {
    fn start(&mut self, id: &str) -> bool {
        let failures = self.failures.entry(id.to_owned()).or_default();
        if *failures > 0 {
            *failures -= 1;
            return false;
        }
        self.trace.push(format!("+{id}"));
        true
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| child.id == id)
    }

    /// Stops the children from `first` on, in reverse, and forgets the temporary ones.
    fn stop_from(&mut self, first: usize) {
        for child in self.children[first..].iter_mut().rev() {
            if std::mem::replace(&mut child.up, false) {
                self.trace.push(format!("-{}", child.id));
            }
        }
        let mut index = 0;
        self.children.retain(|child| {
            index += 1;
            index <= first || child.restart != Restart::Temporary
        });
    }

    fn boot(&mut self) {
        for index in 0..self.children.len() {
            let id = self.children[index].id.clone();
            if !self.start(&id) {
                self.stop_from(0);
                self.ended = true;
                return;
            }
            self.children[index].up = true;
        }
    }

    fn exit(&mut self, id: &str, ending: Ending) {
        let Some(index) = self.find(id).filter(|index| self.children[*index].up) else { return };
        self.children[index].up = false;
        let again = match self.children[index].restart {
            Restart::Permanent => true,
            Restart::Transient => matches!(ending, Ending::Abnormal),
            Restart::Temporary => false,
        };
        if again {
            return self.restart_after_failure(id.to_owned());
        }
        if self.simple || self.children[index].restart == Restart::Temporary {
            self.children.remove(index);
        }
    }

    fn restart_after_failure(&mut self, mut failed: String) {
        'tries: loop {
            self.restarts += 1;
            if self.restarts > self.intensity {
                self.stop_from(0);
                self.ended = true;
                return;
            }
            let index = self.find(&failed).unwrap();
            if self.simple || self.strategy == Strategy::OneForOne {
                if self.start(&failed) {
                    self.children[index].up = true;
                    return;
                }
                continue;
            }
            let first = if self.strategy == Strategy::OneForAll { 0 } else { index };
            self.stop_from(first);
            for index in first..self.children.len() {
                let id = self.children[index].id.clone();
                if !self.start(&id) {
                    failed = id;
                    continue 'tries;
                }
                self.children[index].up = true;
            }
            return;
        }
    }

    fn call(&mut self, act: &Act) -> &'static str {
        match act {
            Act::Start(id, restart) => match self.find(id) {
                Some(index) if self.children[index].up => "already started",
                Some(_) => "already present",
                None if self.start(id) => {
                    self.children.push(Entry { id: id.clone(), restart: *restart, up: true });
                    "started"
                }
                None => "start failed",
            },
            Act::Terminate(id) => {
                let Some(index) = self.find(id) else {
                    return if self.simple { "simple" } else { "not found" };
                };
                if std::mem::replace(&mut self.children[index].up, false) {
                    self.trace.push(format!("-{id}"));
                }
                if self.simple || self.children[index].restart == Restart::Temporary {
                    self.children.remove(index);
                }
                "done"
            }
            Act::Restart(_) | Act::Delete(_) if self.simple => "simple",
            Act::Restart(id) => match self.find(id) {
                None => "not found",
                Some(index) if self.children[index].up => "running",
                Some(index) => {
                    if self.start(id) {
                        self.children[index].up = true;
                        "started"
                    } else {
                        "start failed"
                    }
                }
            },
            Act::Delete(id) => match self.find(id) {
                None => "not found",
                Some(index) if self.children[index].up => "running",
                Some(index) => {
                    self.children.remove(index);
                    "done"
                }
            },
            Act::Fail(..) | Act::Exit(..) => "",
        }
    }
}

fn word(reply: Option<Reply>) -> &'static str {
    match reply {
        Some(Reply::Done) => "done",
        Some(Reply::Started(_)) => "started",
        Some(Reply::AlreadyStarted(_)) => "already started",
        Some(Reply::AlreadyPresent) => "already present",
        Some(Reply::Running) => "running",
        Some(Reply::NotFound) => "not found",
        Some(Reply::StartFailed(_)) => "start failed",
        Some(Reply::SimpleOneForOne) => "simple",
        other => panic!("{other:?}"),
    }
}

fn perform(rig: &mut Rig, act: &Act) -> &'static str {
    match act {
        Act::Start(id, restart) => word(rig.call(Op::Start(spec(id, *restart)))),
        Act::Terminate(id) => word(rig.terminate(id)),
        Act::Restart(id) => word(rig.call(Op::Restart(id.as_str().into()))),
        Act::Delete(id) => word(rig.call(Op::Delete(id.as_str().into()))),
        Act::Fail(id, times) => {
            rig.failures.insert(id.clone(), *times);
            ""
        }
        Act::Exit(id, ending) => {
            rig.exit(id, ending.reason());
            ""
        }
    }
}

fn restarts() -> impl proptest::strategy::Strategy<Value = Restart> + Clone {
    prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)]
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)]
}

fn acts() -> impl proptest::strategy::Strategy<Value = Act> {
    let id = || prop_oneof!["a", "b", "c", "d", "e"].prop_map(|id| id.to_owned());
    let ending = prop_oneof![Just(Ending::Normal), Just(Ending::Shutdown), Just(Ending::Abnormal)];
    prop_oneof![
        2 => (id(), restarts()).prop_map(|(id, restart)| Act::Start(id, restart)),
        1 => id().prop_map(Act::Terminate),
        1 => id().prop_map(Act::Restart),
        1 => id().prop_map(Act::Delete),
        2 => (id(), 0..4_u32).prop_map(|(id, times)| Act::Fail(id, times)),
        6 => (id(), ending).prop_map(|(id, ending)| Act::Exit(id, ending)),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn core_does_what_a_naive_list_does(
        strategy in strategies(),
        simple in any::<bool>(),
        intensity in 0..8_u32,
        children in proptest::collection::vec(restarts(), 0..5),
        boot_failure in proptest::option::weighted(0.1, 0..5_usize),
        acts in proptest::collection::vec(acts(), 0..30),
    ) {
        let ids = ["a", "b", "c", "d", "e"];
        let children = if simple { Vec::new() } else { children };
        let specs = children.iter().zip(ids).map(|(restart, id)| spec(id, *restart)).collect();
        let mut rig = Rig::new(flags(strategy, intensity), simple, specs);
        let entries = children.iter().zip(ids).map(|(restart, id)| Entry { id: id.into(), restart: *restart, up: false });
        let mut model = Model {
            strategy, simple, intensity: intensity as usize, children: entries.collect(),
            restarts: 0, failures: HashMap::new(), ended: false, trace: Vec::new(),
        };
        if let Some(index) = boot_failure {
            rig.failures.insert(ids[index].into(), 1);
            model.failures.insert(ids[index].into(), 1);
        }
        rig.event(Event::Boot);
        model.boot();
        prop_assert_eq!(rig.booted, !model.ended);
        prop_assert_eq!(rig.end.is_some(), model.ended);
        for act in &acts {
            if model.ended {
                break;
            }
            let reply = perform(&mut rig, act);
            match act {
                Act::Fail(id, times) => { model.failures.insert(id.clone(), *times); }
                Act::Exit(id, ending) => model.exit(id, *ending),
                _ => prop_assert_eq!(reply, model.call(act), "{:?}", act),
            }
            compare(&mut rig, &mut model, act)?;
        }
        if !model.ended {
            rig.shutdown();
            model.stop_from(0);
            prop_assert_eq!(sorted(simple, rig.take_trace()), sorted(simple, model.trace));
        }
        prop_assert_eq!(rig.running.len(), 0);
        prop_assert!(rig.end.is_some());
    }
}

use proptest::prelude::{TestCaseError, prop_assert};

fn compare(rig: &mut Rig, model: &mut Model, act: &Act) -> Result<(), TestCaseError> {
    let simple = model.simple;
    prop_assert_eq!(
        sorted(simple, rig.take_trace()),
        sorted(simple, std::mem::take(&mut model.trace)),
        "{:?}",
        act
    );
    prop_assert_eq!(rig.end.is_some(), model.ended, "{:?}", act);
    if model.ended {
        return Ok(());
    }
    let shown: Vec<_> = rig
        .core
        .children
        .iter()
        .map(|(_, child)| (child.spec.id.to_string(), matches!(child.phase, Phase::Running)))
        .collect();
    let expected: Vec<_> = model.children.iter().map(|child| (child.id.clone(), child.up)).collect();
    prop_assert_eq!(shown, expected, "{:?}", act);
    prop_assert_eq!(rig.core.restarts_used(rig.now), model.restarts);
    Ok(())
}

/// Dynamic children are stopped all at once, in no order that counts.
fn sorted(simple: bool, mut trace: Vec<String>) -> Vec<String> {
    if simple {
        trace.sort();
    }
    trace
}
