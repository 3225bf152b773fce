//! Ending children: asking, killing, giving up.

use super::{Action, Actions, Core, Phase, Plan, Reply, Slot, Stage, Time};
use crate::report::ReportEvent;
use crate::{ExitReason, Restart, Shutdown, StartError};

impl Core {
    /// Makes sure that a child is on its way down, whatever it does.
    pub(super) fn stop(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let held = self.plan.as_ref().is_some_and(|plan| plan.holds(slot));
        let wanted_back = self.plan.as_ref().is_some_and(Plan::is_restart);
        let Some(child) = self.children.get_mut(slot) else { return };
        match child.phase.clone() {
            // A call may wait for the turn of a child that a restart was going to start before the end came.
            Phase::Undefined => self.settle_down(now, slot, false, out),
            Phase::Starting => self.abort_start(now, slot, out),
            Phase::Running => self.stop_running(now, slot, out),
            Phase::Exited(reason) => self.stopped(now, slot, reason, out),
            Phase::Stopping(_) => child.timed_out = false,
            Phase::Restarting(_) | Phase::Parked if held => {}
            Phase::Restarting(_) | Phase::Parked if wanted_back => self.take_along(slot, out),
            Phase::Restarting(_) | Phase::Parked => self.settle_down(now, slot, self.simple, out),
            Phase::Unkillable { .. } => {
                self.children.set_phase(slot, Phase::Unkillable { resume: wanted_back });
            }
        }
    }

    /// Readies a child that waits or is parked for the restart of its group; whoever called for its start goes on waiting.
    fn take_along(&mut self, slot: Slot, out: &mut Actions) {
        self.cancel_timer(slot);
        let Some(child) = self.children.get_mut(slot) else { return };
        let origin = child.origin.take();
        if matches!(child.phase, Phase::Parked) {
            self.report(slot, ReportEvent::Unparked, out);
        }
        self.children.set_phase(slot, Phase::Undefined);
        self.discard_origin(origin);
    }

    pub(super) fn stop_running(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let Some(child) = self.children.get(slot) else { return };
        let shutdown = child.spec.shutdown;
        self.cancel_timer(slot);
        let (stage, action, deadline) = match shutdown {
            Shutdown::BrutalKill => (Stage::Killed, Action::Kill { slot }, Some(self.flags.kill_grace)),
            Shutdown::Timeout(timeout) => (Stage::Asked, Action::Stop { slot }, Some(timeout)),
            Shutdown::Infinity => (Stage::Asked, Action::Stop { slot }, None),
        };
        self.children.set_phase(slot, Phase::Stopping(stage));
        out.push(action);
        if let Some(deadline) = deadline {
            self.set_timer(slot, now.saturating_add(deadline));
        }
    }

    fn abort_start(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        out.push(Action::AbortStart { slot });
        self.children.set_phase(slot, Phase::Stopping(Stage::Aborting));
        self.set_timer(slot, now.saturating_add(self.flags.kill_grace));
    }

    pub(super) fn start_timed_out(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        self.abort_start(now, slot, out);
        if let Some(child) = self.children.get_mut(slot) {
            child.timed_out = true;
        }
    }

    pub(super) fn stop_timed_out(&mut self, now: Time, slot: Slot, stage: Stage, out: &mut Actions) {
        if stage == Stage::Asked {
            self.children.set_phase(slot, Phase::Stopping(Stage::Killed));
            out.push(Action::Kill { slot });
            return self.set_timer(slot, now.saturating_add(self.flags.kill_grace));
        }
        self.give_up(now, slot, out);
    }

    /// Leaves a child that does not end alone; it keeps its place, so that no second one is started beside it.
    fn give_up(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        self.report(slot, ReportEvent::Unkillable, out);
        let by_restart = self.plan.as_ref().is_some_and(Plan::is_restart);
        let starting = self.plan.as_ref().is_some_and(|plan| plan.is_starting(slot));
        let Some(child) = self.children.get_mut(slot) else { return };
        let timed_out = std::mem::take(&mut child.timed_out);
        let error = if timed_out { start_timeout(child.spec.start_timeout) } else { StartError::Aborted };
        let resume = by_restart || (timed_out && child.origin.is_some());
        let calls = child.calls.take();
        self.children.set_phase(slot, Phase::Unkillable { resume });
        if let Some(calls) = calls {
            if let Some((call, _)) = calls.start {
                out.push(Action::Reply { call, reply: Reply::StartFailed(error.clone()) });
            }
            for call in calls.stop {
                out.push(Action::Reply { call, reply: Reply::Unkillable });
            }
            for (call, op) in calls.queue {
                self.on_call(now, call, op, out);
            }
        }
        if timed_out {
            self.report(slot, ReportEvent::StartError { error: error.clone() }, out);
            if starting && !by_restart {
                self.fail_plan(now, slot, error, out);
            }
        }
    }

    /// Handles the end of a child that had been given up.
    pub(super) fn late_end(&mut self, now: Time, slot: Slot, reason: ExitReason, out: &mut Actions) {
        self.discard_error(&reason);
        let ending = self.is_ending();
        let simple = self.simple;
        let Some(child) = self.children.get_mut(slot) else { return };
        let forget = simple || child.is_temporary();
        let restarting = matches!(child.phase, Phase::Unkillable { resume: true }) && !ending && !forget;
        if restarting && child.origin.is_none() {
            child.origin = Some(super::child::Origin { id: child.spec.id.clone(), reason: reason.clone() });
        }
        self.report(slot, ReportEvent::ChildTerminated { reason, restarting }, out);
        if restarting {
            self.retry(now, slot, out);
        } else {
            self.settle_down(now, slot, forget, out);
        }
    }

    /// Handles the end of a child that was told to end, or that ended by itself while all were going to.
    pub(super) fn stopped(&mut self, now: Time, slot: Slot, reason: ExitReason, out: &mut Actions) {
        self.discard_error(&reason);
        let Some(child) = self.children.get(slot) else { return };
        if !is_in_order(&reason, child.spec.restart, child.spec.shutdown) {
            out.push(child.report(slot, ReportEvent::ShutdownError { reason: reason.clone() }));
        }
        out.push(child.report(slot, ReportEvent::ChildTerminated { reason, restarting: false }));
        self.down_as_told(now, slot, out);
    }

    /// Goes on when a child that was told to end is down, or its start was given up before there was one.
    pub(super) fn down_as_told(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let simple = self.simple;
        let Some(child) = self.children.get_mut(slot) else { return };
        if std::mem::take(&mut child.timed_out) {
            let error = start_timeout(child.spec.start_timeout);
            return self.start_failed(now, slot, error, out);
        }
        let forget = simple || child.is_temporary() || aborts_new(child);
        self.settle_down(now, slot, forget, out);
    }

    /// Notes that a child is down and stays so, and answers those who waited for that.
    pub(super) fn settle_down(&mut self, now: Time, slot: Slot, forget: bool, out: &mut Actions) {
        self.cancel_timer(slot);
        self.children.set_phase(slot, Phase::Undefined);
        let Some(child) = self.children.get_mut(slot) else { return };
        let origin = child.origin.take();
        child.requested = false;
        child.timed_out = false;
        let calls = child.calls.take();
        self.discard_origin(origin);
        if forget {
            self.forget(slot, out);
        }
        let Some(calls) = calls else { return };
        if let Some((call, _)) = calls.start {
            out.push(Action::Reply { call, reply: Reply::StartFailed(StartError::Aborted) });
        }
        for call in calls.stop {
            out.push(Action::Reply { call, reply: Reply::Done });
        }
        for (call, op) in calls.queue {
            self.on_call(now, call, op, out);
        }
    }

    /// Lets the calls go that waited for a child's start.
    pub(super) fn release_queue(&mut self, now: Time, slot: Slot, out: &mut Actions) {
        let Some(calls) = self.children.get_mut(slot).and_then(|child| child.calls.take()) else { return };
        for (call, op) in calls.queue {
            self.on_call(now, call, op, out);
        }
    }

    pub(super) fn forget(&mut self, slot: Slot, out: &mut Actions) {
        let (before, after) = (self.children.prev(slot), self.children.next(slot));
        if let Some(plan) = &mut self.plan {
            plan.skip(slot, before, after);
        }
        self.cancel_timer(slot);
        out.push(Action::Forget { slot });
        if let Some(child) = self.children.remove(slot) {
            self.discard_child(*child);
        }
    }
}

fn aborts_new(child: &super::Child) -> bool {
    child.calls.as_ref().is_some_and(|calls| matches!(calls.start, Some((_, true))))
}

fn start_timeout(timeout: Option<Time>) -> StartError {
    StartError::Timeout(timeout.unwrap_or_default())
}

/// Tells whether a child that was told to end ended as it should, by OTP's rules.
fn is_in_order(reason: &ExitReason, restart: Restart, shutdown: Shutdown) -> bool {
    let permanent = restart == Restart::Permanent;
    match reason {
        ExitReason::Killed => shutdown == Shutdown::BrutalKill,
        ExitReason::Shutdown(None) => !(permanent && shutdown == Shutdown::BrutalKill),
        ExitReason::Shutdown(Some(_)) | ExitReason::Normal => !permanent,
        ExitReason::Failed(_) | ExitReason::Cancelled | ExitReason::NoProc => false,
    }
}
