//! Slow work next to an actor: a linked actor that runs one future and ends.
//!
//! An actor's handler never awaits the engine; it starts a worker whose future casts the result back.
//! A worker dies with the actor that it is linked to.

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use std::future::Future;

struct Worker;

/// The only message: begin.
struct Begin;

impl Actor for Worker {
    type Msg = Begin;
    type State = Option<BoxFuture<'static, ()>>;
    type Arguments = BoxFuture<'static, ()>;

    async fn pre_start(
        &self,
        _: ActorRef<Begin>,
        work: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(work))
    }

    async fn handle(
        &self,
        myself: ActorRef<Begin>,
        Begin: Begin,
        work: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(work) = work.take() {
            work.await;
        }
        myself.stop(None);
        Ok(())
    }
}

/// Runs a future in a worker linked to `owner`.
///
/// # Errors
///
/// When the owner is ending.
pub(crate) async fn run(
    owner: ActorCell,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<ActorCell, SpawnErr> {
    let (worker, _) = Actor::spawn_linked(None, Worker, Box::pin(work), owner).await?;
    // A worker that just started takes its first message.
    let _ = worker.cast(Begin);
    Ok(worker.get_cell())
}

/// Runs a future to its end, whoever asked for it.
///
/// # Errors
///
/// When the node is ending.
pub(crate) async fn run_to_its_end(work: impl Future<Output = ()> + Send + 'static) -> Result<(), SpawnErr> {
    let (worker, _) = Actor::spawn(None, Worker, Box::pin(work)).await?;
    let _ = worker.cast(Begin);
    Ok(())
}

/// What an owner makes of its workers' ends: a worker that failed takes its owner with it.
///
/// # Errors
///
/// The worker's failure.
pub(crate) fn ended(event: SupervisionEvent) -> Result<(), ActorProcessingErr> {
    match event {
        SupervisionEvent::ActorFailed(_, error) => Err(error),
        _ => Ok(()),
    }
}
