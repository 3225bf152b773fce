//! What follows a child's own end and the end of its start.

use super::child::Origin;
use super::{Action, Actions, Core, Deferred, Phase, Reply, Slot, Stage, Time, Token};
use crate::report::ReportEvent;
use crate::{AutoShutdown, ExitReason, OnExhausted, Restart, StartError};

impl Core {
    pub(super) fn on_exited(
        &mut self,
        now: Time,
        slot: Slot,
        token: Token,
        reason: ExitReason,
        out: &mut Actions,
    ) {
        let (ending, busy) = (self.is_ending(), self.plan.is_some());
        let Some(child) = self.incarnation(slot, token) else { return };
        match child.phase {
            Phase::Stopping(stage) => self.stopped(now, slot, known(reason, stage), out),
            Phase::Running if ending => self.stopped(now, slot, reason, out),
            Phase::Running if busy => {
                self.children.set_phase(slot, Phase::Exited(reason));
                self.deferred.push_back(Deferred::Exited(slot, token));
            }
            Phase::Running => self.child_down(now, slot, reason, out),
            Phase::Unkillable { .. } => self.late_end(now, slot, reason, out),
            _ => self.discard_error(&reason),
        }
    }

    /// Handles the end of a child that nobody asked for.
    pub(super) fn child_down(&mut self, now: Time, slot: Slot, reason: ExitReason, out: &mut Actions) {
        let simple = self.simple;
        self.remember(now, slot, reason.clone());
        let Some(child) = self.children.get_mut(slot) else { return };
        let restarting = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => reason.is_abnormal(),
            Restart::Temporary => false,
        };
        out.push(child.report(slot, ReportEvent::ChildTerminated { reason: reason.clone(), restarting }));
        if restarting {
            let healthy = child.spec.backoff.as_ref().map_or(Time::ZERO, |backoff| backoff.reset_after);
            if now.saturating_sub(child.running_since) >= healthy {
                child.attempt = 0;
            }
            let old = child.origin.replace(Origin { id: child.spec.id.clone(), reason });
            self.discard_origin(old);
            self.begin_restart(now, slot, out);
        } else {
            let significant = child.spec.significant;
            let forget = simple || child.is_temporary();
            self.settle_down(now, slot, forget, out);
            if significant && self.is_auto_shutdown() {
                out.push(Action::Report { about: None, event: ReportEvent::AutoShutdown });
                self.begin_end(now, ExitReason::Shutdown(None), None, out);
            }
        }
    }

    fn is_auto_shutdown(&self) -> bool {
        match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => self.children.counts().significant == 0,
        }
    }

    /// Restarts a child that is down, unless there were too many restarts.
    fn begin_restart(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        if !self.log.admit(now, self.flags.intensity, self.flags.period) {
            return self.exhausted(now, slot, out);
        }
        let chance = self.chance();
        let Some(child) = self.children.get_mut(slot) else { return };
        let attempt = child.attempt;
        child.attempt = attempt.saturating_add(1);
        let delay = child.spec.backoff.as_ref().map_or(Time::ZERO, |backoff| backoff.delay(attempt, chance));
        if delay.is_zero() {
            return self.launch(now, slot, out);
        }
        self.report(slot, ReportEvent::RestartScheduled { delay, attempt }, out);
        let until = now.saturating_add(delay);
        self.children.set_phase(slot, Phase::Restarting(Some(until)));
        self.set_timer(slot, until);
        self.hold_group(slot);
    }

    fn exhausted(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let Some(child) = self.children.get(slot) else { return };
        let reason = child.origin.as_ref().map_or(ExitReason::NoProc, |origin| origin.reason.clone());
        let (intensity, period) = (self.flags.intensity, self.flags.period);
        self.report(slot, ReportEvent::MaxIntensity { intensity, period, reason }, out);
        match self.flags.on_exhausted {
            OnExhausted::Escalate => {
                self.settle_down(now, slot, self.simple, out);
                self.begin_end(now, ExitReason::Shutdown(None), None, out);
            }
            OnExhausted::Park { retry_after } => {
                // The culprit is out of the way, so the others begin with a clean slate.
                self.log.clear();
                self.children.set_phase(slot, Phase::Parked);
                self.report(slot, ReportEvent::Parked { retry_after }, out);
                if let Some(wait) = retry_after {
                    self.set_timer(slot, now.saturating_add(wait));
                }
                self.hold_group(slot);
                self.release_queue(now, slot, out);
            }
        }
    }

    pub(super) fn on_try_again(&mut self, now: Time, slot: Slot, token: Token, out: &mut Actions) {
        let Some(child) = self.incarnation(slot, token) else { return };
        if !matches!(child.phase, Phase::Restarting(None)) || self.is_ending() {
            return;
        }
        if self.plan.is_some() {
            self.deferred.push_back(Deferred::TryAgain(slot, token));
        } else {
            self.begin_restart(now, slot, out);
        }
    }

    /// Handles a child's deadline.
    pub(super) fn on_due(&mut self, now: Time, slot: Slot, token: Token, out: &mut Actions) {
        let Some(child) = self.children.get(slot) else { return };
        match child.phase {
            Phase::Starting => self.start_timed_out(now, slot, out),
            Phase::Stopping(stage) => self.stop_timed_out(now, slot, stage, out),
            Phase::Restarting(_) | Phase::Parked if self.plan.is_some() => {
                self.deferred.push_back(Deferred::Due(slot, token));
            }
            Phase::Restarting(_) => self.launch(now, slot, out),
            Phase::Parked => {
                self.report(slot, ReportEvent::Unparked, out);
                self.launch(now, slot, out);
            }
            _ => {}
        }
    }

    pub(super) fn start_succeeded(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        self.cancel_timer(slot);
        self.children.set_phase(slot, Phase::Running);
        let Some(child) = self.children.get_mut(slot) else { return };
        let cause = child.cause();
        let mut origin = child.origin.take();
        if origin.is_some() {
            child.restarts += 1;
        }
        // Most restarts repair what the record still has; a task for each of them would be dear.
        origin.take_if(|origin| child.last_end_is(&origin.reason));
        child.requested = false;
        child.running_since = now;
        let mut spent = None;
        if child.is_temporary() {
            // It will never be started again, so what it was started with may go.
            spent = Some(std::mem::replace(&mut child.spec.start, crate::spec::spent_start_fn()));
        }
        let call = child.calls.as_mut().and_then(|calls| calls.start.take());
        if let Some(spent) = spent {
            self.discard(spent);
        }
        self.report(slot, ReportEvent::ChildStarted { cause }, out);
        self.discard_origin(origin);
        if let Some((call, _)) = call {
            out.push(Action::Reply { call, reply: Reply::Started(slot) });
        }
        self.release_queue(now, slot, out);
    }

    pub(super) fn start_ignored(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let simple = self.simple;
        let Some(child) = self.children.get_mut(slot) else { return };
        if let Some((call, _)) = child.calls.as_mut().and_then(|calls| calls.start.take()) {
            out.push(Action::Reply { call, reply: Reply::Ignored });
        }
        let forget = simple || child.is_temporary();
        self.settle_down(now, slot, forget, out);
    }

    pub(super) fn start_failed(&mut self, now: Time, slot: Slot, error: StartError, out: &mut Actions) {
        self.cancel_timer(slot);
        self.report(slot, ReportEvent::StartError { error: error.clone() }, out);
        let by_plan = self.plan.as_ref().is_some_and(|plan| plan.is_starting(slot));
        let Some(child) = self.children.get_mut(slot) else { return };
        let call = child.calls.as_mut().and_then(|calls| calls.start.take());
        if let Some((call, _)) = call {
            out.push(Action::Reply { call, reply: Reply::StartFailed(error.clone()) });
        }
        let is_restart = child.origin.is_some();
        if is_restart {
            self.remember(now, slot, ExitReason::failed(error.clone()));
        }
        if by_plan {
            self.children.set_phase(slot, Phase::Undefined);
            self.fail_plan(now, slot, error, out);
        } else if is_restart && !self.is_ending() {
            self.retry(now, slot, out);
        } else {
            let forget = call.is_some_and(|(_, is_new)| is_new);
            self.settle_down(now, slot, forget, out);
        }
    }
}

/// Fills in why a child ended that was found gone, from what had been done to it.
fn known(reason: ExitReason, stage: Stage) -> ExitReason {
    match (reason, stage) {
        (ExitReason::NoProc, Stage::Asked) => ExitReason::Shutdown(None),
        (ExitReason::NoProc, Stage::Killed) => ExitReason::Killed,
        (reason, _) => reason,
    }
}
