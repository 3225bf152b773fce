//! What a supervisor leaves behind when it is killed: children that are told to die and may not have yet.
//!
//! Its next incarnation waits for them, so that no child ever runs twice, not even across a kill of its supervisor.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorStatus};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::task::drop_caught;
use crate::StartError;

/// The remains of one supervised supervisor, kept by its parent.
#[derive(Default)]
pub(crate) struct Grave {
    remains: Mutex<Remains>,
    /// How many may still bury something: the supervisor itself and its starts under way.
    leases: AtomicUsize,
    closed: Notify,
}

#[derive(Clone, Default)]
struct Remains {
    cells: Vec<ActorCell>,
    graves: Vec<Arc<Grave>>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} children of the last incarnation do not end")]
struct Orphans(usize);

impl Grave {
    /// Waits until nothing of earlier incarnations is left.
    pub(crate) fn clear(&self, within: Duration) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            self.wait_closed(deadline).await?;
            // Nothing is taken out before it is over: the wait may be given up at any point.
            let Remains { cells, graves } =
                self.remains.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for cell in &cells {
                cell.kill();
            }
            let mut ended = HashSet::new();
            for cell in &cells {
                if timeout_at(deadline, cell.wait(None)).await.is_ok() {
                    ended.insert(cell.get_id());
                }
            }
            let mut cleared = Vec::new();
            for grave in graves {
                if grave.clear(deadline.saturating_duration_since(Instant::now())).await.is_ok() {
                    cleared.push(grave);
                }
            }
            let mut remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
            remains.cells.retain(|cell| !ended.contains(&cell.get_id()));
            remains.graves.retain(|grave| !cleared.iter().any(|it| Arc::ptr_eq(it, grave)));
            match remains.cells.len() + remains.graves.len() {
                0 => Ok(()),
                left => Err(StartError::failed(Orphans(left))),
            }
        })
    }

    async fn wait_closed(&self, deadline: Instant) -> Result<(), StartError> {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.leases.load(Ordering::SeqCst) == 0 {
                return Ok(());
            }
            if timeout_at(deadline, closed).await.is_err() {
                return Err(StartError::failed(Orphans(1)));
            }
        }
    }
}

/// The right to bury something, which holds the next incarnation up.
pub(crate) struct Lease(Arc<Grave>);

impl Lease {
    pub(super) fn new(grave: Arc<Grave>) -> Self {
        grave.leases.fetch_add(1, Ordering::SeqCst);
        Self(grave)
    }

    pub(super) fn another(&self) -> Self {
        Self::new(self.0.clone())
    }

    pub(super) fn bury(&self, cells: Vec<ActorCell>, graves: Vec<Arc<Grave>>) {
        let mut remains = self.0.remains.lock().unwrap_or_else(PoisonError::into_inner);
        remains.cells.extend(cells);
        remains.graves.extend(graves);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.0.leases.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}

impl Drop for super::SupState {
    fn drop(&mut self) {
        let (mut cells, mut graves) = (Vec::new(), Vec::new());
        for place in std::mem::take(&mut self.places) {
            cells.extend(place.cell.filter(|cell| cell.get_status() != ActorStatus::Stopped));
            graves.extend(place.grave);
            drop_caught(place.ashes);
            drop_caught(place.info);
        }
        if let Some(lease) = self.lease.take() {
            lease.bury(cells, graves);
        }
        self.early.drain().for_each(drop_caught);
        self.core.dismantle(drop_caught);
    }
}
