//! What the core wants done.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use ractor::{ActorCell, ActorRef};

use super::events::{is_linked, watch};
use super::{SupMsg, SupState, task};
use crate::core::{About, Action, Reply, Slot, Time};
use crate::report::{Offender, Report, ReportEvent};
use crate::{ChildType, ExitReason, Panic, Shutdown, StartCtx, Started, SupervisorError};

impl SupState {
    pub(super) fn carry_out(&mut self, myself: &ActorRef<SupMsg>, now: Time, action: Action) {
        match action {
            Action::Start { slot, token, generation, id, cause, start } => {
                let is_supervisor = self
                    .core
                    .children
                    .get(slot)
                    .is_some_and(|child| child.spec.child_type == ChildType::Supervisor);
                let grave = is_supervisor.then(|| self.place(slot).grave.get_or_insert_default().clone());
                let ctx = StartCtx {
                    supervisor: myself.get_cell(),
                    id,
                    generation,
                    cause,
                    path: self.path.clone(),
                    sink: self.sink.clone(),
                    grave,
                    kill_grace: self.core.flags.kill_grace,
                    adopted: Arc::new(OnceLock::new()),
                };
                self.starting += 1;
                let lease = self.lease.as_ref().map(super::Lease::another);
                let place = self.place(slot);
                let ashes = place.ashes.take();
                place.task = Some(task::start(myself.clone(), (slot, token), start, ctx, ashes, lease));
            }
            Action::AbortStart { slot } => {
                if let Some(task) = &self.place(slot).task {
                    task.abort();
                }
            }
            Action::Stop { slot } => self.stop_child(myself, slot),
            Action::Kill { slot } => {
                if let Some(cell) = &self.place(slot).cell {
                    cell.kill();
                    if !is_linked(cell, myself) {
                        watch(myself, cell);
                    }
                }
            }
            Action::Forget { slot } => self.forget(slot),
            Action::TryAgain { slot, token } => {
                // A supervisor that ends does not try again.
                let _ = myself.send_message(SupMsg::TryAgain(slot, token));
            }
            Action::Reply { call, reply } => {
                if let Some(sender) = self.calls.remove(&call)
                    && let Err(answer) = sender.send(self.answer(reply))
                {
                    // The caller has gone away.
                    task::discard(answer);
                }
            }
            Action::Report { about, event } => self.report(now, about, event),
            Action::Discard(value) => drop(task::Ashes::State(value).scatter()),
            Action::Booted => {
                if let Some(booted) = self.booted.take() {
                    // Without a parent, `watch_starter` cares for a starter that is gone.
                    let _ = booted.send(Ok(()));
                }
            }
            Action::End { reason, boot_error } => {
                self.ended = true;
                if let Some(error) = boot_error {
                    // Whoever starts it hears of it by the answer.
                    if let Some(parent) = myself.try_get_supervisor() {
                        myself.unlink(parent);
                    }
                    if let Some(booted) = self.booted.take()
                        && let Err(error) = booted.send(Err(error))
                    {
                        task::discard(error);
                    }
                }
                // An error in it writes itself.
                let mut text = Some("shutdown".to_owned());
                self.caught("writing the reason of the end", || text = reason.to_stop());
                myself.stop(text);
                task::drop_caught(reason);
            }
        }
    }

    fn stop_child(&mut self, myself: &ActorRef<SupMsg>, slot: Slot) {
        let endless =
            self.core.children.get(slot).is_some_and(|child| child.spec.shutdown == Shutdown::Infinity);
        let Some(cell) = &self.place(slot).cell else { return };
        ask_to_stop(cell);
        if endless || !is_linked(cell, myself) {
            // A child that unlinks itself must not be waited for for ever.
            watch(myself, cell);
        }
    }

    fn forget(&mut self, slot: Slot) {
        let place = std::mem::take(self.place(slot));
        if let Some(id) = place.known_as {
            self.actors.remove(&id);
        }
        let _ = place.ashes.map(task::Ashes::scatter);
    }

    fn answer(&self, reply: Reply) -> Result<Started, SupervisorError> {
        let place = |slot: Slot| self.places.get(slot as usize);
        Err(match reply {
            Reply::Done | Reply::Ignored => return Ok(Started::Ignored),
            Reply::Started(slot) => {
                return match place(slot).and_then(|place| place.cell.clone().map(|cell| (cell, place))) {
                    Some((cell, place)) => Ok(Started::Running { cell, info: place.info.clone() }),
                    None => Ok(Started::Ignored),
                };
            }
            Reply::AlreadyStarted(slot) => match place(slot).and_then(|place| place.cell.clone()) {
                Some(cell) => SupervisorError::AlreadyStarted(cell),
                None => SupervisorError::AlreadyPresent,
            },
            Reply::AlreadyPresent => SupervisorError::AlreadyPresent,
            Reply::Running => SupervisorError::Running,
            Reply::Restarting => SupervisorError::Restarting,
            Reply::NotFound => SupervisorError::NotFound,
            Reply::StartFailed(error) => SupervisorError::StartFailed(error),
            Reply::Spec(error) => SupervisorError::Spec(error),
            Reply::SimpleOneForOne => SupervisorError::SimpleOneForOne,
            Reply::Unkillable => SupervisorError::Unkillable,
            Reply::NoProc => SupervisorError::NoProc,
        })
    }

    pub(super) fn report(&mut self, now: Time, about: Option<About>, event: ReportEvent) {
        let traced = if event.is_warning() {
            tracing::enabled!(tracing::Level::WARN)
        } else {
            tracing::enabled!(tracing::Level::DEBUG)
        };
        if !traced && self.sink.is_none() && self.subscribers.is_empty() {
            return task::drop_caught(event);
        }
        let offender = about.map(|about| {
            let running = self.places.get(about.slot as usize).and_then(|place| place.cell.as_ref());
            Offender {
                cell: running.or(self.ended_cell.as_ref()).cloned(),
                id: about.id,
                generation: about.generation,
                child_type: about.child_type,
                restart: about.restart,
            }
        });
        let report = Report { path: self.path.clone(), at: self.wall_clock(now), offender, event };
        // A child's error writes itself, and that may panic as the sink may.
        self.caught("writing a report", || {
            if report.event.is_warning() {
                tracing::warn!(actor = %report.path, report = %report, "supervisor report");
            } else {
                tracing::debug!(actor = %report.path, report = %report, "supervisor report");
            }
        });
        if let Some(sink) = &self.sink {
            self.caught("report sink", || sink(&report));
        }
        let report = Arc::new(report);
        self.subscribers.retain(|subscriber| subscriber.deliver(&report));
        task::drop_caught(report);
    }

    fn caught(&self, what: &'static str, call: impl FnOnce()) {
        if let Err(payload) = std::panic::catch_unwind(AssertUnwindSafe(call)) {
            let panic = Panic::of_payload(payload);
            tracing::warn!(actor = %self.path, what, error = %panic, "caught a panic");
        }
    }
}

/// Asks an actor to stop: a supervisor in words that let it read its mailbox while it does.
pub(super) fn ask_to_stop(cell: &ActorCell) {
    let shutdown = || SupMsg::Shutdown(ExitReason::Shutdown(None));
    let is_supervisor = cell.is_message_type_of::<SupMsg>() == Some(true);
    if !is_supervisor || cell.send_message(shutdown()).is_err() {
        cell.stop(Some("shutdown".to_owned()));
    }
}
