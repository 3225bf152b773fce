//! What the probes say of a running container, and what follows from it. Pure.
//!
//! ```text
//! startup -- yes --> readiness and liveness -- no, failureThreshold times --> not ready / dead
//!    +-- no, failureThreshold times --> dead
//! ```
//!
//! A probe has three answers: yes, no, and that nobody could ask. The third changes nothing.

use super::ContainerExit;
use apps::{RenderedService, manifest::Probe};
use protocol::Health;

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whether it has come up.
    Startup,
    /// Whether it can do its work.
    Readiness,
    /// Whether a restart is the only way out.
    Liveness,
}

/// What came of asking once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is as it should be.
    Yes,
    /// It is not; in words.
    No(String),
    /// Nobody could ask; in words.
    Unknown(String),
}

/// What the actor does after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Nothing.
    Nothing,
    /// It has come up: begin the other probes.
    CameUp,
    /// It has to be restarted.
    Dead(ContainerExit),
}

/// Answers in a row, as far as they count.
#[derive(Debug)]
struct Row {
    /// How many of each make a difference.
    enough: (u32, u32),
    yes: u32,
    no: u32,
}

impl Row {
    fn new(probe: &Probe) -> Self {
        Self { enough: (probe.success_threshold, probe.failure_threshold), yes: 0, no: 0 }
    }

    /// Counts an answer: what is certain after it.
    fn hear(&mut self, yes: bool) -> Option<bool> {
        (self.yes, self.no) =
            if yes { (self.yes.saturating_add(1), 0) } else { (0, self.no.saturating_add(1)) };
        let (enough_yes, enough_no) = self.enough;
        match (self.yes >= enough_yes, self.no >= enough_no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// What is known of one run of a container.
#[derive(Debug)]
pub(crate) struct Vitals {
    /// Until it has come up.
    startup: Option<Row>,
    has_startup: bool,
    readiness: Option<Row>,
    liveness: Option<Row>,
    /// The last word of readiness.
    ready: Option<bool>,
    /// Why nobody can ask.
    blind: Option<String>,
}

impl Vitals {
    /// Of a run that begins, or of one that has come up before.
    pub(crate) fn new(service: &RenderedService, came_up: bool) -> Self {
        let row = |probe: &Option<Probe>| probe.as_ref().map(Row::new);
        Self {
            startup: row(&service.startup).filter(|_| !came_up),
            has_startup: service.startup.is_some(),
            readiness: row(&service.readiness),
            liveness: row(&service.liveness),
            ready: None,
            blind: None,
        }
    }

    /// The probes that ask now.
    pub(crate) fn asking(&self) -> Vec<Kind> {
        if self.startup.is_some() {
            return vec![Kind::Startup];
        }
        let readiness = self.readiness.as_ref().map(|_| Kind::Readiness);
        let liveness = self.liveness.as_ref().map(|_| Kind::Liveness);
        readiness.into_iter().chain(liveness).collect()
    }

    /// A probe has its answer.
    pub(crate) fn hears(&mut self, kind: Kind, answer: Answer) -> Follow {
        let words = match answer {
            Answer::Yes => None,
            Answer::No(words) => Some(words),
            Answer::Unknown(words) => {
                self.blind = Some(words);
                return Follow::Nothing;
            }
        };
        self.blind = None;
        let (row, word) = match kind {
            Kind::Startup => (self.startup.as_mut(), "startup"),
            Kind::Readiness => (self.readiness.as_mut(), "readiness"),
            Kind::Liveness => (self.liveness.as_mut(), "liveness"),
        };
        // One that asks no more may have had a last answer on its way.
        let Some(row) = row else { return Follow::Nothing };
        let (heard, times) = (row.hear(words.is_none()), row.no);
        let dead = |words: String| {
            Follow::Dead(ContainerExit::Unresponsive {
                probe: word,
                message: format!("{times} times in a row: {words}"),
            })
        };
        match (kind, heard, words) {
            (Kind::Startup, Some(true), _) => {
                self.startup = None;
                Follow::CameUp
            }
            (Kind::Startup | Kind::Liveness, Some(false), Some(words)) => dead(words),
            (Kind::Readiness, Some(true), _) => {
                self.ready = Some(true);
                Follow::Nothing
            }
            // What never was ready is on its way.
            (Kind::Readiness, Some(false), _) => {
                self.ready = self.ready.map(|_| false);
                Follow::Nothing
            }
            _ => Follow::Nothing,
        }
    }

    /// What to show.
    pub(crate) fn health(&self) -> Health {
        match (&self.startup, &self.readiness, self.ready) {
            (Some(_), ..) | (None, Some(_), None) => Health::Starting,
            (None, Some(_), Some(true)) => Health::Healthy,
            (None, Some(_), Some(false)) => Health::Unhealthy,
            (None, None, _) if self.has_startup => Health::Healthy,
            (None, None, _) => Health::None,
        }
    }

    /// Why nobody can ask, where that is so.
    pub(crate) fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: &str = "connection refused";

    /// `startup`, `readiness` and `liveness`, each with thresholds of success and failure.
    fn vitals(
        startup: Option<(u32, u32)>,
        readiness: Option<(u32, u32)>,
        liveness: Option<(u32, u32)>,
    ) -> Vitals {
        let row = |enough: Option<(u32, u32)>| enough.map(|enough| Row { enough, yes: 0, no: 0 });
        Vitals {
            startup: row(startup),
            has_startup: startup.is_some(),
            readiness: row(readiness),
            liveness: row(liveness),
            ready: None,
            blind: None,
        }
    }

    fn no() -> Answer {
        Answer::No(NO.into())
    }

    #[test]
    fn the_others_begin_when_startup_has_succeeded() {
        let mut v = vitals(Some((1, 3)), Some((1, 3)), Some((1, 3)));
        assert_eq!((v.asking(), v.health()), (vec![Kind::Startup], Health::Starting));
        assert_eq!(v.hears(Kind::Startup, no()), Follow::Nothing);
        assert_eq!(v.hears(Kind::Startup, Answer::Yes), Follow::CameUp);
        assert_eq!((v.asking(), v.health()), (vec![Kind::Readiness, Kind::Liveness], Health::Starting));
        assert_eq!(v.hears(Kind::Startup, no()), Follow::Nothing, "it asks no more");
        v.hears(Kind::Readiness, Answer::Yes);
        assert_eq!(v.health(), Health::Healthy);
    }

    #[test]
    fn startup_that_fails_often_enough_is_the_containers_failure() {
        let mut v = vitals(Some((1, 2)), None, None);
        assert_eq!(v.hears(Kind::Startup, no()), Follow::Nothing);
        let Follow::Dead(exit) = v.hears(Kind::Startup, no()) else { panic!() };
        assert_eq!(exit.to_string(), "startup probe failed 2 times in a row: connection refused");
    }

    #[test]
    fn liveness_counts_failures_in_a_row_and_only_those_that_answered_no() {
        let mut v = vitals(None, None, Some((1, 2)));
        assert_eq!(v.hears(Kind::Liveness, no()), Follow::Nothing);
        assert_eq!(v.hears(Kind::Liveness, Answer::Yes), Follow::Nothing);
        assert_eq!(v.hears(Kind::Liveness, no()), Follow::Nothing, "the row was broken");
        for _ in 0..100 {
            assert_eq!(v.hears(Kind::Liveness, Answer::Unknown("engine away".into())), Follow::Nothing);
        }
        assert_eq!(v.blind(), Some("engine away"));
        assert!(matches!(v.hears(Kind::Liveness, no()), Follow::Dead(_)));
        assert_eq!((v.blind(), v.health()), (None, Health::None));
    }

    #[test]
    fn readiness_needs_its_thresholds_both_ways() {
        let mut v = vitals(None, Some((2, 2)), None);
        v.hears(Kind::Readiness, no());
        v.hears(Kind::Readiness, no());
        assert_eq!(v.health(), Health::Starting, "what never was ready is on its way");
        v.hears(Kind::Readiness, Answer::Yes);
        assert_eq!(v.health(), Health::Starting);
        v.hears(Kind::Readiness, Answer::Yes);
        assert_eq!(v.health(), Health::Healthy);
        v.hears(Kind::Readiness, no());
        assert_eq!(v.health(), Health::Healthy);
        v.hears(Kind::Readiness, no());
        assert_eq!(v.health(), Health::Unhealthy);
    }
}
