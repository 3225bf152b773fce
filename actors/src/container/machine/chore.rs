//! What the manifest asks for beyond running a container: files and commands inside of it, and an end for good.

use super::{Effect, Job, Machine, Seen, Want};
use crate::container::{exit::ContainerExit, note::Note};
use apps::{RenderedService, manifest::RestartPolicy};
use engine::EngineError;
use std::time::Duration;

/// Something that is done inside of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Copy the hooks' files, before its first start.
    Copy,
    /// Run the commands after its start.
    Greet,
    /// Run the hooks' commands, once it is ready for the first time.
    Install,
}

/// What the manifest asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Duties {
    /// Which ends lead to a restart.
    pub(crate) restart: RestartPolicy,
    /// Digest of the hooks, where they copy files.
    pub(crate) copies: Option<String>,
    /// The same, where they have commands.
    pub(crate) commands: Option<String>,
    /// Whether there are commands after the start.
    pub(crate) greets: bool,
}

impl Duties {
    /// Of a service.
    pub(crate) fn of(service: &RenderedService) -> Self {
        let hooks = &service.hooks;
        Self {
            restart: service.restart,
            copies: (!hooks.copies.is_empty()).then(|| hooks.digest()),
            commands: (!hooks.commands.is_empty()).then(|| hooks.digest()),
            greets: !service.post_start.is_empty(),
        }
    }
}

impl Machine {
    /// What the manifest asks for, what of it was done, and whether its container failed before this incarnation.
    pub(crate) fn with(mut self, duties: Duties, note: Note, failed: bool) -> Self {
        // One attempt is all that a service gets which is never restarted.
        self.fresh = failed && duties.restart != RestartPolicy::No;
        (self.duties, self.note) = (duties, note);
        self
    }

    /// What was done, to be kept.
    pub(crate) fn note(&self) -> &Note {
        &self.note
    }

    /// The same, to say more.
    pub(crate) fn note_mut(&mut self) -> &mut Note {
        &mut self.note
    }

    /// The code with which its run was over for good.
    pub(crate) fn over(&self) -> Option<i32> {
        let Seen::Down { ended: Some(code), stale: false, .. } = self.seen else { return None };
        let over = match self.duties.restart {
            RestartPolicy::Always | RestartPolicy::UnlessStopped => false,
            RestartPolicy::OnFailure => code == 0,
            RestartPolicy::No => true,
        };
        (over && !self.fresh && matches!(self.want, Want::Run { .. })).then_some(code)
    }

    /// The container has to be stopped, and that is its failure.
    pub(crate) fn condemn(&mut self, exit: ContainerExit) {
        if matches!(self.want, Want::Run { .. }) && self.condemned.is_none() {
            self.leave_chore();
            self.condemned = Some(exit);
        }
    }

    /// Restarts what runs, without a failure; says whether it will.
    pub(crate) fn bounce(&mut self) -> bool {
        if matches!(self.want, Want::Run { .. }) && matches!(self.seen, Seen::Up(_)) {
            self.leave_chore();
            self.bounce = true;
        }
        self.bounce
    }

    /// Its probes say that it can do its work, or not any more.
    pub(crate) fn set_fit(&mut self, fit: bool) {
        self.fit = fit;
    }

    /// Whether something has to be done in it before it counts as ready.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.seen, Seen::Up(_)) && (self.is_ungreeted() || self.is_bare())
    }

    /// What is to be done next.
    pub(super) fn chore(&self) -> Option<Chore> {
        match &self.seen {
            Seen::Down { id, .. } => {
                let copied = self.note.copied.as_ref().filter(|_| self.note.container == *id);
                (self.duties.copies.is_some() && copied != self.duties.copies.as_ref()).then_some(Chore::Copy)
            }
            Seen::Up(_) if self.is_ungreeted() => Some(Chore::Greet),
            Seen::Up(_) if self.fit && self.is_bare() => Some(Chore::Install),
            Seen::Up(_) | Seen::Unknown | Seen::Absent | Seen::Zombie { .. } => None,
        }
    }

    /// Whether its commands after the start have not been run in this run.
    fn is_ungreeted(&self) -> bool {
        let Seen::Up(up) = &self.seen else { return false };
        let same = self.note.container == up.id && self.note.run == up.started_at;
        self.duties.greets && !(same && self.note.greeted)
    }

    /// Whether the hooks' commands have not been run in this container.
    fn is_bare(&self) -> bool {
        let installed = self
            .note
            .installed
            .as_ref()
            .filter(|_| self.id(super::Part::Container) == Some(&self.note.container));
        self.duties.commands.is_some() && installed != self.duties.commands.as_ref()
    }

    /// Whether a chore is under way.
    pub(crate) fn is_at_chore(&self) -> bool {
        matches!(self.job, Some(Job::Chore(_)))
    }

    /// What is under way inside of the container is of no more use.
    pub(super) fn leave_chore(&mut self) {
        if self.is_at_chore() {
            self.job = None;
        }
    }

    /// A chore ended.
    pub(super) fn chore_done(&mut self, chore: Chore, result: Result<Option<String>, EngineError>) -> Effect {
        if self.job != Some(Job::Chore(chore)) {
            return Effect::None; // it was left
        }
        self.job = None;
        match result {
            Ok(_) => {
                self.refused = (0, None);
                let Some(id) = self.seen.id().map(str::to_owned) else { return Effect::None };
                let run = self.up().and_then(|(_, started_at)| started_at);
                match chore {
                    Chore::Copy => self.note.about(&id).copied = self.duties.copies.clone(),
                    Chore::Greet => self.note.about_run(&id, run).greeted = true,
                    Chore::Install => self.note.about(&id).installed = self.duties.commands.clone(),
                }
                Effect::None
            }
            Err(EngineError::Refused { subject, message }) => {
                let exit = ContainerExit::Hook { message: format!("{subject}: {message}") };
                if chore == Chore::Copy {
                    return self.fail(exit);
                }
                self.condemn(exit);
                Effect::None
            }
            Err(error) => {
                self.refused = (self.refused.0 + 1, Some(error.to_string()));
                self.rest(Duration::from_millis(250 << self.refused.0.min(7)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
