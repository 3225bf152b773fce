//! The tasks that a supervisor owns: they are aborted when it is dropped.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use ractor::actor::messages::BoxedState;
use ractor::{ActorCell, ActorRef};
use tokio::task::JoinHandle;

use super::SupMsg;
use super::grave::Lease;
use crate::core::{Slot, Token};
use crate::{Panic, StartCtx, StartError, StartFn, Started};

/// A task that ends with its owner.
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(spawn(future))
    }

    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor is what owns tasks here, by `Task` or by their own end"
)]
fn spawn(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(future)
}

/// The last state of a child that has ended, whose drop may panic or take long.
pub(crate) enum Ashes {
    State(Box<dyn Any + Send>),
    Dropping(JoinHandle<()>),
}

impl Ashes {
    /// Keeps a state if dropping it does anything that matters.
    pub(crate) fn of(state: Option<BoxedState>) -> Option<Self> {
        let state = state?.msg?;
        if state.is::<()>() { None } else { Some(Self::State(state)) }
    }

    /// Drops the state in a task of its own, away from the supervisor.
    pub(crate) fn scatter(self) -> Self {
        match self {
            Self::State(state) => Self::Dropping(spawn(async move { drop_caught(state) })),
            dropping @ Self::Dropping(_) => dropping,
        }
    }

    /// Returns when the state has been dropped.
    async fn settle(self) {
        match self {
            Self::State(state) => drop_caught(state),
            // A drop that panicked is over too.
            Self::Dropping(task) => drop(task.await),
        }
    }
}

/// Drops something of a child's, whatever its drop does, as far as it does it quickly.
pub(super) fn drop_caught<T>(value: T) {
    if let Err(payload) = std::panic::catch_unwind(AssertUnwindSafe(move || drop(value))) {
        let panic = Panic::of_payload(payload);
        tracing::warn!(error = %panic, "drop of something of a child's panicked");
    }
}

/// Drops something of a child's in a task of its own, away from the supervisor.
pub(super) fn discard<T: Send + 'static>(value: T) {
    detach(async move { drop_caught(value) });
}

/// What came of a start; it comes also when the start was given up.
pub(crate) struct StartResult {
    pub(crate) slot: Slot,
    pub(crate) token: Token,
    result: Option<Result<Started, StartError>>,
    lease: Option<Lease>,
}

impl StartResult {
    pub(crate) fn take(mut self) -> Result<Started, StartError> {
        self.result.take().unwrap_or(Err(StartError::Aborted))
    }
}

impl Drop for StartResult {
    fn drop(&mut self) {
        // The supervisor was gone before it could take the child in.
        match self.result.take() {
            Some(Ok(Started::Running { cell, info })) => {
                cell.kill();
                if let Some(lease) = &self.lease {
                    lease.bury(vec![cell], Vec::new());
                }
                drop_caught(info);
            }
            other => drop_caught(other),
        }
    }
}

/// Sends the result of a start, whatever becomes of its task.
struct Messenger {
    supervisor: ActorRef<SupMsg>,
    slot: Slot,
    token: Token,
    adopted: Arc<OnceLock<ActorCell>>,
    result: Option<Result<Started, StartError>>,
    lease: Option<Lease>,
}

impl Messenger {
    fn finish(mut self, result: Result<Started, StartError>) {
        self.result = Some(result);
    }
}

impl Drop for Messenger {
    fn drop(&mut self) {
        let result = match (self.result.take(), self.adopted.get()) {
            // A start that was given up after it had spawned has a child all the same, which has to be stopped like one.
            (None, Some(cell)) => Ok(Started::new(cell.clone())),
            (Some(Err(error)), Some(cell)) => {
                cell.kill();
                Err(error)
            }
            (result, _) => result.unwrap_or(Err(StartError::Aborted)),
        };
        let (slot, token, lease) = (self.slot, self.token, self.lease.take());
        let message = SupMsg::Started(StartResult { slot, token, result: Some(result), lease });
        // Without a supervisor the result comes back and is dropped.
        let _ = self.supervisor.send_message(message);
    }
}

/// Runs a start function in a task of its own, so that neither its time nor its panics touch the supervisor.
pub(crate) fn start(
    supervisor: ActorRef<SupMsg>,
    (slot, token): (Slot, Token),
    start: StartFn,
    ctx: StartCtx,
    ashes: Option<Ashes>,
    lease: Option<Lease>,
) -> Task {
    let messenger = Messenger { supervisor, slot, token, adopted: ctx.adopted.clone(), result: None, lease };
    Task::spawn(async move {
        if let Some(ashes) = ashes {
            // One incarnation is over when its state is, so that the next finds its port free.
            ashes.settle().await;
        }
        let started = AssertUnwindSafe(async move { start(ctx).await }).catch_unwind().await;
        messenger
            .finish(started.unwrap_or_else(|payload| Err(StartError::Panicked(Panic::of_payload(payload)))));
    })
}

/// Runs a task that ends with what it waits for.
pub(crate) fn detach(future: impl Future<Output = ()> + Send + 'static) {
    drop(spawn(future));
}
