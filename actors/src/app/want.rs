//! What the app wants of its containers, from what the user wants and from what is there.

use super::AppState;
use crate::{
    container::{ContainerMsg, Want},
    names::name,
    operation::Hold,
};
use apps::manifest::Condition;
use protocol::{ContainerPhase, Desired, Health, ServiceName};
use std::sync::Arc;
use ulid::Ulid;

impl AppState {
    /// Tells every container what is wanted of it.
    pub(super) fn steer(&mut self) {
        let plan = Arc::clone(&self.plan);
        for service in &plan.rendered.services {
            let want = self.want(&service.service, &service.depends_on);
            let order = match self.orders.get(&service.service) {
                Some((last, order)) if *last == want => *order,
                // What was settled before says nothing about it.
                _ => Ulid::new(),
            };
            self.orders.insert(service.service.clone(), (want, order));
            let container = name::container(&plan.id, &service.service);
            // One that is not there asks when it is.
            self.ctx.names.cast(&container, ContainerMsg::Want(want, order));
        }
    }

    fn want(&self, service: &ServiceName, needs: &[(ServiceName, Condition)]) -> Want {
        let desired = match &self.hold {
            Hold::Nothing => return Want::Nothing,
            Hold::Stop => Desired::Stopped,
            Hold::StopThese(these) if these.contains(service) => Desired::Stopped,
            Hold::None | Hold::StopThese(_) => self.desired,
        };
        let down = match desired {
            Desired::Running if self.needs.is_draining() => Want::Stop,
            Desired::Running => {
                return Want::Run {
                    clear: self.needs.is_clear()
                        && needs.iter().all(|(on, condition)| self.is_there(on, *condition)),
                };
            }
            Desired::Stopped => Want::Stop,
            // An install that failed leaves what it found as it found it.
            Desired::Absent if !self.installed => Want::GiveBack,
            Desired::Absent => Want::Remove,
        };
        // Those that depend on it end first, if they are to end.
        let ends = |other: &ServiceName| match &self.hold {
            Hold::StopThese(these) if self.desired == Desired::Running => these.contains(other),
            _ => true,
        };
        let services = self.plan.rendered.services.iter();
        let dependants =
            services.filter(|s| s.depends_on.iter().any(|(on, _)| on == service) && ends(&s.service));
        let all_down = dependants.into_iter().all(|s| self.is_down(&s.service));
        if all_down { down } else { Want::Nothing }
    }

    /// Whether its containers are told to stop.
    pub(super) fn is_going_down(&self) -> bool {
        match &self.hold {
            Hold::Nothing => false,
            Hold::Stop => true,
            Hold::None | Hold::StopThese(_) => self.desired != Desired::Running || self.needs.is_draining(),
        }
    }

    /// Whether it is down because it should be, as of what is wanted now.
    pub(super) fn is_down(&self, service: &ServiceName) -> bool {
        let order = self.orders.get(service).map(|(_, order)| *order);
        self.statuses.get(service).is_some_and(|status| status.is_at_rest(order))
    }

    pub(super) fn is_there(&self, service: &ServiceName, condition: Condition) -> bool {
        let Some(status) = self.statuses.get(service) else { return false };
        // One that has ended well was there, and is as far as it comes.
        let (runs, completed) = (status.phase == ContainerPhase::Running, status.over == Some(0));
        self.voices.get(service).is_some_and(|(_, lives)| *lives)
            && match condition {
                Condition::ServiceStarted => runs || completed,
                Condition::ServiceHealthy => {
                    runs && matches!(status.health, Health::Healthy | Health::None) || completed
                }
                Condition::ServiceCompletedSuccessfully => completed,
            }
    }
}
