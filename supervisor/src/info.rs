//! What a supervisor shows of its children: the material of a tree view.

use std::sync::Arc;
use std::time::SystemTime;

use ractor::ActorCell;

use crate::{ChildId, ChildType, ExitReason, Restart, SupFlags};

/// Where a child is in its life.
///
/// ```
/// use supervisor::ChildState;
/// let is_well = |state: ChildState| matches!(state, ChildState::Running | ChildState::Starting);
/// assert!(!is_well(ChildState::Parked));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It does not run and nobody is going to start it.
    Undefined,
    /// It is being started for the first time or on request.
    Starting,
    /// It runs.
    Running,
    /// It has been told to end.
    Stopping,
    /// It is restarted after a failure.
    Restarting {
        /// When, if it waits; `None` while the restart is under way.
        until: Option<SystemTime>,
        /// How many restarts there were without a healthy time between, this one included.
        attempt: u32,
    },
    /// It failed too often and stays down; see [`OnExhausted::Park`](crate::OnExhausted::Park).
    Parked,
    /// It was killed and did not end.
    Unkillable,
}

/// One end of a child.
///
/// ```
/// use supervisor::HistoryEntry;
/// let line = |entry: &HistoryEntry| format!("#{}: {}", entry.generation, entry.reason);
/// # let _ = line;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When.
    pub at: SystemTime,
    /// Which incarnation.
    pub generation: u64,
    /// Why.
    pub reason: ExitReason,
}

/// One child as [`which_children`](crate::SupervisorRef::which_children) shows it.
///
/// ```
/// use supervisor::ChildInfo;
/// let line = |child: &ChildInfo| format!("{} {:?} ({} restarts)", child.id, child.state, child.restarts);
/// # let _ = line;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its id.
    pub id: ChildId,
    /// Its actor, if it has one.
    pub cell: Option<ActorCell>,
    /// Where it is in its life.
    pub state: ChildState,
    /// What it is.
    pub child_type: ChildType,
    /// When it is restarted.
    pub restart: Restart,
    /// How many incarnations there have been.
    pub generation: u64,
    /// How many of them were restarts after a failure, its own or a sibling's.
    pub restarts: u64,
    /// Its last ends by itself and failed restarts, oldest first; 16 at most.
    pub history: Vec<HistoryEntry>,
}

/// The numbers of [`count_children`](crate::SupervisorRef::count_children).
///
/// ```
/// use supervisor::ChildCounts;
/// assert_eq!(ChildCounts::default().active, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// How many specifications there are; always 1 for dynamic children.
    pub specs: usize,
    /// How many children have an actor.
    pub active: usize,
    /// How many children are supervisors, running or not.
    pub supervisors: usize,
    /// How many children are workers, running or not.
    pub workers: usize,
}

/// A supervisor as [`info`](crate::SupervisorRef::info) shows it.
///
/// ```
/// use supervisor::SupervisorInfo;
/// let line = |it: &SupervisorInfo| format!("{}: {} of {} restarts used", it.path, it.restarts_used, it.flags.intensity);
/// # let _ = line;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorInfo {
    /// Its path from the root.
    pub path: Arc<str>,
    /// Its actor.
    pub cell: ActorCell,
    /// Whether its children are dynamic.
    pub dynamic: bool,
    /// Its strategy, intensity, period and the rest.
    pub flags: SupFlags,
    /// How many restarts count at the moment; one more than the intensity is too many.
    pub restarts_used: usize,
    /// How many children it has.
    pub counts: ChildCounts,
}
