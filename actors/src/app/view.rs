//! The row of an app, put together from what its actor knows.

use super::{AppState, phase};
use crate::{clock::now_ms, container::Status, operation::Hold, stack};
use apps::manifest::{Condition, Kind};
use protocol::{
    AppView, Confidence, ContainerPhase, ContainerView, Desired, Health, LaunchUrl, ServiceName, WaitView,
};

impl AppState {
    /// The row as of now. Times stay as they were where nothing else has changed.
    pub(super) fn view(&self) -> AppView {
        let containers = self.container_views();
        // One that has ended for good is no more to be brought up, and one that did so badly is told apart.
        let lasting = containers.iter().filter(|c| c.ended.is_none());
        let words: Vec<_> =
            lasting.map(|c| (c.service.as_str(), c.phase, c.health, c.reason.as_deref())).collect();
        let failed = containers.iter().find(|c| c.ended.is_some_and(|code| code != 0));
        let failed = failed.map(|c| format!("{} {}", c.service, c.reason.as_deref().unwrap_or_default()));
        let (held, misses) = (self.needs.held(), self.needs.misses());
        let facts = phase::Facts {
            held: held.as_deref(),
            misses: misses.as_deref(),
            failed: failed.as_deref(),
            draining: self.needs.is_draining(),
            desired: self.desired,
            installed: self.installed,
            op: self.op.as_ref().map(|op| op.kind),
            parked: !self.parked.is_empty(),
            containers: &words,
        };
        let (phase, mut reason) = phase::phase(&facts);
        if phase == protocol::Phase::CrashLooping {
            reason = Some(self.crash_reason(&containers));
        }
        let old = self.shown.as_ref();
        let since = old.filter(|old| old.phase == phase).map_or_else(now_ms, |old| old.since);
        let manifest = &self.plan.manifest;
        AppView {
            id: self.plan.id.clone(),
            name: manifest.name.clone(),
            tagline: manifest.metadata.tagline.clone(),
            version: manifest.version.clone(),
            installed: self.installed,
            phase,
            reason,
            since,
            observed_at: self.observed_at,
            confidence: if self.engine_ok { Confidence::Live } else { Confidence::LastKnown },
            desired: self.desired,
            op: self.op.as_ref().map(|op| op.id.clone()),
            last_op: self.last_op.clone(),
            wait: match self.needs.waits() {
                [] => containers.iter().flat_map(|c| c.wait.clone()).collect(),
                waits => waits.to_vec(),
            },
            restarts: containers.iter().map(|c| c.restarts).sum(),
            containers,
            launch: self.launch(),
            next_retry: self.parked.values().filter_map(|at| *at).min(),
            update: self.ctx.offers.of(&self.plan.id).filter(|it| self.installed && *it != manifest.version),
            backup: self.backup.clone(),
            category: manifest.metadata.category.clone(),
            icon: manifest.metadata.icon.is_some(),
        }
    }

    fn container_views(&self) -> Vec<ContainerView> {
        let services = self.plan.rendered.services.iter();
        let view = |service: &apps::RenderedService| {
            let status = self.statuses.get(&service.service)?;
            if let Some(held) = self.held(&service.service) {
                return Some(self.held_view(service, status, held));
            }
            let record = self.ctx.tree.record(&stack::container_path(&self.plan.id, &service.service));
            let waiting = status.phase == ContainerPhase::Waiting;
            let unmet =
                service.depends_on.iter().filter(|(on, condition)| waiting && !self.is_there(on, *condition));
            let wait = |(on, condition): &(protocol::ServiceName, Condition)| WaitView {
                on: on.to_string(),
                condition: condition.as_str().into(),
                progress: None,
                app: None,
                state: None,
                detail: None,
                may_skip: false,
            };
            let wait: Vec<WaitView> = match self.needs.waits() {
                waits if waiting && !waits.is_empty() => waits.to_vec(),
                _ => unmet.map(wait).collect(),
            };
            let phase = match status.phase {
                // What it waited for is there; it has just not heard of it.
                ContainerPhase::Waiting if wait.is_empty() => ContainerPhase::Starting,
                // It is down, and not all that belongs to it.
                ContainerPhase::Absent
                | ContainerPhase::Created
                | ContainerPhase::Exited
                | ContainerPhase::Backoff
                | ContainerPhase::Parked
                    if self.is_going_down() && !self.is_down(&service.service) =>
                {
                    ContainerPhase::Stopping
                }
                phase => phase,
            };
            let fell =
                matches!(phase, ContainerPhase::Exited | ContainerPhase::Backoff | ContainerPhase::Parked);
            let down = fell && self.desired == Desired::Running && status.over.is_none();
            let failed = status.over.filter(|code| *code != 0);
            let failed = failed.map(|code| format!("ended with code {code} and is not started again"));
            Some(ContainerView {
                service: service.service.clone(),
                name: service.spec.name.clone(),
                id: status.id.clone(),
                phase,
                health: status.health,
                wait,
                reason: status.trouble.clone().or(failed).or_else(|| record.reason.filter(|_| down)),
                since: status.since,
                started_at: status.started_at,
                restarts: record.restarts,
                last_restart: record.last_restart,
                last_exit: record.last_exit,
                ended: status.over,
                image: service.spec.image.clone(),
            })
        };
        services.filter_map(view).collect()
    }

    /// How many containers should run and are still to be started; those that nobody has looked at may run.
    pub(super) fn coming(&self, view: &AppView) -> usize {
        use ContainerPhase as P;
        // What waits for another app may do so for days.
        let wanted =
            self.hold == Hold::None && self.desired == Desired::Running && self.needs.waits().is_empty();
        let is_coming =
            |c: &&ContainerView| c.ended.is_none() && !matches!(c.phase, P::Unknown | P::Running | P::Parked);
        if wanted { view.containers.iter().filter(is_coming).count() } else { 0 }
    }

    /// One that nobody looks after while its group waits: what is shown is that, and what was seen last.
    fn held_view(
        &self,
        service: &apps::RenderedService,
        status: &Status,
        (culprit, since, parked): (&ServiceName, u64, bool),
    ) -> ContainerView {
        let record = self.ctx.tree.record(&stack::container_path(&self.plan.id, &service.service));
        let last = match status.phase {
            ContainerPhase::Unknown => String::new(),
            ContainerPhase::Running => "; it ran when it was last seen".into(),
            _ => "; it did not run when it was last seen".into(),
        };
        let phase = match (self.is_going_down(), parked) {
            (true, _) => ContainerPhase::Stopping,
            (false, true) => ContainerPhase::Parked,
            (false, false) => ContainerPhase::Backoff,
        };
        let fate = if parked { "is given up" } else { "waits for its restart" };
        ContainerView {
            service: service.service.clone(),
            name: service.spec.name.clone(),
            id: status.id.clone(),
            phase,
            health: Health::None,
            wait: vec![WaitView {
                on: culprit.to_string(),
                condition: "service_restarted".into(),
                progress: None,
                app: None,
                state: None,
                detail: None,
                may_skip: false,
            }],
            reason: Some(format!("restarted after {culprit}, which {fate}{last}")),
            since,
            started_at: None,
            restarts: record.restarts,
            last_restart: record.last_restart,
            last_exit: record.last_exit,
            ended: None,
            image: service.spec.image.clone(),
        }
    }

    fn crash_reason(&self, containers: &[ContainerView]) -> String {
        let supervisor = &self.plan.manifest.supervisor;
        let window = supervisor.period.0.as_secs();
        // Those of its group wait for it.
        let given_up = containers.iter().find(|c| c.phase == ContainerPhase::Parked && c.wait.is_empty());
        let last =
            given_up.and_then(|c| c.reason.as_ref().map(|reason| format!("{}: {reason}; ", c.service)));
        format!(
            "{}more than {} restarts in {window} s, given up until the next attempt or a start",
            last.unwrap_or_default(),
            supervisor.intensity
        )
    }

    fn launch(&self) -> Vec<LaunchUrl> {
        let interface = |(name, interface): (&String, &apps::manifest::Interface)| {
            let service = self.plan.rendered.services.iter().find(|s| s.service == interface.service)?;
            let (_, port) = service.ports.iter().find(|(name, _)| *name == interface.port)?;
            Some(LaunchUrl {
                name: name.clone(),
                scheme: interface.scheme.as_str().into(),
                port: port.published,
                path: interface.path.clone(),
                url: None,
            })
        };
        let manifest = &self.plan.manifest;
        // A link has nothing on the node, and leads elsewhere.
        let elsewhere = manifest.metadata.website.clone().filter(|_| manifest.kind == Kind::Link);
        let elsewhere = elsewhere.map(|url| LaunchUrl {
            name: "website".into(),
            scheme: if url.starts_with("http://") { "http" } else { "https" }.into(),
            port: 0,
            path: "/".into(),
            url: Some(url),
        });
        elsewhere.into_iter().chain(manifest.interfaces.iter().filter_map(interface)).collect()
    }
}
