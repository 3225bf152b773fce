//! What ractor and the start tasks tell, translated for the core.

use std::panic::AssertUnwindSafe;

use ractor::actor::messages::BoxedState;
use ractor::{ActorCell, ActorId, ActorRef, ActorStatus, SupervisionEvent};

use super::task::{Ashes, StartResult, discard};
use super::{CallReply, SupMsg, SupState};
use crate::core::{Event, Op, Outcome, Slot, Target, Token};
use crate::{ExitClassifier, ExitReason, Panic, Started, SupervisorError};

/// The end of a child that overtook the result of its start.
pub(super) struct Early {
    end: End,
    state: Option<BoxedState>,
}

/// How ractor says that an actor ended.
enum End {
    Stopped(Option<String>),
    Known(ExitReason),
}

impl End {
    fn reason(self, classifier: Option<&ExitClassifier>) -> ExitReason {
        let text = match self {
            Self::Known(reason) => return reason,
            Self::Stopped(text) => text,
        };
        let reason = ExitReason::of_stop(text.as_deref());
        match (&reason, text, classifier) {
            (ExitReason::Normal, Some(text), Some(classify)) => {
                std::panic::catch_unwind(AssertUnwindSafe(|| classify(&text))).unwrap_or_else(|payload| {
                    // The payload's own drop may panic too.
                    let panic = Panic::of_payload(payload);
                    tracing::warn!(error = %panic, "exit classifier panicked");
                    reason
                })
            }
            _ => reason,
        }
    }
}

impl SupState {
    pub(super) fn on_supervision(&mut self, myself: &ActorRef<SupMsg>, event: SupervisionEvent) {
        match event {
            SupervisionEvent::ActorTerminated(cell, state, reason) => {
                self.on_end(myself, cell.get_id(), End::Stopped(reason), state);
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                let end = End::Known(ExitReason::Failed(error.into()));
                self.on_end(myself, cell.get_id(), end, None);
            }
            // `ActorStarted` says nothing that the start's result does not; the others are not for us.
            _ => {}
        }
    }

    fn on_end(&mut self, myself: &ActorRef<SupMsg>, id: ActorId, end: End, state: Option<BoxedState>) {
        match self.actors.get(&id) {
            Some((slot, token)) => self.on_child_end(myself, *slot, *token, end, state),
            None if self.starting > 0 => {
                self.early.insert(id, Early { end, state });
            }
            None => {
                // An actor that somebody linked to us besides the children.
                let _ = Ashes::of(state).map(Ashes::scatter);
                tracing::debug!(actor = %self.path, actor_id = %id, "unknown linked actor ended");
            }
        }
    }

    fn on_child_end(
        &mut self,
        myself: &ActorRef<SupMsg>,
        slot: Slot,
        token: Token,
        end: End,
        state: Option<BoxedState>,
    ) {
        let simple = self.core.simple;
        let classifier = self.core.children.get(slot).and_then(|child| child.spec.exit_classifier.as_ref());
        let reason = end.reason(classifier);
        let place = self.place(slot);
        let cell = place.cell.take();
        if let Some(ashes) = Ashes::of(state) {
            place.ashes = Some(ashes);
        }
        if !simple && let Some(cell) = &cell {
            // A dynamic child keeps its name until it has a new one.
            place.known_as = None;
            self.actors.remove(&cell.get_id());
        }
        self.ended_cell = cell;
        self.step(myself, Event::Exited { slot, token, reason });
        self.ended_cell = None;
        // When the child was not started again at once, its state is dropped now.
        let place = self.place(slot);
        place.ashes = place.ashes.take().map(Ashes::scatter);
    }

    pub(super) fn on_started(&mut self, myself: &ActorRef<SupMsg>, result: StartResult) {
        let (slot, token) = (result.slot, result.token);
        self.starting = self.starting.saturating_sub(1);
        let is_current = self.core.children.get(slot).is_some_and(|child| child.token == token);
        if !is_current {
            return;
        }
        self.place(slot).task = None;
        let mut early = None;
        let outcome = match result.take() {
            Ok(Started::Running { cell, info }) => {
                early = self.early.remove(&cell.get_id());
                self.welcome(myself, slot, token, cell, info);
                Outcome::Running
            }
            Ok(Started::Ignored) => Outcome::Ignored,
            Err(error) => Outcome::Failed(error),
        };
        self.step(myself, Event::Started { slot, token, outcome });
        self.discard_info(slot);
        if let Some(Early { end, state }) = early {
            self.on_child_end(myself, slot, token, end, state);
        }
        if self.starting == 0 && !self.early.is_empty() {
            // Those that are left never were children: failed starts and strangers.
            for (_, Early { state, .. }) in self.early.drain() {
                let _ = Ashes::of(state).map(Ashes::scatter);
            }
        }
    }

    fn welcome(
        &mut self,
        myself: &ActorRef<SupMsg>,
        slot: Slot,
        token: Token,
        cell: ActorCell,
        info: Option<crate::StartInfo>,
    ) {
        let id = cell.get_id();
        if !is_linked(&cell, myself) {
            // It forgot the link, or it has ended or is about to; then its event may be past or never come.
            if cell.get_status() < ActorStatus::Stopping {
                cell.link(myself.get_cell());
            }
            watch(myself, &cell);
        }
        self.actors.insert(id, (slot, token));
        let place = self.place(slot);
        place.cell = Some(cell);
        place.info = info;
        if let Some(old) = place.known_as.replace(id)
            && old != id
        {
            self.actors.remove(&old);
        }
    }

    /// Lets go of what the start said, which may be the last that knows of it.
    fn discard_info(&mut self, slot: Slot) {
        if let Some(info) = self.place(slot).info.take() {
            discard(info);
        }
    }

    /// Takes in that an actor has ended whose event will not come any more, if it has not come.
    pub(super) fn on_gone(&mut self, myself: &ActorRef<SupMsg>, id: ActorId) {
        // Supervision events come before messages, so an event that was sent has been handled.
        if let Some((slot, token)) = self.actors.get(&id).copied()
            && self.places.get(slot as usize).is_some_and(|place| place.cell.is_some())
        {
            self.on_child_end(myself, slot, token, End::Known(ExitReason::NoProc), None);
        }
        // A child whose start is not over yet is looked at when it is welcomed.
    }

    pub(super) fn on_terminate_cell(
        &mut self,
        myself: &ActorRef<SupMsg>,
        cell: &ActorCell,
        reply: CallReply,
    ) {
        let child = self.actors.get(&cell.get_id()).and_then(|(slot, _)| {
            self.core.children.get(*slot).map(|child| Target::Slot(*slot, child.token))
        });
        match child {
            Some(target) => self.on_call(myself, Op::Terminate(target), reply),
            // As in OTP: a child that is gone is terminated, a stranger that lives is none of ours.
            None if cell.get_status() >= ActorStatus::Stopping => drop(reply.send(Ok(Started::Ignored))),
            None => drop(reply.send(Err(SupervisorError::NotFound))),
        }
    }
}

pub(super) fn is_linked(cell: &ActorCell, supervisor: &ActorRef<SupMsg>) -> bool {
    cell.try_get_supervisor().is_some_and(|it| it.get_id() == supervisor.get_id())
}

/// Waits for the end of an actor whose event may not come.
pub(super) fn watch(myself: &ActorRef<SupMsg>, cell: &ActorCell) {
    let (supervisor, cell) = (myself.clone(), cell.clone());
    super::task::detach(async move {
        // Without a limit there is no timeout to fail with.
        let _ = cell.wait(None).await;
        let _ = supervisor.send_message(SupMsg::Gone(cell.get_id()));
    });
}
