//! The calls of the API.

use std::collections::HashSet;

use super::child::Calls;
use super::{Action, Actions, CallId, Child, Core, Op, Phase, Plan, Reply, Slot, Target, Time};
use crate::check::{check_childspec, check_childspecs, check_flags};
use crate::report::ReportEvent;
use crate::{ChildId, ChildSpec, SpecError, SupFlags};

impl Core {
    pub(super) fn on_call(&mut self, now: Time, call: CallId, op: Op, out: &mut Actions) {
        if self.is_ending() {
            return self.refuse(call, op, out);
        }
        // A start that hangs must not keep anybody from ending it.
        let interrupts = match &op {
            Op::Terminate(target) => self.slot_of(target).filter(|slot| self.is_starting(*slot)),
            _ => None,
        };
        if self.plan.is_some() && interrupts.is_none() {
            return self.calls.push_back((call, op));
        }
        let reply = match op {
            Op::Start(spec) => self.start_child(now, call, spec, out),
            Op::Terminate(target) => self.terminate_child(now, call, &target, out),
            Op::Restart(id) => self.restart_child(now, call, id, out),
            Op::Delete(id) => self.delete_child(call, id, out),
            Op::Reconfigure(flags, specs) => Some(self.reconfigure(flags, specs)),
        };
        if let Some(reply) = reply {
            out.push(Action::Reply { call, reply });
        }
    }

    fn slot_of(&self, target: &Target) -> Option<Slot> {
        match target {
            Target::Id(id) => self.children.find(id),
            Target::Slot(slot, token) => {
                self.children.get(*slot).filter(|child| child.token == *token).map(|_| *slot)
            }
        }
    }

    fn is_starting(&self, slot: Slot) -> bool {
        self.children.get(slot).is_some_and(|child| matches!(child.phase, Phase::Starting))
    }

    fn calls_of(&mut self, slot: Slot) -> Option<&mut Calls> {
        self.children.get_mut(slot).map(Child::calls)
    }

    /// Puts a call behind what is going on with its child.
    fn queue(&mut self, slot: Slot, call: CallId, op: Op) {
        if let Some(calls) = self.calls_of(slot) {
            calls.queue.push_back((call, op));
        }
    }

    /// Starts a child for a call.
    fn start_for_call(&mut self, now: Time, slot: Slot, call: CallId, is_new: bool, out: &mut Actions) {
        if let Some(calls) = self.calls_of(slot) {
            calls.start = Some((call, is_new));
        }
        self.start(now, slot, out);
        if self.is_group() {
            self.plan = Some(Plan::single(slot));
        }
    }

    fn start_child(&mut self, now: Time, call: CallId, spec: ChildSpec, out: &mut Actions) -> Option<Reply> {
        if let Err(error) = check_childspec(&spec, self.flags.auto_shutdown) {
            self.discard_spec(spec);
            return Some(Reply::Spec(error));
        }
        if let Some(slot) = self.children.find(&spec.id) {
            let child = self.children.get(slot)?;
            let reply = match child.phase {
                Phase::Running | Phase::Exited(_) | Phase::Unkillable { .. } => {
                    Some(Reply::AlreadyStarted(slot))
                }
                Phase::Starting if child.origin.is_some() => Some(Reply::AlreadyPresent),
                Phase::Undefined | Phase::Restarting(_) | Phase::Parked => Some(Reply::AlreadyPresent),
                Phase::Starting | Phase::Stopping(_) => {
                    self.queue(slot, call, Op::Start(spec));
                    return None;
                }
            };
            self.discard_spec(spec);
            return reply;
        }
        let slot = self.children.push(spec);
        self.start_for_call(now, slot, call, true, out);
        None
    }

    fn terminate_child(
        &mut self,
        now: Time,
        call: CallId,
        target: &Target,
        out: &mut Actions,
    ) -> Option<Reply> {
        if self.simple && matches!(target, Target::Id(_)) {
            return Some(Reply::SimpleOneForOne);
        }
        let Some(slot) = self.slot_of(target) else { return Some(Reply::NotFound) };
        if matches!(self.children.get(slot)?.phase, Phase::Unkillable { .. }) {
            // Nobody wants it back any more.
            self.children.set_phase(slot, Phase::Unkillable { resume: false });
            return Some(Reply::Unkillable);
        }
        self.stop(now, slot, out);
        let live = self.children.get(slot).is_some_and(|child| child.phase.is_live());
        if !live {
            return Some(Reply::Done);
        }
        self.calls_of(slot)?.stop.push(call);
        if self.is_group() && self.plan.is_none() {
            self.plan = Some(Plan::single(slot));
        }
        None
    }

    fn restart_child(&mut self, now: Time, call: CallId, id: ChildId, out: &mut Actions) -> Option<Reply> {
        if self.simple {
            return Some(Reply::SimpleOneForOne);
        }
        let Some(slot) = self.children.find(&id) else { return Some(Reply::NotFound) };
        let child = self.children.get_mut(slot)?;
        match child.phase {
            Phase::Undefined => {
                child.requested = true;
                child.attempt = 0;
                self.start_for_call(now, slot, call, false, out);
                None
            }
            Phase::Restarting(Some(_)) => {
                self.calls_of(slot)?.start = Some((call, false));
                self.launch(now, slot, out);
                None
            }
            Phase::Parked => {
                child.attempt = 0;
                self.log.clear();
                self.report(slot, ReportEvent::Unparked, out);
                self.calls_of(slot)?.start = Some((call, false));
                self.launch(now, slot, out);
                None
            }
            Phase::Restarting(None) => Some(Reply::Restarting),
            Phase::Starting if child.origin.is_some() => Some(Reply::Restarting),
            Phase::Starting | Phase::Stopping(_) => {
                self.queue(slot, call, Op::Restart(id));
                None
            }
            Phase::Running | Phase::Exited(_) => Some(Reply::Running),
            Phase::Unkillable { .. } => Some(Reply::Unkillable),
        }
    }

    fn delete_child(&mut self, call: CallId, id: ChildId, out: &mut Actions) -> Option<Reply> {
        if self.simple {
            return Some(Reply::SimpleOneForOne);
        }
        let Some(slot) = self.children.find(&id) else { return Some(Reply::NotFound) };
        let child = self.children.get(slot)?;
        match child.phase {
            Phase::Undefined | Phase::Parked => {
                self.forget(slot, out);
                Some(Reply::Done)
            }
            Phase::Restarting(_) => Some(Reply::Restarting),
            Phase::Starting if child.origin.is_some() => Some(Reply::Restarting),
            Phase::Starting | Phase::Stopping(_) => {
                self.queue(slot, call, Op::Delete(id));
                None
            }
            Phase::Running | Phase::Exited(_) | Phase::Unkillable { .. } => Some(Reply::Running),
        }
    }

    /// Takes new flags and specifications over: new children are added and not started, changed ones apply at the next start, missing ones stay.
    fn reconfigure(&mut self, flags: SupFlags, specs: Option<Vec<ChildSpec>>) -> Reply {
        if let Err(error) = self.check_reconfigure(&flags, specs.as_deref()) {
            specs.into_iter().flatten().for_each(|spec| self.discard_spec(spec));
            return Reply::Spec(error);
        }
        self.flags = flags;
        let Some(specs) = specs else { return Reply::Done };
        let new: HashSet<ChildId> = specs.iter().map(|spec| spec.id.clone()).collect();
        let kept: Vec<Slot> = self
            .children
            .iter()
            .filter(|(_, child)| !new.contains(&child.spec.id))
            .map(|(slot, _)| slot)
            .collect();
        for spec in specs {
            match self.children.find(&spec.id) {
                Some(slot) => {
                    if let Some(old) = self.children.respecify(slot, spec) {
                        self.discard_spec(old);
                    }
                    self.children.move_to_end(slot);
                }
                None => {
                    self.children.push(spec);
                }
            }
        }
        for slot in kept {
            self.children.move_to_end(slot);
        }
        Reply::Done
    }

    fn check_reconfigure(&self, flags: &SupFlags, specs: Option<&[ChildSpec]>) -> Result<(), SpecError> {
        check_flags(flags)?;
        let specs = specs.unwrap_or_default();
        if self.simple && !specs.is_empty() {
            return Err(SpecError::SimpleOneForOne);
        }
        check_childspecs(specs, flags.auto_shutdown)?;
        let new: HashSet<&ChildId> = specs.iter().map(|spec| &spec.id).collect();
        for (_, child) in self.children.iter().filter(|(_, child)| !new.contains(&child.spec.id)) {
            check_childspec(&child.spec, flags.auto_shutdown)?;
        }
        Ok(())
    }
}
