//! Counts since the node started, for those who measure it.

use protocol::{AppId, OpKind, OpState, OpView};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Upper bounds of the durations of operations, in seconds.
pub const OPERATION_BOUNDS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 900, 3_600];

/// How long operations of one kind and outcome took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// Operations that took no longer than the bound in the same place of [`OPERATION_BOUNDS`], not cumulative.
    pub buckets: [u64; OPERATION_BOUNDS.len()],
    /// All of them.
    pub count: u64,
    /// Together.
    pub sum_ms: u64,
}

#[derive(Debug, Default)]
struct Inner {
    restarts: BTreeMap<(String, &'static str), u64>,
    operations: BTreeMap<(OpWord, StateWord), Durations>,
}

type OpWord = &'static str;
type StateWord = &'static str;

/// The counters of a node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<Inner>>);

impl Counters {
    pub(crate) fn restarted(&self, app: Option<&AppId>, cause: &'static str) {
        let app = app.map_or_else(String::new, ToString::to_string);
        *self.lock().restarts.entry((app, cause)).or_default() += 1;
    }

    pub(crate) fn operation(&self, op: &OpView) {
        let took = op.ended_at.unwrap_or(op.started_at).saturating_sub(op.started_at);
        let mut inner = self.lock();
        let durations = inner.operations.entry((kind(op.kind), state(op.state))).or_default();
        durations.count += 1;
        durations.sum_ms += took;
        if let Some(at) = OPERATION_BOUNDS.iter().position(|bound| took <= bound * 1_000) {
            durations.buckets[at] += 1;
        }
    }

    /// Restarts by app (empty for the node's own actors) and cause.
    pub fn restarts(&self) -> BTreeMap<(String, &'static str), u64> {
        self.lock().restarts.clone()
    }

    /// Durations of operations by kind and outcome.
    pub fn operations(&self) -> BTreeMap<(OpWord, StateWord), Durations> {
        self.lock().operations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Install => "install",
        OpKind::Start => "start",
        OpKind::Stop => "stop",
        OpKind::Restart => "restart",
        OpKind::Uninstall => "uninstall",
        OpKind::Update => "update",
        OpKind::Backup => "backup",
        OpKind::Restore => "restore",
    }
}

fn state(state: OpState) -> &'static str {
    match state {
        OpState::Succeeded => "succeeded",
        OpState::Failed => "failed",
        OpState::Cancelled => "cancelled",
        OpState::Interrupted => "interrupted",
        OpState::Queued | OpState::Running | OpState::Cancelling => "running",
    }
}
