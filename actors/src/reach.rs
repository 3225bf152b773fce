//! Whether the engine can be reached, as the observer saw it last. It outlives actors, so that a new one need not guess.

use std::sync::{Arc, Mutex, PoisonError};

/// What is known of the engine. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach(Arc<Mutex<(bool, Option<u64>)>>);

impl Reach {
    /// It can be reached at this time (ms), or it cannot.
    pub(crate) fn set(&self, ok: bool, at: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (ok, if ok { Some(at) } else { known.1 });
    }

    /// Whether it can be reached, and when it could last, if ever.
    pub(crate) fn get(&self) -> (bool, Option<u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
