//! The service's state machine: what is wanted and seen, to the next call to the engine. Pure.
//!
//! A service is a container and, where it has a network, the anchor that owns it. What is done, in this order:
//!
//! | container | anchor | wanted: run | stop | remove |
//! |---|---|---|---|---|
//! | unknown | any | look | look | look |
//! | zombie | any | remove, then fail | remove | remove |
//! | up | up or none needed | - (unpause; stop first when a sibling's failure asks for a restart) | stop | stop |
//! | up | any other | fail; the next incarnation stops it | stop | stop |
//! | down, stale | any | remove | stop the anchor | remove |
//! | down | zombie or stale | remove | remove | remove |
//! | down | absent, down | create, start the anchor | - | remove |
//! | down | up or none needed | start, once its dependencies are there | stop the anchor | remove |
//! | absent | zombie or stale | remove the anchor | remove the anchor | remove the anchor |
//! | absent | absent, down | create, start the anchor | - | remove the anchor |
//! | absent | up or none needed | create | stop the anchor | remove the anchor |
//!
//! Where nothing is wanted yet, nothing but looking is done. One call is in flight at a time.
//! A container that was up, is wanted and is not up any more ends the machine with a [`ContainerExit`]: the supervisor
//! decides what follows. What destroys needs two looks that agree on the same container.

use super::{
    exit::ContainerExit,
    look::{Lag, Look, Sight},
};
use apps::manifest::RestartPolicy;
use engine::{EngineError, ErrorClass, ProcessRef};
use protocol::ContainerPhase;
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
fn patience(why: Lag) -> u32 {
    match why {
        Lag::Telling => 11,
        Lag::Cleaning => 28,
        Lag::Unmonitored | Lag::Damaged => 1,
    }
}

/// What the app wants of its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Not decided: observe only.
    Nothing,
    /// It should run; `clear` says that its dependencies are there.
    Run {
        /// Whether it may be started.
        clear: bool,
    },
    /// It should not run.
    Stop,
    /// It should not be there.
    Remove,
    /// The same, and what was adopted is the user's again.
    GiveBack,
}

/// One of a service's two containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The one that owns the network.
    Anchor,
    /// The app's own.
    Container,
}

/// A call to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Inspect both.
    Look,
    /// Create.
    Create(Part),
    /// Start.
    Start(Part),
    /// Stop with the app's own grace.
    Stop(Part),
    /// Let a paused container go on.
    Unpause,
    /// Remove by force.
    Remove(Part),
}

/// What is known of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Unknown,
    Absent,
    Down {
        id: String,
        ran: bool,
        stale: bool,
        adopted: bool,
    },
    Up {
        id: String,
        adopted: bool,
        process: ProcessRef,
        monitor: Option<ProcessRef>,
        started_at: Option<u64>,
        paused: bool,
        adrift: bool,
        stale: bool,
    },
    Zombie {
        id: String,
        damaged: bool,
        adopted: bool,
    },
}

impl Seen {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Down { id, .. } | Self::Up { id, .. } | Self::Zombie { id, .. } => Some(id),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// What the actor does after an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing but the next job.
    None,
    /// The container runs anew: probe it.
    Probe,
    /// Look again after this time.
    Again(Duration),
    /// End with this reason.
    Fail(ContainerExit),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    want: Want,
    seen: Seen,
    /// The container's id as it was last seen.
    last_id: Option<String>,
    /// The anchor; `None` where there is none.
    net: Option<Seen>,
    job: Option<Job>,
    policy: RestartPolicy,
    /// It was up, or was told to start, in this incarnation and has not been stopped on purpose.
    ran: bool,
    /// The kernel said that its process ended.
    gone: bool,
    /// A sibling's container failed: restart this one.
    bounce: bool,
    /// It ended for good, by its restart policy.
    finished: bool,
    /// Looks in a row that found the engine behind at a container, by its id.
    lag: BTreeMap<String, u32>,
    /// Failed looks in a row.
    blind: u32,
    /// Calls that failed since one succeeded, and what the last one complained of.
    refused: (u32, Option<String>),
    /// Something may have happened: look next.
    recheck: bool,
    /// A look is due by a timer.
    resting: bool,
    trouble: Option<String>,
}

impl Machine {
    /// A new incarnation knows nothing. `bounce`: a sibling's container failed.
    pub(crate) fn new(policy: RestartPolicy, bounce: bool) -> Self {
        Self {
            want: Want::Nothing,
            seen: Seen::Unknown,
            last_id: None,
            net: None,
            job: None,
            policy,
            ran: false,
            gone: false,
            bounce,
            finished: false,
            lag: BTreeMap::new(),
            blind: 0,
            refused: (0, None),
            recheck: false,
            resting: false,
            trouble: None,
        }
    }

    /// The app wants something else.
    pub(crate) fn want(&mut self, want: Want) {
        if !matches!(want, Want::Run { .. }) {
            self.finished = false;
            self.ran = false;
        } else if matches!(self.seen, Seen::Up { .. }) && self.is_reachable() {
            self.ran = true;
        }
        if std::mem::discriminant(&self.want) != std::mem::discriminant(&want) {
            self.refused = (0, None);
        }
        self.want = want;
    }

    /// What the app wants, once nothing is left to be done for it.
    pub(crate) fn settled(&self) -> Option<Want> {
        let looks = self.recheck || self.seen == Seen::Unknown || self.net == Some(Seen::Unknown);
        (self.job.is_none() && !self.resting && !looks && self.step().is_none()).then_some(self.want)
    }

    /// The next call, which is then in flight.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        if self.job.is_some() || self.resting {
            return None;
        }
        let must_look = std::mem::take(&mut self.recheck)
            || self.seen == Seen::Unknown
            || self.net == Some(Seen::Unknown);
        self.job = if must_look { Some(Job::Look) } else { self.step() };
        self.job
    }

    fn step(&self) -> Option<Job> {
        use Part::{Anchor, Container};
        let run = match self.want {
            Want::Nothing => return None,
            Want::GiveBack if self.is_adopted() => return None,
            Want::Run { clear } => Some(clear),
            Want::Stop | Want::Remove | Want::GiveBack => None,
        };
        let remove = matches!(self.want, Want::Remove | Want::GiveBack);
        match &self.seen {
            Seen::Unknown => Some(Job::Look),
            Seen::Zombie { .. } => Some(Job::Remove(Container)),
            Seen::Up { .. } if run.is_none() || self.bounce || !self.is_reachable() => {
                Some(Job::Stop(Container))
            }
            Seen::Up { paused, .. } => paused.then_some(Job::Unpause),
            Seen::Down { .. } if remove => Some(Job::Remove(Container)),
            Seen::Down { stale: true, .. } if run.is_some() => Some(Job::Remove(Container)),
            Seen::Down { .. } if run.is_some() && self.finished => None,
            Seen::Down { .. } | Seen::Absent => match &self.net {
                // The container is bound to this very anchor: it goes first.
                Some(Seen::Zombie { .. }) if self.seen != Seen::Absent => Some(Job::Remove(Container)),
                Some(Seen::Zombie { .. }) => Some(Job::Remove(Anchor)),
                Some(Seen::Down { stale: true, .. } | Seen::Up { stale: true, .. }) if run.is_some() => {
                    Some(Job::Remove(if self.seen == Seen::Absent { Anchor } else { Container }))
                }
                Some(Seen::Down { .. }) if run.is_some() => Some(Job::Start(Anchor)),
                Some(Seen::Absent) if run.is_some() => Some(Job::Create(Anchor)),
                Some(Seen::Up { .. } | Seen::Down { .. }) if remove => Some(Job::Remove(Anchor)),
                Some(Seen::Up { .. }) if self.want == Want::Stop => Some(Job::Stop(Anchor)),
                Some(Seen::Unknown) => Some(Job::Look),
                None | Some(Seen::Up { .. } | Seen::Down { .. } | Seen::Absent) => match (&self.seen, run) {
                    (Seen::Absent, Some(_)) => Some(Job::Create(Container)),
                    (_, Some(true)) => Some(Job::Start(Container)),
                    (_, Some(false) | None) => None,
                },
            },
        }
    }

    fn is_adopted(&self) -> bool {
        matches!(
            self.seen,
            Seen::Up { adopted: true, .. }
                | Seen::Down { adopted: true, .. }
                | Seen::Zombie { adopted: true, .. }
        )
    }

    /// Whether the container, if it runs, has its network.
    fn is_reachable(&self) -> bool {
        let adrift = matches!(self.seen, Seen::Up { adrift: true, .. });
        !adrift && matches!(self.net, None | Some(Seen::Up { .. } | Seen::Unknown))
    }

    /// The kernel says that a process ended.
    pub(crate) fn died(&mut self, dead: ProcessRef) {
        match &mut self.seen {
            Seen::Up { process, .. } if *process == dead => {
                self.gone = true;
                self.seen = Seen::Unknown;
            }
            Seen::Up { monitor, .. } if *monitor == Some(dead) => {
                *monitor = None;
                self.recheck = true;
            }
            _ => {}
        }
        if matches!(&self.net, Some(Seen::Up { process, monitor, .. })
            if *process == dead || *monitor == Some(dead))
        {
            self.net = Some(Seen::Unknown);
        }
    }

    /// Something may have happened: look, and show what was seen last meanwhile.
    pub(crate) fn hint(&mut self) {
        self.recheck = true;
    }

    /// A list of all containers has this part as running or not.
    pub(crate) fn listed(&mut self, part: Part, found: Option<(&str, bool)>) {
        let seen = match part {
            Part::Container => &self.seen,
            Part::Anchor => match &self.net {
                Some(net) => net,
                None => return,
            },
        };
        let agrees = match (seen, found) {
            (Seen::Unknown, _) | (Seen::Absent, None) => true,
            (Seen::Up { id, .. }, Some((listed, running))) => id == listed && running,
            (Seen::Down { id, .. }, Some((listed, running))) => id == listed && !running,
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
        let (before, wanted) =
            (std::mem::replace(&mut self.seen, seen(&container)), matches!(self.want, Want::Run { .. }));
        self.last_id = self.seen.id().map(str::to_owned);
        if foreign && wanted {
            return self.fail(ContainerExit::Foreign);
        }
        match container {
            Look::Absent if wanted && self.ran => self.fail(ContainerExit::Vanished),
            Look::Down { code, oom, .. } if wanted && self.ran => {
                if self.stays_down(code) {
                    (self.finished, self.ran, self.gone) = (true, false, false);
                    return Effect::None;
                }
                self.fail(if oom { ContainerExit::OutOfMemory } else { ContainerExit::Exited { code } })
            }
            Look::Up { process, monitor, paused, .. } => {
                self.gone = false;
                if !self.is_reachable() {
                    // An incarnation that finds it so mends it; one that saw it well says what happened.
                    let fell = wanted && self.ran;
                    return if fell { self.fail(ContainerExit::NetworkLost) } else { Effect::None };
                }
                self.ran = wanted;
                if paused {
                    self.trouble = Some("paused from outside".into());
                } else if monitor.is_none() {
                    self.trouble = Some("its monitor is gone: it runs on, its log does not".into());
                }
                let known = matches!(before, Seen::Up { process: old, .. } if old == process);
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
            (
                Seen::Up { id: old, process: first, started_at: then, .. },
                Look::Up { id, process, started_at, adopted, .. },
            ) if *old == id && *then == started_at && *first != process => {
                Look::Behind { id, why: Lag::Unmonitored, adopted }
            }
            (_, look) => look,
        }
    }

    /// A call other than a look ended.
    pub(crate) fn done(&mut self, job: Job, result: Result<Option<String>, EngineError>) -> Effect {
        self.job = None;
        let (seen, part) = match job {
            Job::Create(Part::Anchor)
            | Job::Start(Part::Anchor)
            | Job::Stop(Part::Anchor)
            | Job::Remove(Part::Anchor) => (self.net.get_or_insert(Seen::Unknown), Part::Anchor),
            _ => (&mut self.seen, Part::Container),
        };
        let before = seen.clone();
        if result.is_ok() || !matches!(seen, Seen::Up { .. }) {
            *seen = Seen::Unknown;
        }
        match (job, result) {
            (Job::Create(_), Ok(Some(id))) => {
                *seen = Seen::Down { id, ran: false, stale: false, adopted: false }
            }
            (Job::Start(Part::Container), Ok(_)) => {
                self.ran = matches!(self.want, Want::Run { .. });
                self.bounce = false;
            }
            (Job::Stop(Part::Container), Ok(_)) => {
                self.ran = false;
                self.bounce = false;
            }
            (Job::Remove(_), Ok(_) | Err(EngineError::NotFound { .. })) => {
                if part == Part::Container {
                    self.last_id = None;
                    self.gone = false;
                    self.ran = false;
                    if let (Seen::Zombie { damaged, .. }, Want::Run { .. }) = (before, self.want) {
                        return self.fail(if damaged {
                            ContainerExit::Damaged
                        } else {
                            ContainerExit::Zombie
                        });
                    }
                }
            }
            (_, Ok(_)) | (Job::Start(_) | Job::Stop(_) | Job::Unpause, Err(EngineError::NotFound { .. })) => {
            }
            (Job::Create(_) | Job::Start(_), Err(error)) if error.class() != ErrorClass::Transient => {
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

    /// What to show.
    pub(crate) fn phase(&self) -> ContainerPhase {
        let net_is_there = matches!(&self.net, Some(Seen::Up { .. } | Seen::Zombie { .. } | Seen::Unknown));
        match (self.job, &self.seen) {
            (None, Seen::Up { .. } | Seen::Down { .. } | Seen::Zombie { .. })
                if self.want == Want::GiveBack && self.is_adopted() =>
            {
                ContainerPhase::Absent
            }
            (Some(Job::Create(_)), _) => ContainerPhase::Creating,
            (Some(Job::Start(_)), _) => ContainerPhase::Starting,
            (Some(Job::Stop(_) | Job::Remove(_)), _) => ContainerPhase::Stopping,
            (_, Seen::Unknown) if self.gone => ContainerPhase::Exited,
            (_, Seen::Unknown) if self.ran => ContainerPhase::Starting,
            (_, Seen::Unknown) => ContainerPhase::Unknown,
            // Its ports are still taken, its names still resolve.
            (_, Seen::Absent | Seen::Down { .. }) if self.want == Want::Stop && net_is_there => {
                ContainerPhase::Stopping
            }
            (_, Seen::Absent)
                if matches!(self.want, Want::Remove | Want::GiveBack)
                    && !matches!(self.net, None | Some(Seen::Absent)) =>
            {
                ContainerPhase::Stopping
            }
            (_, Seen::Absent) => ContainerPhase::Absent,
            (_, Seen::Zombie { .. }) => ContainerPhase::Exited,
            (_, Seen::Up { .. }) if self.gone => ContainerPhase::Exited,
            (_, Seen::Up { .. }) => ContainerPhase::Running,
            (_, Seen::Down { ran, .. }) => match self.want {
                Want::Run { clear: false } => ContainerPhase::Waiting,
                Want::Run { clear: true } if !self.finished => ContainerPhase::Starting,
                _ if *ran => ContainerPhase::Exited,
                _ => ContainerPhase::Created,
            },
        }
    }

    /// The engine's id of a part, where there is a container.
    pub(crate) fn id(&self, part: Part) -> Option<&str> {
        match part {
            Part::Container => self.seen.id(),
            Part::Anchor => self.net.as_ref().and_then(Seen::id),
        }
    }

    /// The container's id as it was last seen, also when it is gone.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The running process and when it was started.
    pub(crate) fn up(&self) -> Option<(ProcessRef, Option<u64>)> {
        match &self.seen {
            Seen::Up { process, started_at, .. } => Some((*process, *started_at)),
            Seen::Unknown | Seen::Absent | Seen::Down { .. } | Seen::Zombie { .. } => None,
        }
    }

    /// The processes whose end matters.
    pub(crate) fn watched(&self) -> Vec<ProcessRef> {
        let of = |seen: &Seen| match seen {
            Seen::Up { process, monitor, .. } => [Some(*process), *monitor],
            Seen::Unknown | Seen::Absent | Seen::Down { .. } | Seen::Zombie { .. } => [None, None],
        };
        let all = [Some(&self.seen), self.net.as_ref()].into_iter().flatten();
        all.flat_map(of).flatten().collect()
    }

    /// What the engine's last answer complained of.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.refused.1.as_deref().or(self.trouble.as_deref())
    }

    fn stays_down(&self, code: i32) -> bool {
        match self.policy {
            RestartPolicy::Always | RestartPolicy::UnlessStopped => false,
            RestartPolicy::OnFailure => code == 0,
            RestartPolicy::No => true,
        }
    }

    /// The end: what is shown last is that the container is down, not what would be done next.
    fn fail(&mut self, exit: ContainerExit) -> Effect {
        self.seen = Seen::Unknown;
        self.gone = true;
        Effect::Fail(exit)
    }

    fn rest(&mut self, delay: Duration) -> Effect {
        self.resting = true;
        Effect::Again(delay)
    }
}

fn seen(look: &Look) -> Seen {
    match look.clone() {
        Look::Absent | Look::Foreign => Seen::Absent,
        Look::Down { id, ran, stale, adopted, .. } => Seen::Down { id, ran, stale, adopted },
        Look::Up { id, process, monitor, started_at, paused, adrift, stale, adopted } => {
            Seen::Up { id, process, monitor, started_at, paused, adrift, stale, adopted }
        }
        Look::Behind { id, why, adopted } => Seen::Zombie { id, damaged: why == Lag::Damaged, adopted },
    }
}

#[cfg(test)]
mod tests;
