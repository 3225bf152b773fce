//! Calls that change a container: one at a time per container, carried to their end, and not all at once.
//!
//! A call outlives the actor that made it: the engine may carry it out late, and whoever looks next must not look
//! before that is known.

use crate::worker;
use engine::{Engine, EngineError, EngineState};
use futures_util::future::BoxFuture;
use ractor::SpawnErr;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    time::timeout,
};

/// A start that takes longer than this lets the next one begin.
const TURN: Duration = Duration::from_secs(5);
/// What a container is given to end where no manifest says it; compose's value.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// Containers that are started side by side, per processor and at least.
const SIDE_BY_SIDE: (usize, usize) = (4, 8);

/// The calls of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    running: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    turns: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            running: Arc::default(),
            turns: Arc::new(Semaphore::new(SIDE_BY_SIDE.1.max(SIDE_BY_SIDE.0 * processors))),
        }
    }
}

impl Calls {
    /// Takes the next place among the calls on this container, at once: calls keep the order in which they were made.
    pub(crate) async fn queue(&self, container: &str) -> Place {
        let lock = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(running.entry(container.to_owned()).or_default())
        };
        let mut turn: BoxFuture<'static, _> = Box::pin(lock.lock_owned());
        // The lock is fair and knows of those who have asked once.
        match poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await {
            Poll::Ready(guard) => Place::Front(guard),
            Poll::Pending => Place::Behind(turn),
        }
    }

    /// Runs a call to its end, also when whoever asked for it ends before.
    pub(crate) async fn run(
        &self,
        container: &str,
        call: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), SpawnErr> {
        let place = self.queue(container).await;
        worker::run_to_its_end(async move {
            let _alone = place.turn().await;
            call.await;
        })
        .await
    }

    /// Takes a container away that nobody looks after: one that runs is asked to end first.
    ///
    /// # Errors
    ///
    /// The engine's; one that is not there any more is none.
    pub(crate) async fn dispose(
        &self,
        engine: &Arc<dyn Engine>,
        queue: &str,
        id: &str,
        grace: Duration,
    ) -> Result<(), EngineError> {
        let (answer, answered) = ractor::concurrency::oneshot();
        let lost = || EngineError::Broken {
            subject: format!("container {id}"),
            message: "nobody removed it".into(),
        };
        let (engine, id) = (Arc::clone(engine), id.to_owned());
        let call = async move {
            let _ = answer.send(stop_and_remove(engine.as_ref(), &id, grace).await);
        };
        self.run(queue, call).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }

    /// Waits for this container's turn to be started and starts it.
    pub(crate) async fn in_turn<T>(&self, start: impl Future<Output = T>) -> T {
        // The semaphore is never closed.
        let turn = self.turns.acquire().await;
        let mut start = std::pin::pin!(start);
        match timeout(TURN, &mut start).await {
            Ok(started) => started,
            Err(_) => {
                drop(turn);
                start.await
            }
        }
    }
}

async fn stop_and_remove(engine: &dyn Engine, id: &str, grace: Duration) -> Result<(), EngineError> {
    use EngineState as S;
    match engine.inspect(id).await {
        Ok(found) if matches!(found.state, S::Running | S::Paused | S::Stopping) => {
            // Where that fails, there is no gentle way.
            if let Err(error) = engine.stop(id, grace).await {
                tracing::warn!(container = %id, %error, "container could not be stopped before its removal");
            }
        }
        Ok(_) | Err(EngineError::Damaged { .. }) => {}
        Err(EngineError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    match engine.remove(id, true).await {
        Err(EngineError::NotFound { .. }) => Ok(()),
        result => result,
    }
}

/// A place among the calls on one container. Whoever drops it steps out of the queue.
pub(crate) enum Place {
    /// Nobody is before it.
    Front(OwnedMutexGuard<()>),
    /// Others are.
    Behind(BoxFuture<'static, OwnedMutexGuard<()>>),
}

impl Place {
    /// Waits until no earlier call is under way; the next one waits for what is returned.
    pub(crate) async fn turn(self) -> OwnedMutexGuard<()> {
        match self {
            Self::Front(guard) => guard,
            Self::Behind(turn) => turn.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_keep_the_order_in_which_they_were_made() {
        let (calls, order) = (Calls::default(), Arc::new(Mutex::new(Vec::new())));
        let say = |word| {
            let order = Arc::clone(&order);
            async move { order.lock().unwrap().push(word) }
        };
        calls.run("c", say("first")).await.unwrap();
        calls.run("c", say("second")).await.unwrap();
        let place = calls.queue("c").await;
        calls.run("c", say("fourth")).await.unwrap();
        let alone = place.turn().await;
        say("third").await;
        drop(alone);
        let _last = calls.queue("c").await.turn().await;
        assert_eq!(*order.lock().unwrap(), ["first", "second", "third", "fourth"]);
    }

    #[tokio::test]
    async fn one_who_steps_out_of_the_queue_lets_the_next_wait_for_the_first() {
        let calls = Calls::default();
        let first = calls.queue("c").await.turn().await;
        let second = calls.queue("c").await;
        let third = calls.queue("c").await;
        drop(second);
        let mut turn = Box::pin(third.turn());
        assert!(futures_util::FutureExt::now_or_never(&mut turn).is_none());
        drop(first);
        turn.await;
    }
}
