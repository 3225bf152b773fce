//! Calls that change a container: one at a time per container, carried to their end, and not all at once.
//!
//! A call outlives the actor that made it: the engine may carry it out late, and whoever looks next must not look
//! before that is known.

use crate::{clock::now_ms, ctx::Ctx, worker};
use protocol::{NodeView, Row};
use ractor::SpawnErr;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    time::timeout,
};

/// Key of the row that counts the starts down.
pub(crate) const STARTS: &str = "starts";
/// A start that takes longer than this lets the next one begin.
const TURN: Duration = Duration::from_secs(5);
/// Containers that are started side by side, per processor and at least.
const SIDE_BY_SIDE: (usize, usize) = (4, 8);

/// The calls of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    running: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    turns: Arc<Semaphore>,
    /// Starts that are going on or wait for their turn.
    starts: Arc<AtomicUsize>,
}

impl Default for Calls {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            running: Arc::default(),
            turns: Arc::new(Semaphore::new(SIDE_BY_SIDE.1.max(SIDE_BY_SIDE.0 * processors))),
            starts: Arc::default(),
        }
    }
}

impl Calls {
    /// Waits until no call on this container is under way; the next one waits for what is returned.
    pub(crate) async fn after_others(&self, container: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(running.entry(container.to_owned()).or_default())
        };
        lock.lock_owned().await
    }

    /// Runs a call to its end, also when whoever asked for it ends before.
    pub(crate) async fn run(
        &self,
        container: &str,
        call: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), SpawnErr> {
        let (calls, container) = (self.clone(), container.to_owned());
        worker::run_to_its_end(async move {
            let _alone = calls.after_others(&container).await;
            call.await;
        })
        .await
    }

    /// Waits for this container's turn to be started and starts it.
    pub(crate) async fn in_turn<T>(&self, ctx: &Ctx, start: impl Future<Output = T>) -> T {
        let going = Going::begin(ctx, &self.starts);
        // The semaphore is never closed.
        let turn = self.turns.acquire().await;
        let mut start = std::pin::pin!(start);
        let started = match timeout(TURN, &mut start).await {
            Ok(started) => started,
            Err(_) => {
                drop(turn);
                start.await
            }
        };
        drop(going);
        started
    }

    /// The row that counts the starts down.
    pub(crate) fn row(&self) -> NodeView {
        let detail = match self.starts.load(Ordering::Relaxed) {
            0 => "nothing waits to be started".to_owned(),
            1 => "1 container is being started".to_owned(),
            left => format!("{left} containers are being started"),
        };
        NodeView { key: STARTS.into(), ok: true, detail, last_ok: Some(now_ms()) }
    }
}

/// Counts a start as long as it lives.
struct Going<'a>(&'a Ctx, &'a AtomicUsize);

impl<'a> Going<'a> {
    fn begin(ctx: &'a Ctx, starts: &'a AtomicUsize) -> Self {
        starts.fetch_add(1, Ordering::Relaxed);
        ctx.publish(Row::Node(Box::new(ctx.calls.row())));
        Self(ctx, starts)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
        self.0.publish(Row::Node(Box::new(self.0.calls.row())));
    }
}
