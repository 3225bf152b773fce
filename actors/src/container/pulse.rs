//! The probes of a running container, and what is kept of its runs.

use super::{
    ContainerMsg, ContainerState,
    look::{Look, Sight},
    machine::Part,
    note::Note,
    probe::Prober,
    vitals::{Answer, Follow, Kind, Vitals},
};
use crate::{supply::given, worker};
use engine::ProcessRef;
use protocol::Health;
use ractor::{ActorProcessingErr, ActorRef};
use std::path::PathBuf;

impl ContainerState {
    /// Begins to probe a container that runs anew.
    pub(super) async fn probe(&mut self, myself: &ActorRef<ContainerMsg>) -> Result<(), ActorProcessingErr> {
        self.stop_probing();
        self.because = None;
        let Some((_, run)) = self.machine.up() else { return Ok(()) };
        let Some(id) = self.machine.id(Part::Container).map(str::to_owned) else { return Ok(()) };
        let came_up = self.machine.note_mut().about_run(&id, run).came_up;
        self.vitals = Some(Vitals::new(&self.args.service, came_up));
        self.ask(myself).await
    }

    /// Starts the probes that are to ask now.
    async fn ask(&mut self, myself: &ActorRef<ContainerMsg>) -> Result<(), ActorProcessingErr> {
        self.probers.drain(..).for_each(|prober| prober.kill());
        let Some((process, _)) = self.machine.up() else { return Ok(()) };
        let id = self.machine.id(Part::Container).unwrap_or_default();
        let service = &self.args.service;
        for kind in self.vitals.as_ref().map(Vitals::asking).unwrap_or_default() {
            let probe = match kind {
                Kind::Startup => &service.startup,
                Kind::Readiness => &service.readiness,
                Kind::Liveness => &service.liveness,
            };
            let Some(probe) = probe else { continue };
            let prober = Prober::new(&self.args.ctx, service, id, kind, probe);
            let me = myself.clone();
            let report = move |answer| me.cast(ContainerMsg::Probed(process, kind, answer)).is_ok();
            self.probers.push(worker::run(myself.get_cell(), prober.run(report)).await?);
        }
        Ok(())
    }

    /// A probe has its answer.
    pub(super) async fn probed(
        &mut self,
        myself: &ActorRef<ContainerMsg>,
        (process, kind, answer): (ProcessRef, Kind, Answer),
    ) -> Result<(), ActorProcessingErr> {
        let Some((_, run)) = self.machine.up().filter(|(up, _)| *up == process) else {
            return Ok(()); // of an earlier run
        };
        let Some(vitals) = &mut self.vitals else { return Ok(()) };
        match vitals.hears(kind, answer) {
            Follow::Nothing => {}
            Follow::CameUp => {
                let id = self.machine.id(Part::Container).unwrap_or_default().to_owned();
                self.machine.note_mut().about_run(&id, run).came_up = true;
                self.ask(myself).await?;
            }
            Follow::Dead(exit) => {
                tracing::warn!(container = %self.args.service.spec.name, reason = %exit, "container is to be restarted");
                self.stop_probing();
                self.machine.condemn(exit);
            }
        }
        Ok(())
    }

    /// Which of the secrets that the owner gives it would be made with now.
    pub(super) fn given(&self) -> String {
        let args = &self.args;
        let spec = &args.service.spec;
        let uses = |name: &str| {
            spec.secrets.iter().any(|secret| secret.source == name)
                || spec.secret_env.values().any(|it| it == name)
        };
        given::revisions(&args.ctx.secrets_dir(&args.app), &args.plan.rendered.external_secrets, uses)
    }

    /// One that was made with a secret that has been changed since is of another configuration.
    pub(super) fn as_made(&self, mut sight: Sight) -> Sight {
        if self.args.plan.rendered.external_secrets.is_empty() {
            return sight;
        }
        let note = self.machine.note();
        let outdated = |id: &String| *id == note.container && note.secrets != self.given();
        match &mut sight.container {
            Look::Down { id, stale, .. } => *stale |= outdated(id),
            Look::Up(up) => up.stale |= outdated(&up.id),
            Look::Absent | Look::Foreign | Look::Behind { .. } => {}
        }
        sight
    }

    pub(super) fn stop_probing(&mut self) {
        self.probers.drain(..).for_each(|prober| prober.kill());
    }

    /// What its probes say, and whether all was done that belongs to being ready.
    pub(super) fn health(&self) -> Health {
        let health = self.vitals.as_ref().map_or(Health::None, Vitals::health);
        if self.machine.is_unfinished() && health != Health::Unhealthy { Health::Starting } else { health }
    }

    /// Keeps what was done over the lives of this actor and of the node.
    pub(super) fn keep_note(&mut self) -> Result<(), ActorProcessingErr> {
        if *self.machine.note() != self.kept {
            self.kept = self.machine.note().clone();
            if has_note(self) {
                self.kept.write(&path(self))?;
            }
        }
        Ok(())
    }

    /// What an earlier life has kept.
    pub(super) fn kept_note(&self) -> Note {
        if has_note(self) { Note::read(&path(self)) } else { Note::default() }
    }
}

/// Most services have nothing to keep.
fn has_note(state: &ContainerState) -> bool {
    let service = &state.args.service;
    !state.args.plan.rendered.external_secrets.is_empty()
        || service.startup.is_some()
        || !service.post_start.is_empty()
        || service.hooks != Default::default()
}

fn path(state: &ContainerState) -> PathBuf {
    let args = &state.args;
    args.ctx.notes_dir(&args.app).join(format!("{}.json", args.service.service))
}
