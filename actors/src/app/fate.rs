//! What the containers' supervisor makes of them, as the app knows it.

use super::{AppState, Fate};
use crate::{
    clock::{millis, now_ms},
    container::Status,
};
use protocol::{ContainerPhase, Health, ServiceName};
use supervisor::ChildState;

impl AppState {
    pub(super) fn fate(&mut self, fate: Fate) {
        match fate {
            Fate::Ended(service) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.health = Health::None;
                    status.started_at = None;
                    if status.phase != ContainerPhase::Exited {
                        status.phase = ContainerPhase::Exited;
                        status.since = now_ms();
                    }
                }
            }
            Fate::Backoff(service, until) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.phase = ContainerPhase::Backoff;
                    status.since = now_ms();
                }
                self.backoff.insert(service, until);
            }
            Fate::Parked(service, retry_at) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.phase = ContainerPhase::Parked;
                    status.since = now_ms();
                }
                self.parked.insert(service, retry_at);
            }
            Fate::Unparked(service) => {
                self.parked.remove(&service);
                self.statuses.insert(service, Status::unknown());
            }
        }
    }

    /// Gives containers another chance: those that are given up, and those that wait for their next start.
    pub(super) async fn reset(&mut self) {
        let Some(containers) = self.containers() else { return };
        let children = containers.which_children().await.unwrap_or_default();
        for child in children {
            if matches!(child.state, ChildState::Parked | ChildState::Restarting { until: Some(_), .. }) {
                if let Err(error) = containers.restart_child(child.id.clone()).await {
                    tracing::debug!(app = %self.plan.id, container = %child.id, %error, "container was not waiting");
                }
                if let Ok(service) = child.id.as_str().parse() {
                    self.fate(Fate::Unparked(service));
                }
            }
        }
        self.backoff.clear();
    }

    /// Asks the containers' supervisor who waits or is given up.
    pub(super) async fn ask_supervisor(&mut self) {
        let Some(containers) = self.containers() else { return };
        for child in containers.which_children().await.unwrap_or_default() {
            let Ok(service) = child.id.as_str().parse::<ServiceName>() else { continue };
            match child.state {
                ChildState::Parked => self.fate(Fate::Parked(service, None)),
                ChildState::Restarting { until: Some(until), .. } => {
                    self.fate(Fate::Backoff(service, millis(until)))
                }
                _ => {}
            }
        }
    }
}
