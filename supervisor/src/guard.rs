//! The wrapper round a child's actor that tells panics from errors and notices the end of an unlinked child.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures_util::FutureExt;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::Panic;
use crate::shell::SupMsg;

pub(crate) struct Guarded<A> {
    actor: A,
    end: EndGuard,
}

impl<A> Guarded<A> {
    pub(crate) fn new(actor: A, supervisor: ActorCell) -> Self {
        Self { actor, end: EndGuard { supervisor, id: OnceLock::new() } }
    }
}

/// Tells the supervisor at the end of the actor that it is gone.
///
/// The link tells it too, unless somebody takes it off, which may happen up to the very end. The actor is dropped after
/// ractor has sent its event, so that whoever hears of both hears this last.
struct EndGuard {
    supervisor: ActorCell,
    id: OnceLock<ActorId>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if let Some(id) = self.id.get() {
            // The supervisor may be gone first.
            let _ = self.supervisor.send_message(SupMsg::Gone(*id));
        }
    }
}

/// No `async fn`: that would keep the callback twice, and every child has one of these for all its life.
fn caught<T>(
    callback: impl Future<Output = Result<T, ActorProcessingErr>>,
) -> impl Future<Output = Result<T, ActorProcessingErr>> {
    AssertUnwindSafe(callback)
        .catch_unwind()
        .map(|ended| ended.unwrap_or_else(|payload| Err(Box::new(Panic::of_payload(payload)))))
}

impl<A: Actor> Actor for Guarded<A> {
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let id = myself.get_id();
        // The callback is called inside the caught future: a hand-written one may panic before it returns its own.
        let state = caught(async { self.actor.pre_start(myself, args).await }).await?;
        let _ = self.end.id.set(id);
        Ok(state)
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        caught(async { self.actor.post_start(myself, state).await }).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        caught(async { self.actor.post_stop(myself, state).await }).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        caught(async { self.actor.handle(myself, message, state).await }).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        message: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        caught(async { self.actor.handle_supervisor_evt(myself, message, state).await }).await
    }
}
