//! What the app is told of its containers: by their actors, and by the supervisor of those.

use super::{AppState, Fate};
use crate::{
    clock::{millis, now_ms},
    container::{ContainerExit, Status},
    stack::{self, Plan},
};
use apps::manifest::Strategy;
use protocol::{AppView, ContainerPhase, Health, ServiceName};
use ractor::ActorId;
use std::collections::BTreeMap;
use supervisor::ChildState;

/// What an earlier incarnation has shown last of each container; the board outlives it.
pub(super) fn last_shown(shown: Option<&AppView>, plan: &Plan) -> BTreeMap<ServiceName, Status> {
    use ContainerPhase as P;
    let shown = shown.map(|view| view.containers.as_slice()).unwrap_or_default();
    let status = |service: &ServiceName| {
        // The others are what was about to be done, or the supervisor's to say.
        let seen = shown.iter().find(|c| {
            c.service == *service && matches!(c.phase, P::Running | P::Exited | P::Created | P::Absent)
        });
        seen.map_or_else(Status::unknown, |seen| Status {
            phase: seen.phase,
            health: seen.health,
            id: seen.id.clone(),
            started_at: seen.started_at,
            since: seen.since,
            over: seen.ended,
            ..Status::unknown()
        })
    };
    plan.rendered.services.iter().map(|it| (it.service.clone(), status(&it.service))).collect()
}

impl AppState {
    /// An actor tells of its container.
    pub(super) fn told(&mut self, service: ServiceName, actor: ActorId, status: Status) {
        // A word may be on its way longer than its speaker lives.
        if self.voices.get(&service).is_some_and(|(last, lives)| actor < *last || actor == *last && !lives) {
            return;
        }
        self.voices.insert(service.clone(), (actor, true));
        if self.engine_ok {
            self.observed_at = now_ms();
        }
        self.backoff.remove(&service);
        self.parked.remove(&service);
        self.held.remove(&service);
        match self.statuses.get_mut(&service) {
            // A new incarnation that has not looked yet knows less than what was seen, but nothing is settled.
            Some(seen) if status.phase == ContainerPhase::Unknown => {
                seen.settled = None;
                seen.order = status.order;
                if status.trouble.is_some() {
                    seen.trouble = status.trouble;
                }
            }
            _ => drop(self.statuses.insert(service, status)),
        }
    }

    pub(super) fn fate(&mut self, fate: Fate) {
        match fate {
            Fate::Ended(service, actor, exit) => {
                self.silence(&service, actor);
                match exit {
                    // An actor's failure says nothing about its container, and this one leaves it running.
                    None | Some(ContainerExit::NetworkLost) => {}
                    Some(_) => self.becomes(&service, ContainerPhase::Exited),
                }
            }
            Fate::Backoff(service, until) => {
                self.becomes(&service, ContainerPhase::Backoff);
                self.hold_group(&service);
                self.backoff.insert(service, until);
            }
            Fate::Parked(service, retry_at) => {
                self.becomes(&service, ContainerPhase::Parked);
                self.hold_group(&service);
                self.backoff.remove(&service);
                self.parked.insert(service, retry_at);
            }
            Fate::Unparked(service) => {
                self.parked.remove(&service);
                self.statuses.insert(service, Status::unknown());
            }
        }
    }

    /// Whom this container's group waits for and since when, and whether that one is given up.
    pub(super) fn held(&self, service: &ServiceName) -> Option<(&ServiceName, u64, bool)> {
        let (culprit, since) = self.held.get(service)?;
        let parked = self.parked.contains_key(culprit);
        (parked || self.backoff.contains_key(culprit)).then_some((culprit, *since, parked))
    }

    /// Nobody speaks of this container any more, until a new actor does.
    fn silence(&mut self, service: &ServiceName, actor: Option<ActorId>) {
        if let Some((last, lives)) = self.voices.get_mut(service)
            && actor.is_none_or(|ended| ended >= *last)
        {
            (*last, *lives) = (actor.unwrap_or(*last), false);
        } else if let Some(actor) = actor {
            self.voices.entry(service.clone()).or_insert((actor, false));
        }
        if let Some(status) = self.statuses.get_mut(service) {
            status.settled = None;
        }
    }

    fn becomes(&mut self, service: &ServiceName, phase: ContainerPhase) {
        let Some(status) = self.statuses.get_mut(service) else { return };
        status.settled = None;
        status.over = None;
        status.health = Health::None;
        status.started_at = None;
        if status.phase != phase {
            status.phase = phase;
            status.since = now_ms();
        }
    }

    /// The strategy has ended the actors of the group with that of the one that failed.
    fn hold_group(&mut self, culprit: &ServiceName) {
        let all: Vec<_> = self.plan.rendered.services.iter().map(|s| s.service.clone()).collect();
        let first = match self.plan.manifest.supervisor.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => 0,
            Strategy::RestForOne => all.iter().position(|it| it == culprit).unwrap_or(all.len()),
        };
        for service in all.into_iter().skip(first).filter(|it| it != culprit) {
            self.silence(&service, None);
            self.held.insert(service, (culprit.clone(), now_ms()));
        }
    }

    /// Gives containers another chance: those that are given up, and those that wait for their next start.
    pub(super) async fn reset(&mut self) {
        let Some(containers) = self.containers() else { return };
        let children = containers.which_children().await.unwrap_or_default();
        for child in children {
            if matches!(child.state, ChildState::Parked | ChildState::Restarting { until: Some(_), .. }) {
                let asked = child.id.as_str().parse().map(|it| stack::container_path(&self.plan.id, &it));
                if let Ok(path) = asked {
                    self.ctx.tree.ask_for(&path);
                }
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
                ChildState::Parked => {
                    let path = stack::container_path(&self.plan.id, &service);
                    let retry_at = self.ctx.tree.record(&path).retry_at;
                    self.fate(Fate::Parked(service, retry_at));
                }
                ChildState::Restarting { until: Some(until), .. } => {
                    self.fate(Fate::Backoff(service, millis(until)))
                }
                _ => {}
            }
        }
    }
}
