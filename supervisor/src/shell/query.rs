//! Answers to questions, which never wait.

use ractor::ActorRef;

use super::{SupMsg, SupState, Wanted};
use crate::core::{Child, Phase};
use crate::{ChildCounts, ChildInfo, ChildSpec, ChildState, HistoryEntry, SupervisorInfo};

impl SupState {
    pub(super) fn which_children(&self) -> Vec<ChildInfo> {
        self.core
            .children
            .iter()
            .map(|(slot, child)| ChildInfo {
                id: child.spec.id.clone(),
                cell: self.places.get(slot as usize).and_then(|place| place.cell.clone()),
                state: self.state_of(child),
                child_type: child.spec.child_type,
                restart: child.spec.restart,
                generation: child.generation,
                restarts: child.restarts,
                history: child
                    .history
                    .iter()
                    .map(|ended| HistoryEntry {
                        at: self.wall_clock(ended.at),
                        generation: ended.generation,
                        reason: ended.reason.clone(),
                    })
                    .collect(),
            })
            .collect()
    }

    fn state_of(&self, child: &Child) -> ChildState {
        match &child.phase {
            Phase::Undefined | Phase::Exited(_) => ChildState::Undefined,
            Phase::Starting if child.origin.is_some() => {
                ChildState::Restarting { until: None, attempt: child.attempt }
            }
            Phase::Starting => ChildState::Starting,
            Phase::Running => ChildState::Running,
            Phase::Stopping(_) => ChildState::Stopping,
            Phase::Restarting(until) => ChildState::Restarting {
                until: until.map(|until| self.wall_clock(until)),
                attempt: child.attempt,
            },
            Phase::Parked => ChildState::Parked,
            Phase::Unkillable { .. } => ChildState::Unkillable,
        }
    }

    pub(super) fn count_children(&self) -> ChildCounts {
        let counts = self.core.children.counts();
        ChildCounts {
            specs: if self.core.simple { 1 } else { counts.specs },
            active: counts.active,
            supervisors: counts.supervisors,
            workers: counts.workers,
        }
    }

    pub(super) fn info(&self, myself: &ActorRef<SupMsg>) -> SupervisorInfo {
        SupervisorInfo {
            path: self.path.clone(),
            cell: myself.get_cell(),
            dynamic: self.core.simple,
            flags: self.core.flags.clone(),
            restarts_used: self.core.restarts_used(self.now()),
            counts: self.count_children(),
        }
    }

    pub(super) fn childspec(&self, wanted: &Wanted) -> Option<ChildSpec> {
        let slot = match wanted {
            Wanted::Id(id) => self.core.children.find(id)?,
            Wanted::Cell(id) => self.actors.get(id)?.0,
        };
        self.core.children.get(slot).map(|child| child.spec.clone())
    }
}
