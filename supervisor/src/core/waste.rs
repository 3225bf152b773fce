//! What belongs to the user and is given up: its drop may panic or take long, so it happens away from the supervisor.
//!
//! Whatever drops an error, a start function or a classifier hands it over here first.
//! Each piece goes by itself, for two drops that panic at once would end the process.

use std::any::Any;

use super::child::Origin;
use super::{Child, Core, Op, Phase, Slot, Time};
use crate::{ChildSpec, ExitReason};

pub(crate) type Waste = Box<dyn Any + Send>;

impl Core {
    pub(super) fn discard(&mut self, piece: impl Any + Send) {
        self.waste.push(Box::new(piece));
    }

    /// Sees to it that an error is not dropped here, whoever else lets go of it in this step.
    pub(super) fn discard_error(&mut self, reason: &ExitReason) {
        if let ExitReason::Failed(error) = reason {
            self.discard(error.clone());
        }
    }

    pub(super) fn discard_origin(&mut self, origin: Option<Origin>) {
        if let Some(origin) = origin {
            self.discard_error(&origin.reason);
        }
    }

    pub(super) fn discard_spec(&mut self, spec: ChildSpec) {
        let ChildSpec { start, exit_classifier, .. } = spec;
        self.discard(start);
        if let Some(classifier) = exit_classifier {
            self.discard(classifier);
        }
    }

    pub(super) fn discard_op(&mut self, op: Op) {
        match op {
            Op::Start(spec) => self.discard_spec(spec),
            Op::Reconfigure(_, specs) => specs.into_iter().flatten().for_each(|spec| self.discard_spec(spec)),
            Op::Terminate(_) | Op::Restart(_) | Op::Delete(_) => {}
        }
    }

    pub(super) fn discard_child(&mut self, child: Child) {
        let Child { spec, phase, history, origin, calls, .. } = child;
        self.discard_spec(spec);
        self.discard_origin(origin);
        if let Phase::Exited(reason) = phase {
            self.discard_error(&reason);
        }
        for ended in history {
            self.discard_error(&ended.reason);
        }
        for (_, op) in calls.map(|calls| calls.queue).into_iter().flatten() {
            self.discard_op(op);
        }
    }

    /// Writes an end of a child down.
    pub(super) fn remember(&mut self, now: Time, slot: Slot, reason: ExitReason) {
        let forgotten = self.children.get_mut(slot).and_then(|child| child.remember(now, reason));
        if let Some(ended) = forgotten {
            self.discard_error(&ended.reason);
        }
    }

    /// Takes apart what is left when the supervisor is gone.
    pub(crate) fn dismantle(&mut self, mut dispose: impl FnMut(Waste)) {
        let slots: Vec<Slot> = self.children.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(child) = self.children.remove(slot) {
                self.discard_child(*child);
            }
            self.waste.drain(..).for_each(&mut dispose);
        }
        for (_, op) in std::mem::take(&mut self.calls) {
            self.discard_op(op);
        }
        if let Some(plan) = self.plan.take() {
            self.discard_plan(plan);
        }
        self.waste.drain(..).for_each(&mut dispose);
    }
}
