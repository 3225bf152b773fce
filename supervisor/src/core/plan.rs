//! What is done to several children one after the other: boot, group restarts, the end.

use super::child::Origin;
use super::{Action, Actions, Child, Core, Deferred, Outcome, Phase, Reply, Slot, Time};
use crate::report::ReportEvent;
use crate::{ExitReason, StartError, Strategy};

/// A sequence over the children; while there is one, exits and calls wait.
#[derive(Debug)]
pub(super) struct Plan {
    work: Work,
    then: Then,
}

#[derive(Debug)]
enum Work {
    /// Stops children in reverse order, from `at` down to `until` (or the first).
    Stopping { at: Option<Slot>, until: Option<Slot>, begun: bool },
    /// Starts children in order from `at` on.
    Starting { at: Option<Slot>, begun: bool },
    /// Waits until none is left, having told all.
    Draining,
    /// Waits for one child that a call starts or stops.
    Single(Slot),
}

#[derive(Debug)]
enum Then {
    Boot,
    Single,
    /// Start from this child (or the first) on, to repair this failure.
    Restart {
        from: Option<Slot>,
        origin: Option<Origin>,
        /// The child whose restart it is.
        culprit: Slot,
    },
    /// Leave this child as it is: it waits for its time or is parked.
    Hold(Slot),
    End {
        reason: ExitReason,
        boot_error: Option<StartError>,
    },
}

impl Plan {
    pub(super) fn boot(head: Option<Slot>) -> Self {
        Self { work: Work::Starting { at: head, begun: false }, then: Then::Boot }
    }

    pub(super) fn single(slot: Slot) -> Self {
        Self { work: Work::Single(slot), then: Then::Single }
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self.then, Then::End { .. })
    }

    pub(super) fn is_restart(&self) -> bool {
        matches!(self.then, Then::Restart { .. })
    }

    pub(super) fn holds(&self, slot: Slot) -> bool {
        matches!(self.then, Then::Hold(held) if held == slot)
    }

    pub(super) fn is_starting(&self, slot: Slot) -> bool {
        matches!(self.work, Work::Starting { at: Some(at), begun: true } if at == slot)
    }

    /// Notes that a child is about to be forgotten, so that the cursor does not stand on it.
    pub(super) fn skip(&mut self, slot: Slot, before: Option<Slot>, after: Option<Slot>) {
        match &mut self.work {
            Work::Stopping { at, until, begun } if *at == Some(slot) => {
                *at = if *until == Some(slot) { None } else { before };
                *begun = false;
            }
            Work::Starting { at, begun } if *at == Some(slot) => {
                *at = after;
                *begun = false;
            }
            _ => {}
        }
    }
}

impl Core {
    /// Plans the restart of a child that is down, together with those that its strategy names.
    pub(super) fn launch(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        if !self.is_group() {
            return self.start(now, slot, out);
        }
        let origin = self.children.get(slot).and_then(|child| child.origin.clone());
        self.cancel_timer(slot);
        self.children.set_phase(slot, Phase::Restarting(None));
        let from = self.first_of_group(slot);
        self.plan = Some(self.stop_down_to(from, Then::Restart { from, origin, culprit: slot }));
    }

    /// Stops the group of a child that waits for its restart or is parked.
    pub(super) fn hold_group(&mut self, slot: Slot) {
        if self.is_group() {
            self.plan = Some(self.stop_down_to(self.first_of_group(slot), Then::Hold(slot)));
        }
    }

    fn first_of_group(&self, slot: Slot) -> Option<Slot> {
        if self.flags.strategy == Strategy::RestForOne { Some(slot) } else { None }
    }

    fn stop_down_to(&self, until: Option<Slot>, then: Then) -> Plan {
        Plan { work: Work::Stopping { at: self.children.tail(), until, begun: false }, then }
    }

    /// Begins the end, whatever else was going on; the first reason holds.
    pub(super) fn begin_end(
        &mut self,
        now: Time,
        reason: ExitReason,
        boot_error: Option<StartError>,
        out: &mut Actions,
    ) {
        if self.is_ending() {
            return;
        }
        let then = Then::End { reason, boot_error };
        self.deferred.clear();
        if let Some(plan) = self.plan.take() {
            self.discard_plan(plan);
        }
        if self.simple {
            self.plan = Some(Plan { work: Work::Draining, then });
            let slots: Vec<Slot> = self.children.iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                self.stop(now, slot, out);
            }
        } else {
            self.plan = Some(self.stop_down_to(None, then));
        }
        for (call, op) in std::mem::take(&mut self.calls) {
            self.refuse(call, op, out);
        }
    }

    /// Takes the plan as far as it goes; `false` when it waits for something from outside.
    pub(super) fn advance(&mut self, now: Time, out: &mut Actions) -> bool {
        loop {
            let Some(plan) = &mut self.plan else { return true };
            let is_end = plan.is_end();
            match &mut plan.work {
                Work::Stopping { at: Some(slot), begun, .. } => {
                    let slot = *slot;
                    if !std::mem::replace(begun, true) {
                        self.stop(now, slot, out);
                    } else if self.children.get(slot).is_some_and(|child| child.phase.is_live()) {
                        return false;
                    } else {
                        let (before, after) = (self.children.prev(slot), self.children.next(slot));
                        plan.skip(slot, before, after);
                    }
                }
                Work::Starting { at: Some(slot), begun } => {
                    let slot = *slot;
                    let phase = self.children.get(slot).map(|child| &child.phase);
                    match phase {
                        Some(Phase::Undefined) if !*begun => {
                            *begun = true;
                            self.start_for_plan(now, slot, out);
                        }
                        Some(Phase::Starting | Phase::Stopping(_)) => return false,
                        _ => {
                            let (before, after) = (self.children.prev(slot), self.children.next(slot));
                            plan.skip(slot, before, after);
                        }
                    }
                }
                Work::Draining if self.children.counts().live > 0 => return false,
                Work::Single(slot) if is_settling(self.children.get(*slot)) => return false,
                // One that had been given up came back meanwhile.
                Work::Stopping { .. } if is_end && self.children.counts().live > 0 => {
                    plan.work = Work::Draining;
                }
                _ => return self.finish_work(out),
            }
        }
    }

    pub(super) fn discard_plan(&mut self, plan: Plan) {
        match plan.then {
            Then::Restart { origin, .. } => self.discard_origin(origin),
            Then::End { reason, .. } => self.discard_error(&reason),
            Then::Boot | Then::Single | Then::Hold(_) => {}
        }
    }

    fn start_for_plan(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        if let Some(Plan { then: Then::Restart { origin, .. }, .. }) = &self.plan
            && let Some(child) = self.children.get_mut(slot)
        {
            let old = std::mem::replace(&mut child.origin, origin.clone());
            self.discard_origin(old);
        }
        self.start(now, slot, out);
    }

    fn finish_work(&mut self, out: &mut Actions) -> bool {
        let Some(mut plan) = self.plan.take() else { return true };
        match (&plan.work, plan.then) {
            (Work::Stopping { .. }, Then::Restart { from, origin, culprit }) => {
                let at = from.or(self.children.head());
                plan.work = Work::Starting { at, begun: false };
                self.plan = Some(Plan { work: plan.work, then: Then::Restart { from, origin, culprit } });
            }
            (_, Then::Boot) => {
                out.push(Action::Report {
                    about: None,
                    event: ReportEvent::SupervisorStarted { flags: self.flags.clone() },
                });
                out.push(Action::Booted);
            }
            (_, Then::End { reason, boot_error }) => {
                self.ended = true;
                out.push(Action::Report {
                    about: None,
                    event: ReportEvent::SupervisorEnded { reason: reason.clone() },
                });
                self.discard_error(&reason);
                out.push(Action::End { reason, boot_error });
            }
            (_, Then::Restart { origin, .. }) => self.discard_origin(origin),
            (_, Then::Single | Then::Hold(_)) => {}
        }
        true
    }

    /// Handles the failed start of a child that the plan was starting.
    pub(super) fn fail_plan(&mut self, now: Time, slot: Slot, error: StartError, out: &mut Actions) {
        let Some(plan) = self.plan.take() else { return };
        let Some(failed) = self.children.get(slot).map(|child| child.spec.id.clone()) else { return };
        if let Then::Boot = plan.then {
            let error = StartError::FailedToStartChild { id: failed, reason: Box::new(error) };
            self.begin_end(now, ExitReason::failed(error.clone()), Some(error), out);
            return;
        }
        if let Then::Restart { culprit, origin, .. } = plan.then {
            let calls = self.children.get_mut(culprit).and_then(|child| child.calls.as_mut());
            if let Some((call, _)) = calls.and_then(|calls| calls.start.take()) {
                // The one that was asked for has not had its turn.
                let error = StartError::FailedToStartChild { id: failed, reason: Box::new(error) };
                out.push(Action::Reply { call, reply: Reply::StartFailed(error) });
            }
            self.discard_origin(origin);
        }
        self.retry(now, slot, out);
    }

    /// Lets a child that could not be restarted be tried again after what is in the mailbox.
    pub(super) fn retry(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        self.children.set_phase(slot, Phase::Restarting(None));
        if let Some(child) = self.children.get(slot) {
            out.push(Action::TryAgain { slot, token: child.token });
        }
        self.release_queue(now, slot, out);
    }

    pub(super) fn on_deferred(&mut self, now: Time, deferred: Deferred, out: &mut Actions) {
        match deferred {
            Deferred::Exited(slot, token) => {
                if let Some(child) = self.incarnation(slot, token)
                    && let Phase::Exited(reason) = child.phase.clone()
                {
                    self.child_down(now, slot, reason, out);
                }
            }
            Deferred::TryAgain(slot, token) => self.on_try_again(now, slot, token, out),
            Deferred::Due(slot, token) => {
                if self.incarnation(slot, token).is_some() {
                    self.on_due(now, slot, token, out);
                }
            }
        }
    }

    /// Starts a child that is down.
    pub(super) fn start(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        self.tokens += 1;
        let token = self.tokens;
        self.cancel_timer(slot);
        self.children.set_phase(slot, Phase::Starting);
        let Some(child) = self.children.get_mut(slot) else { return };
        child.token = token;
        child.generation += 1;
        child.timed_out = false;
        let timeout = child.spec.start_timeout;
        out.push(Action::Start {
            slot,
            token,
            generation: child.generation,
            id: child.spec.id.clone(),
            cause: child.cause(),
            start: child.start_fn(),
        });
        if let Some(timeout) = timeout {
            self.set_timer(slot, now.saturating_add(timeout));
        }
    }

    pub(super) fn on_started(
        &mut self,
        now: Time,
        slot: Slot,
        token: super::Token,
        outcome: Outcome,
        out: &mut Actions,
    ) {
        let Some(child) = self.incarnation(slot, token) else { return };
        match (&child.phase, outcome) {
            (Phase::Starting, Outcome::Running) => self.start_succeeded(now, slot, out),
            (Phase::Starting, Outcome::Ignored) => self.start_ignored(now, slot, out),
            (Phase::Starting, Outcome::Failed(error)) => self.start_failed(now, slot, error, out),
            // It runs after all, so it has to be stopped like any other.
            (Phase::Stopping(_) | Phase::Unkillable { .. }, Outcome::Running) => {
                self.stop_running(now, slot, out);
            }
            (Phase::Stopping(_), _) => self.down_as_told(now, slot, out),
            (Phase::Unkillable { .. }, _) => self.late_end(now, slot, ExitReason::Killed, out),
            _ => {}
        }
    }
}

fn is_settling(child: Option<&Child>) -> bool {
    child.is_some_and(|child| matches!(child.phase, Phase::Starting | Phase::Stopping(_)))
}
