//! The children in start order, found by slot and by id in constant time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::timer::TimerId;
use super::{About, Action, CallId, Op, Time};
use crate::report::ReportEvent;
use crate::{ChildId, ChildSpec, ChildType, ExitReason, Restart, StartCause, StartFn};

/// The place of a child; it is used again after the child's deletion.
pub(crate) type Slot = u32;

/// Names one incarnation among all of a supervisor, unlike the generation, which counts those of one child.
pub(crate) type Token = u64;

/// How many entries of a child's history are kept.
pub(crate) const HISTORY: usize = 16;

/// Where a child is in its life.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It does not run and nobody is going to start it.
    Undefined,
    /// Its start function has been called.
    Starting,
    /// It runs.
    Running,
    /// It has ended by itself while the supervisor was busy with others.
    Exited(ExitReason),
    /// It has been told to end.
    Stopping(Stage),
    /// It is going to be started again: at that time, or as soon as the supervisor gets to it.
    Restarting(Option<Time>),
    /// It failed too often and stays down.
    Parked,
    /// It was killed and did not end; `resume` says that its strategy wants it back.
    Unkillable { resume: bool },
}

/// How a child was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its start is being given up.
    Aborting,
    /// It was asked.
    Asked,
    /// It was killed.
    Killed,
}

/// The failure that a restart repairs, kept through all its retries.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) id: ChildId,
    pub(crate) reason: ExitReason,
}

/// One end of a child in its history.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) at: Time,
    pub(crate) generation: u64,
    pub(crate) reason: ExitReason,
}

#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) phase: Phase,
    pub(crate) token: Token,
    pub(crate) generation: u64,
    /// How many restarts there were without a healthy time between.
    pub(crate) attempt: u32,
    /// How many times it has been started again because of a failure.
    pub(crate) restarts: u64,
    pub(crate) running_since: Time,
    pub(crate) history: VecDeque<Ended>,
    pub(crate) origin: Option<Origin>,
    pub(crate) requested: bool,
    /// Its start took too long and is being given up.
    pub(crate) timed_out: bool,
    pub(crate) timer: Option<TimerId>,
    pub(crate) calls: Option<Box<Calls>>,
    pub(super) prev: Option<Slot>,
    pub(super) next: Option<Slot>,
}

/// Who waits for a child; most children have nobody.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Waits for the start; `true` if it is a `start_child`, whose failure forgets the child.
    pub(crate) start: Option<(CallId, bool)>,
    /// Wait for the stop.
    pub(crate) stop: Vec<CallId>,
    /// Come after what is going on.
    pub(crate) queue: VecDeque<(CallId, Op)>,
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        Self {
            spec,
            phase: Phase::Undefined,
            token: 0,
            generation: 0,
            attempt: 0,
            restarts: 0,
            running_since: Time::ZERO,
            history: VecDeque::new(),
            origin: None,
            requested: false,
            timed_out: false,
            timer: None,
            calls: None,
            prev: None,
            next: None,
        }
    }

    pub(crate) fn cause(&self) -> StartCause {
        match &self.origin {
            Some(origin) if origin.id == self.spec.id => {
                StartCause::OwnFailure { reason: origin.reason.clone() }
            }
            Some(origin) => {
                StartCause::SiblingFailure { id: origin.id.clone(), reason: origin.reason.clone() }
            }
            None if self.requested => StartCause::Requested,
            None => StartCause::Initial,
        }
    }

    pub(crate) fn report(&self, slot: Slot, event: ReportEvent) -> Action {
        Action::Report { about: Some(self.about(slot)), event }
    }

    pub(crate) fn about(&self, slot: Slot) -> About {
        let (id, child_type, restart) = (self.spec.id.clone(), self.spec.child_type, self.spec.restart);
        About { slot, id, generation: self.generation, child_type, restart }
    }

    /// Writes an end down and returns the one that is forgotten for it.
    pub(crate) fn remember(&mut self, at: Time, reason: ExitReason) -> Option<Ended> {
        let forgotten = if self.history.len() == HISTORY { self.history.pop_front() } else { None };
        self.history.push_back(Ended { at, generation: self.generation, reason });
        forgotten
    }

    /// Tells whether the last entry of the record holds the same error.
    pub(super) fn last_end_is(&self, reason: &ExitReason) -> bool {
        match (self.history.back().map(|ended| &ended.reason), reason) {
            (Some(ExitReason::Failed(last)), ExitReason::Failed(error)) => Arc::ptr_eq(last, error),
            _ => false,
        }
    }

    pub(crate) fn calls(&mut self) -> &mut Calls {
        self.calls.get_or_insert_default()
    }

    pub(crate) fn start_fn(&self) -> StartFn {
        self.spec.start.clone()
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.spec.restart == Restart::Temporary
    }
}

impl Phase {
    /// Tells whether there is an actor, or may be one.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping(_))
    }

    /// Tells whether OTP would show a pid.
    fn is_active(&self) -> bool {
        matches!(self, Self::Running | Self::Stopping(Stage::Asked | Stage::Killed) | Self::Unkillable { .. })
    }

    fn is_present(&self) -> bool {
        !matches!(self, Self::Undefined)
    }
}

/// How many children there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) specs: usize,
    pub(crate) active: usize,
    pub(crate) supervisors: usize,
    pub(crate) workers: usize,
    pub(crate) live: usize,
    pub(crate) significant: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Children {
    slots: Vec<Option<Box<Child>>>,
    free: Vec<Slot>,
    ids: HashMap<ChildId, Slot>,
    head: Option<Slot>,
    tail: Option<Slot>,
    counts: Counts,
}

impl Children {
    pub(crate) fn get(&self, slot: Slot) -> Option<&Child> {
        self.slots.get(slot as usize).and_then(Option::as_deref)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Child> {
        self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut)
    }

    pub(crate) fn find(&self, id: &ChildId) -> Option<Slot> {
        self.ids.get(id).copied()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn head(&self) -> Option<Slot> {
        self.head
    }

    pub(crate) fn tail(&self) -> Option<Slot> {
        self.tail
    }

    pub(crate) fn next(&self, slot: Slot) -> Option<Slot> {
        self.get(slot).and_then(|child| child.next)
    }

    pub(crate) fn prev(&self, slot: Slot) -> Option<Slot> {
        self.get(slot).and_then(|child| child.prev)
    }

    /// Returns the children in start order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Child)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = at?;
            let child = self.get(slot)?;
            at = child.next;
            Some((slot, child))
        })
    }

    /// Adds a child after all others.
    pub(crate) fn push(&mut self, spec: ChildSpec) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).unwrap_or(Slot::MAX)
        });
        self.ids.insert(spec.id.clone(), slot);
        self.counts.specs += 1;
        match spec.child_type {
            ChildType::Worker => self.counts.workers += 1,
            ChildType::Supervisor => self.counts.supervisors += 1,
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Box::new(Child::new(spec)));
        }
        self.attach(slot);
        slot
    }

    /// Forgets a child.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Child>> {
        self.set_phase(slot, Phase::Undefined);
        self.detach(slot);
        let child = self.slots.get_mut(slot as usize)?.take()?;
        self.ids.remove(&child.spec.id);
        self.free.push(slot);
        self.counts.specs -= 1;
        match child.spec.child_type {
            ChildType::Worker => self.counts.workers -= 1,
            ChildType::Supervisor => self.counts.supervisors -= 1,
        }
        Some(child)
    }

    /// Gives a child a new specification of the same id and returns the old one.
    pub(crate) fn respecify(&mut self, slot: Slot, spec: ChildSpec) -> Option<ChildSpec> {
        let child = self.get_mut(slot)?;
        let phase = std::mem::replace(&mut child.phase, Phase::Undefined);
        let old = std::mem::replace(&mut child.spec, spec);
        let new_type = child.spec.child_type;
        let (was, is) = (present(&phase, old.significant), present(&phase, child.spec.significant));
        child.phase = phase;
        self.counts.significant = self.counts.significant + is - was;
        if old.child_type != new_type {
            match new_type {
                ChildType::Worker => {
                    (self.counts.workers, self.counts.supervisors) =
                        (self.counts.workers + 1, self.counts.supervisors - 1)
                }
                ChildType::Supervisor => {
                    (self.counts.workers, self.counts.supervisors) =
                        (self.counts.workers - 1, self.counts.supervisors + 1)
                }
            }
        }
        Some(old)
    }

    /// Makes a child the last in start order.
    pub(crate) fn move_to_end(&mut self, slot: Slot) {
        self.detach(slot);
        self.attach(slot);
    }

    /// Moves a child on in its life; every change of phase goes this way, so that the counts hold.
    pub(crate) fn set_phase(&mut self, slot: Slot, phase: Phase) {
        let Some(child) = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let old = std::mem::replace(&mut child.phase, phase);
        let (phase, significant) = (&child.phase, child.spec.significant);
        let counts = &mut self.counts;
        counts.active = counts.active + usize::from(phase.is_active()) - usize::from(old.is_active());
        counts.live = counts.live + usize::from(phase.is_live()) - usize::from(old.is_live());
        counts.significant = counts.significant + present(phase, significant) - present(&old, significant);
    }

    fn attach(&mut self, slot: Slot) {
        let last = self.tail.replace(slot);
        if let Some(child) = self.get_mut(slot) {
            (child.prev, child.next) = (last, None);
        }
        match last.and_then(|last| self.get_mut(last)) {
            Some(last) => last.next = Some(slot),
            None => self.head = Some(slot),
        }
    }

    fn detach(&mut self, slot: Slot) {
        let Some(child) = self.get_mut(slot) else { return };
        let (prev, next) = (child.prev.take(), child.next.take());
        match prev.and_then(|prev| self.get_mut(prev)) {
            Some(prev) => prev.next = next,
            None => self.head = next,
        }
        match next.and_then(|next| self.get_mut(next)) {
            Some(next) => next.prev = prev,
            None => self.tail = prev,
        }
    }
}

fn present(phase: &Phase, significant: bool) -> usize {
    usize::from(significant && phase.is_present())
}
