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
//! decides what follows. One that was made anew because its files were damaged, and is found damaged again before it
//! ran, ends it at once: a second repair is somebody's to ask for.
//! What destroys needs two looks that agree on the same container.
//!
//! Between these come the chores ([`chore`]): files are copied before the first start of a container, commands run after
//! each start, and others once it is ready for the first time. A container whose run is over for good, as its restart
//! policy says, counts as what was wanted: it is run again when somebody stops and starts the app, or its configuration
//! changes.

mod chore;
mod event;
mod show;

pub(crate) use chore::{Chore, Duties};

use super::{exit::ContainerExit, look::Up, note::Note};
use engine::ProcessRef;
use std::{collections::BTreeMap, time::Duration};

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
    /// Do what the manifest asks for inside of the container.
    Chore(Chore),
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
        /// Exit code, where the engine saw it end.
        ended: Option<i32>,
    },
    Up(Up),
    Zombie {
        id: String,
        damaged: bool,
        adopted: bool,
    },
}

impl Seen {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Down { id, .. } | Self::Up(Up { id, .. }) | Self::Zombie { id, .. } => Some(id),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// A part as a list of all containers has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed<'a> {
    /// Id.
    pub(crate) id: &'a str,
    /// Whether the engine says that it runs.
    pub(crate) runs: bool,
    /// Its process, where that is alive.
    pub(crate) process: Option<ProcessRef>,
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
    /// It was up, or was told to start, in this incarnation and has not been stopped on purpose.
    ran: bool,
    /// The kernel said that its process ended.
    gone: bool,
    /// The kernel said that the anchor's did.
    net_gone: bool,
    /// A sibling's container failed: restart this one.
    bounce: bool,
    /// It was made anew because its files were damaged, and has not run since: once is enough.
    repaired: bool,
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
    /// What the manifest asks for.
    duties: Duties,
    /// What of it was done.
    note: Note,
    /// Its probes say that it can do its work.
    fit: bool,
    /// It has to be stopped, and this is why.
    condemned: Option<ContainerExit>,
    /// A run is due, also where the last one was over for good.
    fresh: bool,
    /// Why it was stopped for good.
    epitaph: Option<String>,
}

impl Machine {
    /// A new incarnation knows nothing. `bounce`: a sibling's container failed; `repaired`: damaged storage was this
    /// container's own last failure.
    pub(crate) fn new(bounce: bool, repaired: bool) -> Self {
        Self {
            want: Want::Nothing,
            seen: Seen::Unknown,
            last_id: None,
            net: None,
            job: None,
            ran: false,
            gone: false,
            net_gone: false,
            bounce,
            repaired,
            lag: BTreeMap::new(),
            blind: 0,
            refused: (0, None),
            recheck: false,
            resting: false,
            trouble: None,
            duties: Duties::default(),
            note: Note::default(),
            fit: false,
            condemned: None,
            fresh: false,
            epitaph: None,
        }
    }

    /// The app wants something else.
    pub(crate) fn want(&mut self, want: Want) {
        if !matches!(want, Want::Run { .. }) {
            self.ran = false;
            self.condemned = None;
            self.fresh |= want != Want::Nothing;
            self.leave_chore();
        } else if matches!(self.seen, Seen::Up(_)) && self.is_reachable() {
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
            Seen::Up(_)
                if run.is_none() || self.bounce || self.condemned.is_some() || !self.is_reachable() =>
            {
                Some(Job::Stop(Container))
            }
            Seen::Up(up) if up.paused => Some(Job::Unpause),
            Seen::Up(_) => self.chore().map(Job::Chore),
            Seen::Down { .. } if remove => Some(Job::Remove(Container)),
            Seen::Down { stale: true, .. } if run.is_some() => Some(Job::Remove(Container)),
            Seen::Down { .. } if self.over().is_some() => None,
            Seen::Down { .. } | Seen::Absent => match &self.net {
                // The container is bound to this very anchor: it goes first.
                Some(Seen::Zombie { .. }) if self.seen != Seen::Absent => Some(Job::Remove(Container)),
                Some(Seen::Zombie { .. }) => Some(Job::Remove(Anchor)),
                Some(Seen::Down { stale: true, .. } | Seen::Up(Up { stale: true, .. })) if run.is_some() => {
                    Some(Job::Remove(if self.seen == Seen::Absent { Anchor } else { Container }))
                }
                Some(Seen::Down { .. }) if run.is_some() => Some(Job::Start(Anchor)),
                Some(Seen::Absent) if run.is_some() => Some(Job::Create(Anchor)),
                Some(Seen::Up(_) | Seen::Down { .. }) if remove => Some(Job::Remove(Anchor)),
                Some(Seen::Up(_)) if self.want == Want::Stop => Some(Job::Stop(Anchor)),
                Some(Seen::Unknown) => Some(Job::Look),
                None | Some(Seen::Up(_) | Seen::Down { .. } | Seen::Absent) => match (&self.seen, run) {
                    (Seen::Absent, Some(_)) => Some(Job::Create(Container)),
                    (_, Some(true)) => Some(self.chore().map_or(Job::Start(Container), Job::Chore)),
                    (_, Some(false) | None) => None,
                },
            },
        }
    }

    fn is_adopted(&self) -> bool {
        matches!(
            self.seen,
            Seen::Up(Up { adopted: true, .. })
                | Seen::Down { adopted: true, .. }
                | Seen::Zombie { adopted: true, .. }
        )
    }

    /// Whether the container, if it runs, has its network.
    fn is_reachable(&self) -> bool {
        let adrift = matches!(self.seen, Seen::Up(Up { adrift: true, .. }));
        !adrift && matches!(self.net, None | Some(Seen::Up(_) | Seen::Unknown))
    }

    /// Whether it runs and nobody reaches it.
    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(self.seen, Seen::Up(_)) && (self.net_gone || !self.is_reachable())
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
            Seen::Up(up) => Some((up.process, up.started_at)),
            Seen::Unknown | Seen::Absent | Seen::Down { .. } | Seen::Zombie { .. } => None,
        }
    }

    /// The processes whose end matters.
    pub(crate) fn watched(&self) -> Vec<ProcessRef> {
        let of = |seen: &Seen| match seen {
            Seen::Up(up) => [Some(up.process), up.monitor],
            Seen::Unknown | Seen::Absent | Seen::Down { .. } | Seen::Zombie { .. } => [None, None],
        };
        let all = [Some(&self.seen), self.net.as_ref()].into_iter().flatten();
        all.flat_map(of).flatten().collect()
    }
}

#[cfg(test)]
mod tests;
