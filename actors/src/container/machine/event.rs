//! What happens to a service: deaths, hints, lists, and the ends of calls.

use super::{Effect, Job, Listed, Machine, Part, Seen, Want};
use crate::container::{
    exit::ContainerExit,
    look::{Lag, Look, Sight},
};
use apps::manifest::RestartPolicy;
use engine::{EngineError, ErrorClass, ProcessRef};
use std::{collections::BTreeMap, time::Duration};

/// Pause before the next look at an engine that is behind the kernel.
///
/// Most are told some 20 ms after the death, so the first pauses are short beside that.
fn lag_delay(lag: u32) -> Duration {
    Duration::from_millis(5 << lag.saturating_sub(2).min(8))
}

/// Looks that may find the engine behind before the container counts as a zombie.
///
/// A monitor that lives tells the engine in a moment, 4 s are plenty; an engine that cleans up takes its time on a loaded
/// machine, some 25 s; where nobody is left to tell it, a second look that agrees is enough.
pub(super) fn patience(why: Lag) -> u32 {
    match why {
        Lag::Telling => 11,
        Lag::Cleaning => 28,
        Lag::Unmonitored | Lag::Damaged => 1,
    }
}

impl Machine {
    /// The kernel says that a process ended.
    pub(crate) fn died(&mut self, dead: ProcessRef) {
        match &mut self.seen {
            Seen::Up(up) if up.process == dead => {
                self.gone = true;
                self.seen = Seen::Unknown;
                self.leave_chore();
            }
            Seen::Up(up) if up.monitor == Some(dead) => {
                up.monitor = None;
                self.recheck = true;
            }
            _ => {}
        }
        if matches!(&self.net, Some(Seen::Up(up))
            if up.process == dead || up.monitor == Some(dead))
        {
            self.net = Some(Seen::Unknown);
            self.net_gone = true;
        }
    }

    /// Something may have happened: look, and show what was seen last meanwhile.
    pub(crate) fn hint(&mut self) {
        self.recheck = true;
    }

    /// A list of all containers has this part like this.
    pub(crate) fn listed(&mut self, part: Part, found: Option<Listed<'_>>) {
        let seen = match part {
            Part::Container => &self.seen,
            Part::Anchor => match &self.net {
                Some(net) => net,
                None => return,
            },
        };
        let agrees = match (seen, found) {
            (Seen::Unknown, _) | (Seen::Absent, None) => true,
            (Seen::Up(up), Some(it)) => up.id == it.id && it.runs && it.process == Some(up.process),
            (Seen::Down { id, .. }, Some(it)) => id == it.id && !it.runs,
            (Seen::Absent | Seen::Zombie { .. }, Some(_)) | (_, None) => false,
        };
        self.recheck |= !agrees && self.job.is_none();
    }

    /// A timer that [`Effect::Again`] asked for has run out.
    pub(crate) fn rested(&mut self) {
        self.resting = false;
        self.recheck = true;
    }

    /// The call in flight takes longer than usual.
    pub(crate) fn slow(&mut self, words: String) {
        self.trouble = Some(words);
    }

    /// A look ended.
    pub(crate) fn looked(&mut self, look: Result<Sight, EngineError>) -> Effect {
        self.job = None;
        let Sight { container, anchor } = match look {
            Ok(sight) => sight,
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.blind += 1;
                return self.rest(Duration::from_millis(250 << self.blind.min(5)));
            }
        };
        self.blind = 0;
        self.trouble = None;
        let container = self.unless_reused(container);
        if let Some(delay) = self.lags([Some(&container), anchor.as_ref()].into_iter().flatten()) {
            self.gone |= matches!(container, Look::Behind { .. });
            return self.rest(delay);
        }
        let foreign = container == Look::Foreign || anchor == Some(Look::Foreign);
        self.net = anchor.map(|anchor| seen(&anchor));
        self.net_gone = false;
        let (before, wanted) =
            (std::mem::replace(&mut self.seen, seen(&container)), matches!(self.want, Want::Run { .. }));
        self.last_id = self.seen.id().map(str::to_owned);
        if foreign && wanted {
            return self.fail(ContainerExit::Foreign);
        }
        let damaged = |seen: &Seen| matches!(seen, Seen::Zombie { damaged: true, .. });
        if wanted && self.repaired && (damaged(&self.seen) || self.net.as_ref().is_some_and(damaged)) {
            return self.fail(ContainerExit::Damaged);
        }
        match container {
            Look::Absent if wanted && self.ran => self.fail(ContainerExit::Vanished),
            Look::Down { code, .. } if self.over().is_some() => {
                tracing::debug!(code, "run is over for good");
                (self.gone, self.ran, self.bounce) = (false, false, false);
                Effect::None
            }
            Look::Down { .. } if wanted && self.ran && self.condemned.is_some() => self.fail_condemned(),
            Look::Down { code, oom, .. } if wanted && self.ran => {
                self.fail(if oom { ContainerExit::OutOfMemory } else { ContainerExit::Exited { code } })
            }
            Look::Up(up) => {
                self.gone = false;
                if !self.is_reachable() {
                    // An incarnation that finds it so mends it; one that saw it well says what happened.
                    let fell = wanted && self.ran;
                    return if fell { self.fail(ContainerExit::NetworkLost) } else { Effect::None };
                }
                self.ran = wanted;
                self.repaired = false;
                if up.paused {
                    self.trouble = Some("paused from outside".into());
                } else if up.monitor.is_none() {
                    self.trouble = Some("its monitor is gone: it runs on, its log does not".into());
                }
                let known = matches!(before, Seen::Up(old) if old.process == up.process);
                if known { Effect::None } else { Effect::Probe }
            }
            Look::Absent | Look::Foreign | Look::Down { .. } | Look::Behind { .. } => {
                self.gone = false;
                Effect::None
            }
        }
    }

    /// How long to wait before the next look, where the engine is behind at a container and may catch up.
    ///
    /// Each container is counted on its own: both may be dead.
    fn lags<'a>(&mut self, looks: impl Iterator<Item = &'a Look>) -> Option<Duration> {
        let (mut lag, mut longest) = (BTreeMap::new(), None);
        for look in looks {
            let Look::Behind { id, why, .. } = look else { continue };
            let mut count = self.lag.get(id).copied().unwrap_or(0);
            if count < patience(*why) {
                count += 1;
                tracing::debug!(container = %id, lag = count, ?why, "engine is behind the kernel");
                longest = longest.max(Some(lag_delay(count)));
            }
            lag.insert(id.clone(), count);
        }
        self.lag = if longest.is_some() { lag } else { BTreeMap::new() };
        longest
    }

    /// Another process of the same pid in the same run of the container means that the first one is dead.
    fn unless_reused(&self, look: Look) -> Look {
        match (&self.seen, look) {
            (Seen::Up(old), Look::Up(up))
                if (&old.id, old.started_at) == (&up.id, up.started_at) && old.process != up.process =>
            {
                Look::Behind { id: up.id, why: Lag::Unmonitored, adopted: up.adopted }
            }
            (_, look) => look,
        }
    }

    /// A call other than a look ended.
    pub(crate) fn done(&mut self, job: Job, result: Result<Option<String>, EngineError>) -> Effect {
        if let Job::Chore(chore) = job {
            return self.chore_done(chore, result);
        }
        self.job = None;
        let (seen, part) = match job {
            Job::Create(Part::Anchor)
            | Job::Start(Part::Anchor)
            | Job::Stop(Part::Anchor)
            | Job::Remove(Part::Anchor) => (self.net.get_or_insert(Seen::Unknown), Part::Anchor),
            _ => (&mut self.seen, Part::Container),
        };
        let before = seen.clone();
        if result.is_ok() || !matches!(seen, Seen::Up(_)) {
            *seen = Seen::Unknown;
        }
        match (job, result) {
            (Job::Create(_), Ok(Some(id))) => {
                *seen = Seen::Down { id, ran: false, stale: false, adopted: false, ended: None }
            }
            (Job::Start(Part::Container), Ok(_)) => {
                self.ran = matches!(self.want, Want::Run { .. });
                self.bounce = false;
                self.fresh = false;
                self.epitaph = None;
            }
            (Job::Stop(Part::Container), Ok(_)) => {
                self.bounce = false;
                if self.condemned.is_some() {
                    return self.fail_condemned();
                }
                self.ran = false;
                // The node stopped it: that was no end of its own.
                self.fresh = true;
            }
            (Job::Remove(_), Ok(_) | Err(EngineError::NotFound { .. })) => {
                if part == Part::Container {
                    self.last_id = None;
                    self.gone = false;
                    self.ran = false;
                }
                match (before, self.want) {
                    (Seen::Zombie { damaged: true, .. }, Want::Run { .. }) => {
                        return self.fail(ContainerExit::Damaged);
                    }
                    (Seen::Zombie { .. }, Want::Run { .. }) if part == Part::Container => {
                        return self.fail(ContainerExit::Zombie);
                    }
                    _ => {}
                }
            }
            (_, Ok(_)) | (Job::Start(_) | Job::Stop(_) | Job::Unpause, Err(EngineError::NotFound { .. })) => {
            }
            (Job::Start(_), Err(EngineError::Damaged { .. })) => {
                if self.repaired {
                    return self.fail(ContainerExit::Damaged);
                }
            }
            // An engine in trouble says nothing about the container.
            (Job::Create(_) | Job::Start(_), Err(error)) if error.class() == ErrorClass::Rejected => {
                return self.fail(ContainerExit::from(error));
            }
            (_, Err(error)) => {
                self.refused = (self.refused.0 + 1, Some(error.to_string()));
                return self.rest(Duration::from_millis(250 << self.refused.0.min(7)));
            }
        }
        self.refused = (0, None);
        Effect::None
    }

    /// The end of a container that had to be stopped; one that is never restarted has ended for good.
    fn fail_condemned(&mut self) -> Effect {
        let Some(exit) = self.condemned.take() else { return Effect::None };
        self.ran = false;
        if self.duties.restart == RestartPolicy::No {
            self.epitaph = Some(exit.to_string());
            return Effect::None;
        }
        self.fail(exit)
    }

    /// The end: what is shown last is that the container is down, or cut off, not what would be done next.
    pub(super) fn fail(&mut self, exit: ContainerExit) -> Effect {
        if exit != ContainerExit::NetworkLost {
            self.seen = Seen::Unknown;
            self.gone = true;
        }
        Effect::Fail(exit)
    }

    pub(super) fn rest(&mut self, delay: Duration) -> Effect {
        self.resting = true;
        Effect::Again(delay)
    }
}

fn seen(look: &Look) -> Seen {
    match look.clone() {
        Look::Absent | Look::Foreign => Seen::Absent,
        Look::Down { id, ran, stale, adopted, ended, code, .. } => {
            Seen::Down { id, ran, stale, adopted, ended: ended.then_some(code) }
        }
        Look::Up(up) => Seen::Up(up),
        Look::Behind { id, why, adopted } => Seen::Zombie { id, damaged: why == Lag::Damaged, adopted },
    }
}
