//! A shell without actors: it carries out the core's actions at once, or when the test says so.

use std::collections::{HashMap, VecDeque};

use crate::core::{
    Action, Actions, CallId, Core, Event, Op, Outcome, Phase, Reply, Slot, Target, Time, Token,
};
use crate::report::ReportEvent;
use crate::{
    ChildSpec, ExitReason, Restart, StartCause, StartError, Started, Strategy, SupFlags, check_childspecs,
};

pub(super) fn spec(id: &str, restart: Restart) -> ChildSpec {
    ChildSpec::worker(id, |_| async { Ok(Started::ignore()) }).restart(restart)
}

pub(super) fn flags(strategy: Strategy, intensity: u32) -> SupFlags {
    SupFlags::new(strategy).intensity(intensity, Time::from_secs(3600))
}

pub(super) struct Rig {
    pub(super) core: Core,
    pub(super) now: Time,
    /// What happens next, in this order.
    pub(super) events: VecDeque<Event>,
    /// The incarnations that have an actor.
    pub(super) running: HashMap<Slot, Token>,
    /// How often the next starts of a child fail.
    pub(super) failures: HashMap<String, u32>,
    /// Children whose starts and stops the test answers itself.
    pub(super) held: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) replies: HashMap<CallId, Reply>,
    /// Reports and causes are dropped as soon as they are there: the former by the supervisor, the latter elsewhere.
    pub(super) forgetful: bool,
    pub(super) reports: Vec<ReportEvent>,
    pub(super) causes: Vec<StartCause>,
    pub(super) actions: Vec<String>,
    pub(super) booted: bool,
    pub(super) end: Option<(ExitReason, Option<StartError>)>,
    pub(super) calls: CallId,
    /// How many things the core has handed out to be dropped elsewhere.
    pub(super) discarded: usize,
    buffer: Actions,
}

impl Rig {
    pub(super) fn new(flags: SupFlags, simple: bool, specs: Vec<ChildSpec>) -> Self {
        assert!(check_childspecs(&specs, flags.auto_shutdown).is_ok());
        Self {
            core: Core::new(flags, simple, specs, 7),
            now: Time::ZERO,
            events: VecDeque::new(),
            running: HashMap::new(),
            failures: HashMap::new(),
            held: Vec::new(),
            trace: Vec::new(),
            replies: HashMap::new(),
            forgetful: false,
            reports: Vec::new(),
            causes: Vec::new(),
            actions: Vec::new(),
            booted: false,
            end: None,
            calls: 0,
            discarded: 0,
            buffer: Actions::new(),
        }
    }

    pub(super) fn booted(flags: SupFlags, ids: &[&str]) -> Self {
        let specs = ids.iter().map(|id| spec(id, Restart::Permanent)).collect();
        let mut rig = Self::new(flags, false, specs);
        rig.event(Event::Boot);
        rig
    }

    pub(super) fn id(&self, slot: Slot) -> String {
        self.core.children.get(slot).map(|child| child.spec.id.to_string()).unwrap_or_default()
    }

    pub(super) fn slot(&self, id: &str) -> Option<Slot> {
        self.core.children.find(&id.into())
    }

    pub(super) fn phase(&self, id: &str) -> Option<Phase> {
        self.slot(id).and_then(|slot| self.core.children.get(slot)).map(|child| child.phase.clone())
    }

    /// Lets the core take an event in, and what follows from it.
    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            self.step(event);
        }
    }

    pub(super) fn step(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.buffer);
        self.core.step(self.now, event, &mut actions);
        // What is discarded is dropped elsewhere, after all that the supervisor itself drops.
        let mut discarded = Vec::new();
        for action in actions.drain(..) {
            if let Action::Discard(value) = action {
                self.discarded += 1;
                discarded.push(value);
                continue;
            }
            self.carry_out(action);
        }
        self.buffer = actions;
        super::drops::elsewhere(|| drop(discarded));
        self.check();
    }

    fn carry_out(&mut self, action: Action) {
        assert!(
            self.end.is_none() || matches!(action, Action::Reply { .. } | Action::Discard(_)),
            "nothing happens after the end"
        );
        match action {
            Action::Start { slot, token, id, cause, .. } => {
                assert!(!self.running.contains_key(&slot), "two incarnations of {id}");
                self.causes.push(cause);
                if self.forgetful {
                    super::drops::elsewhere(|| self.causes.clear());
                }
                if self.held.iter().any(|held| id == held.as_str()) {
                    return self.actions.push(format!("start {id}"));
                }
                let failures = self.failures.entry(id.to_string()).or_default();
                let outcome = if *failures > 0 {
                    *failures -= 1;
                    Outcome::Failed(StartError::Aborted)
                } else {
                    self.trace.push(format!("+{id}"));
                    self.running.insert(slot, token);
                    Outcome::Running
                };
                self.events.push_back(Event::Started { slot, token, outcome });
            }
            Action::Stop { slot } => {
                let id = self.id(slot);
                if self.held.contains(&id) {
                    return self.actions.push(format!("stop {id}"));
                }
                self.trace.push(format!("-{id}"));
                if let Some(token) = self.running.remove(&slot) {
                    self.events.push_back(Event::Exited { slot, token, reason: ExitReason::Shutdown(None) });
                }
            }
            Action::Kill { slot } => {
                let id = self.id(slot);
                if self.held.contains(&id) {
                    return self.actions.push(format!("kill {id}"));
                }
                if let Some(token) = self.running.remove(&slot) {
                    self.events.push_back(Event::Exited { slot, token, reason: ExitReason::Killed });
                }
            }
            Action::AbortStart { slot } => self.actions.push(format!("abort {}", self.id(slot))),
            Action::Forget { slot } => assert!(!self.running.contains_key(&slot)),
            Action::TryAgain { slot, token } => self.events.push_back(Event::TryAgain { slot, token }),
            Action::Reply { call, reply } => {
                assert!(self.replies.insert(call, reply).is_none(), "one reply for one call");
            }
            Action::Discard(_) => {}
            Action::Report { event, .. } => {
                self.reports.push(event);
                if self.forgetful {
                    self.reports.clear();
                }
            }
            Action::Booted => self.booted = true,
            Action::End { reason, boot_error } => self.end = Some((reason, boot_error)),
        }
    }

    /// What must hold after every step.
    fn check(&self) {
        let counts = self.core.children.counts();
        let all: Vec<_> = self.core.children.iter().collect();
        let is = |wanted: fn(&Phase) -> bool| all.iter().filter(|(_, child)| wanted(&child.phase)).count();
        assert_eq!(counts.specs, all.len());
        assert_eq!(counts.workers + counts.supervisors, all.len());
        assert_eq!(counts.live, is(Phase::is_live));
        let significant = all.iter().filter(|(_, child)| child.spec.significant);
        assert_eq!(
            counts.significant,
            significant.filter(|(_, child)| !matches!(child.phase, Phase::Undefined)).count()
        );
        for (slot, child) in &all {
            assert_eq!(self.core.children.find(&child.spec.id), Some(*slot));
            let may_wait = matches!(
                child.phase,
                Phase::Starting | Phase::Stopping(_) | Phase::Restarting(Some(_)) | Phase::Parked
            );
            assert!(child.timer.is_none() || may_wait, "{:?} has a timer", child.phase);
        }
    }

    pub(super) fn call(&mut self, op: Op) -> Option<Reply> {
        let call = self.ask(op);
        self.replies.get(&call).cloned()
    }

    /// Makes a call that may have to wait.
    pub(super) fn ask(&mut self, op: Op) -> CallId {
        self.calls += 1;
        self.event(Event::Call { call: self.calls, op });
        self.calls
    }

    pub(super) fn terminate(&mut self, id: &str) -> Option<Reply> {
        let target = match self.slot(id) {
            Some(slot) if self.core.simple => {
                Target::Slot(slot, self.core.children.get(slot).map_or(0, |child| child.token))
            }
            _ => Target::Id(id.into()),
        };
        self.call(Op::Terminate(target))
    }

    pub(super) fn exit(&mut self, id: &str, reason: ExitReason) {
        if let Some(slot) = self.slot(id)
            && let Some(token) = self.running.remove(&slot)
        {
            self.event(Event::Exited { slot, token, reason });
        }
    }

    /// Answers a held start.
    pub(super) fn started(&mut self, id: &str, outcome: Outcome) {
        let slot = self.slot(id).unwrap();
        let token = self.core.children.get(slot).unwrap().token;
        if matches!(outcome, Outcome::Running) {
            self.trace.push(format!("+{id}"));
            self.running.insert(slot, token);
        }
        self.event(Event::Started { slot, token, outcome });
    }

    pub(super) fn advance(&mut self, time: Time) {
        self.now += time;
        self.event(Event::Tick);
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.core.children.iter().map(|(_, child)| child.spec.id.to_string()).collect()
    }

    pub(super) fn shutdown(&mut self) {
        self.event(Event::Shutdown { reason: ExitReason::Shutdown(None) });
    }

    pub(super) fn take_trace(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }

    pub(super) fn take_actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.actions)
    }
}
