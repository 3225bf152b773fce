//! The supervisor's decisions as a pure function: `step(state, now, event)` answers with actions.
//!
//! No I/O, no clock, no chance from outside: the same events give the same actions.
//! The shell (`crate::shell`) carries the actions out and tells what came of them.

mod call;
mod child;
mod exit;
mod intensity;
mod plan;
mod stop;
mod timer;
mod waste;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub(crate) use child::{Child, Children, Phase, Slot, Stage, Token};
use intensity::RestartLog;
use plan::Plan;
use timer::{TimerId, Timers};
pub(crate) use waste::Waste;

use crate::report::ReportEvent;
use crate::{
    ChildId, ChildSpec, ChildType, ExitReason, Restart, SpecError, StartCause, StartError, StartFn, Strategy,
    SupFlags,
};

/// The time since the supervisor's own beginning.
pub(crate) type Time = Duration;

/// Names a call that waits for its reply.
pub(crate) type CallId = u64;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The supervisor starts its children.
    Boot,
    /// A start function has come to its end.
    Started { slot: Slot, token: Token, outcome: Outcome },
    /// A child has ended.
    Exited { slot: Slot, token: Token, reason: ExitReason },
    /// An [`Action::TryAgain`] has been through the mailbox.
    TryAgain { slot: Slot, token: Token },
    /// Time has passed.
    Tick,
    /// Somebody wants something.
    Call { call: CallId, op: Op },
    /// The supervisor is to end.
    Shutdown { reason: ExitReason },
}

/// What came of a start.
#[derive(Debug)]
pub(crate) enum Outcome {
    Running,
    Ignored,
    Failed(StartError),
}

/// What somebody wants.
#[derive(Debug)]
pub(crate) enum Op {
    Start(ChildSpec),
    Terminate(Target),
    Restart(ChildId),
    Delete(ChildId),
    Reconfigure(SupFlags, Option<Vec<ChildSpec>>),
}

/// The child that a call is about: static ones have names, dynamic ones are found by the shell.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Id(ChildId),
    Slot(Slot, Token),
}

/// The answer to a call; the shell adds the actors.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Done,
    /// The child of that slot has been started.
    Started(Slot),
    Ignored,
    AlreadyStarted(Slot),
    AlreadyPresent,
    Running,
    Restarting,
    NotFound,
    StartFailed(StartError),
    Spec(SpecError),
    SimpleOneForOne,
    Unkillable,
    NoProc,
}

/// Something that the shell has to do.
pub(crate) enum Action {
    /// Call the start function in a task of its own.
    Start {
        slot: Slot,
        token: Token,
        generation: u64,
        id: ChildId,
        cause: StartCause,
        start: StartFn,
    },
    /// Give a start up; [`Event::Started`] follows all the same.
    AbortStart {
        slot: Slot,
    },
    /// Ask a child to stop.
    Stop {
        slot: Slot,
    },
    /// Kill a child.
    Kill {
        slot: Slot,
    },
    /// Forget what is known of a slot's child.
    Forget {
        slot: Slot,
    },
    /// Come back with [`Event::TryAgain`] after what is in the mailbox.
    TryAgain {
        slot: Slot,
        token: Token,
    },
    Reply {
        call: CallId,
        reply: Reply,
    },
    Report {
        about: Option<About>,
        event: ReportEvent,
    },
    /// Drop something of the user's, whose drop may panic or take long, away from the supervisor.
    Discard(Waste),
    /// All children run.
    Booted,
    /// All children are down: end the supervisor.
    End {
        reason: ExitReason,
        boot_error: Option<StartError>,
    },
}

/// The child that a report is about, as it was when it happened.
pub(crate) struct About {
    pub(crate) slot: Slot,
    pub(crate) id: ChildId,
    pub(crate) generation: u64,
    pub(crate) child_type: ChildType,
    pub(crate) restart: Restart,
}

/// The state of a supervisor.
pub(crate) struct Core {
    pub(crate) flags: SupFlags,
    pub(crate) simple: bool,
    pub(crate) children: Children,
    log: RestartLog,
    timers: Timers,
    plan: Option<Plan>,
    /// What happened to children while the plan was busy with others.
    deferred: VecDeque<Deferred>,
    /// Calls that wait for the plan's end.
    calls: VecDeque<(CallId, Op)>,
    tokens: Token,
    chance: u64,
    ended: bool,
    /// What this step gives up of the user's.
    waste: Vec<Waste>,
}

#[derive(Debug)]
enum Deferred {
    Exited(Slot, Token),
    TryAgain(Slot, Token),
    Due(Slot, Token),
}

pub(crate) type Actions = Vec<Action>;

impl Core {
    /// Makes a supervisor that has not started its children; `seed` decides the jitter of its backoffs.
    pub(crate) fn new(flags: SupFlags, simple: bool, specs: Vec<ChildSpec>, seed: u64) -> Self {
        let mut children = Children::default();
        for spec in specs {
            children.push(spec);
        }
        Self {
            flags,
            simple,
            children,
            log: RestartLog::default(),
            timers: Timers::default(),
            plan: None,
            deferred: VecDeque::new(),
            calls: VecDeque::new(),
            tokens: 0,
            chance: seed | 1,
            ended: false,
            waste: Vec::new(),
        }
    }

    /// Takes an event in and appends what has to be done.
    pub(crate) fn step(&mut self, now: Time, event: Event, out: &mut Actions) {
        match event {
            Event::Call { call, op } if self.ended => self.refuse(call, op, out),
            // Only children that would not die have anything left to tell.
            event if self.ended => self.discard(event),
            Event::Boot => self.plan = Some(Plan::boot(self.children.head())),
            Event::Started { slot, token, outcome } => {
                if let Outcome::Failed(error) = &outcome {
                    self.discard(error.clone());
                }
                self.on_started(now, slot, token, outcome, out);
            }
            Event::Exited { slot, token, reason } => self.on_exited(now, slot, token, reason, out),
            Event::TryAgain { slot, token } => self.on_try_again(now, slot, token, out),
            Event::Tick => self.on_tick(now, out),
            Event::Call { call, op } => self.on_call(now, call, op, out),
            Event::Shutdown { reason } => {
                self.discard_error(&reason);
                self.begin_end(now, reason, None, out);
            }
        }
        self.pump(now, out);
        // After the reports and replies that hold it too, so that none of them is the last to drop it.
        out.extend(self.waste.drain(..).map(Action::Discard));
    }

    /// Answers a call that comes too late.
    fn refuse(&mut self, call: CallId, op: Op, out: &mut Actions) {
        out.push(Action::Reply { call, reply: Reply::NoProc });
        self.discard_op(op);
    }

    /// Returns when the next [`Event::Tick`] is needed.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.timers.next_deadline()
    }

    #[cfg(test)]
    fn stored_timers(&self) -> usize {
        self.timers.stored()
    }

    /// Returns how many restarts count at `now`.
    pub(crate) fn restarts_used(&self, now: Time) -> usize {
        self.log.used(now, self.flags.period)
    }

    /// Tells whether the supervisor is on its way to the end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ended || self.plan.as_ref().is_some_and(Plan::is_end)
    }

    /// Tells whether children are restarted together, one thing at a time.
    fn is_group(&self) -> bool {
        !self.simple && self.flags.strategy != Strategy::OneForOne
    }

    /// Goes on with the plan and then with what waited for it, until something has to come from outside.
    fn pump(&mut self, now: Time, out: &mut Actions) {
        while !self.ended {
            if self.plan.is_some() {
                if !self.advance(now, out) {
                    return;
                }
            } else if let Some(deferred) = self.deferred.pop_front() {
                self.on_deferred(now, deferred, out);
            } else if let Some((call, op)) = self.calls.pop_front() {
                self.on_call(now, call, op, out);
            } else {
                return;
            }
        }
        for (call, op) in std::mem::take(&mut self.calls) {
            self.refuse(call, op, out);
        }
        self.deferred.clear();
    }

    fn on_tick(&mut self, now: Time, out: &mut Actions) {
        while !self.ended
            && let Some((timer, slot)) = self.timers.pop_due(now)
        {
            let Some(child) = self.children.get_mut(slot).filter(|child| child.timer == Some(timer)) else {
                continue;
            };
            child.timer = None;
            let token = child.token;
            self.timers.fired();
            self.on_due(now, slot, token, out);
            self.pump(now, out);
        }
    }

    fn set_timer(&mut self, slot: Slot, at: Time) {
        self.cancel_timer(slot);
        let timer = self.timers.set(at, slot);
        if let Some(child) = self.children.get_mut(slot) {
            child.timer = Some(timer);
        }
    }

    fn cancel_timer(&mut self, slot: Slot) {
        if self.children.get_mut(slot).and_then(|child| child.timer.take()).is_some() {
            let children = &self.children;
            let is_live = |timer: TimerId, slot: Slot| {
                children.get(slot).is_some_and(|child| child.timer == Some(timer))
            };
            self.timers.cancel(is_live);
        }
    }

    /// Returns the child of a slot if it is still that incarnation.
    fn incarnation(&mut self, slot: Slot, token: Token) -> Option<&mut Child> {
        self.children.get_mut(slot).filter(|child| child.token == token)
    }

    fn report(&self, slot: Slot, event: ReportEvent, out: &mut Actions) {
        if let Some(child) = self.children.get(slot) {
            out.push(child.report(slot, event));
        }
    }

    /// Returns a number in 0..1 from the seed.
    fn chance(&mut self) -> f64 {
        // xorshift64: enough to spread restarts.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let high = u32::try_from(self.chance >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}
