//! The gate's state machine: what a look brought, to what is shown and to what those who wait are told. Pure.
//!
//! | look | shown | told |
//! |---|---|---|
//! | ready | open | open |
//! | not ready, never was open | progressing | closed |
//! | not ready, nothing moved for too long, or it can never open | stalled | closed |
//! | not ready, was open | lost | closed |
//! | still starting | progressing | closed stays closed, else unknown |
//! | no answer, `failure: unknown` | unreachable | closed stays closed, else unknown |
//! | the node could not ask | unreachable | closed stays closed, else unknown |
//! | no answer, `failure: closed` | lost where it was open, else unreachable | closed |
//! | the app should not run | lost where it was open, else unreachable | closed |
//!
//! Told `unknown`, whoever runs is left alone, and nobody is started.

use super::{
    answer::{Outcome, Reading},
    pace::{Pace, Rate},
};
use apps::manifest::{Gate, GateFailure};
use protocol::GateState;
use std::time::Duration;
use tokio::time::Instant;

/// Time without a move after which a gate counts as stalled, where its manifest does not say.
const STALLED_AFTER: Duration = Duration::from_secs(600);
/// What a closed gate shows at most: it is done when it is open.
const ALMOST: f64 = 0.999;

/// What those who wait are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Nobody knows: leave who runs alone, and start nobody.
    Unknown,
    /// Wait.
    Closed,
    /// Go on.
    Open,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A question was asked.
    Looked(Outcome),
    /// There is nobody to ask; why.
    Away(String),
    /// The app that has the gate should not run; why.
    Stopped(String),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    failure: GateFailure,
    /// `None` where nothing can be seen to move.
    stalled_after: Option<Duration>,
    state: GateState,
    stand: Stand,
    was_open: bool,
    /// The last answer.
    reading: Reading,
    /// Why there is no answer.
    trouble: Option<String>,
    /// When it moved last, since it has been answering.
    moved_at: Option<Instant>,
    share: Pace,
    count: Pace,
}

impl Machine {
    /// A new incarnation knows what was shown before, and nothing else.
    pub(crate) fn new(gate: &Gate, before: Option<GateState>) -> Self {
        let moves = gate.progress.is_some() || gate.count.is_some();
        let declared = gate.stalled_after.map(|span| span.0);
        Self {
            failure: gate.failure,
            stalled_after: declared.or(moves.then_some(STALLED_AFTER)),
            state: GateState::Unknown,
            stand: Stand::Unknown,
            was_open: matches!(before, Some(GateState::Open | GateState::Lost)),
            reading: Reading::default(),
            trouble: None,
            moved_at: None,
            share: Pace::default(),
            count: Pace::default(),
        }
    }

    /// What is shown.
    pub(crate) fn state(&self) -> GateState {
        self.state
    }

    /// What those who wait are told.
    pub(crate) fn stand(&self) -> Stand {
        self.stand
    }

    /// Something happened.
    pub(crate) fn step(&mut self, event: Event, now: Instant) {
        match event {
            Event::Looked(Outcome::Answer(reading)) => self.answered(reading, now),
            Event::Looked(Outcome::Warming(words)) => {
                self.forget(words);
                self.state = GateState::Progressing;
                self.doubt();
            }
            Event::Looked(Outcome::Blind(words)) => {
                self.forget(words);
                self.state = GateState::Unreachable;
                self.doubt();
            }
            Event::Looked(Outcome::Silent(words)) | Event::Away(words) => {
                self.forget(words);
                match self.failure {
                    GateFailure::Unknown => {
                        self.state = GateState::Unreachable;
                        self.doubt();
                    }
                    GateFailure::Closed => self.close(),
                }
            }
            Event::Stopped(words) => {
                self.forget(words);
                self.close();
            }
        }
    }

    fn answered(&mut self, reading: Reading, now: Instant) {
        let moved = (self.reading.progress, self.reading.current) != (reading.progress, reading.current);
        if moved || self.moved_at.is_none() {
            self.moved_at = Some(now);
        }
        self.trouble = None;
        for (pace, value) in
            [(&mut self.share, reading.progress), (&mut self.count, reading.current.map(float))]
        {
            match value {
                Some(value) => pace.push(now, value),
                None => pace.clear(),
            }
        }
        self.stand = if reading.ready { Stand::Open } else { Stand::Closed };
        let still = self.moved_at.map(|at| now.saturating_duration_since(at));
        let stalled = self.stalled_after.is_some_and(|after| still.is_some_and(|still| still >= after));
        self.state = if reading.ready {
            GateState::Open
        } else if self.was_open {
            GateState::Lost
        } else if stalled || reading.impossible.is_some() {
            GateState::Stalled
        } else {
            GateState::Progressing
        };
        if reading.ready {
            self.was_open = true;
            self.moved_at = None;
        }
        self.reading = reading;
    }

    /// It does not answer: what was last known of its way stays, its pace does not.
    fn forget(&mut self, words: String) {
        self.trouble = Some(words);
        self.moved_at = None;
        self.share.clear();
        self.count.clear();
    }

    fn doubt(&mut self) {
        if self.stand == Stand::Open {
            self.stand = Stand::Unknown;
        }
    }

    fn close(&mut self) {
        self.stand = Stand::Closed;
        self.state = if self.was_open { GateState::Lost } else { GateState::Unreachable };
    }

    /// Progress from 0 to 1, below 1 until it is open.
    pub(crate) fn progress(&self) -> Option<f64> {
        let counted = || match (self.reading.current, self.reading.target) {
            (Some(current), Some(target)) if target > 0 => Some(float(current) / float(target)),
            _ => None,
        };
        let share = self.reading.progress.or_else(counted)?.clamp(0.0, 1.0);
        Some(if self.state == GateState::Open { share } else { share.min(ALMOST) })
    }

    /// How far it has come, and how far it has to come.
    pub(crate) fn counts(&self) -> (Option<u64>, Option<u64>) {
        (self.reading.current, self.reading.target)
    }

    fn is_moving(&self) -> bool {
        self.stand == Stand::Closed && self.trouble.is_none() && self.state != GateState::Stalled
    }

    /// How fast what is counted moves.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.count.rate().filter(|_| self.is_moving()).map(|rate| rate.mean)
    }

    /// Seconds until it opens, at the earliest and at the latest.
    pub(crate) fn eta(&self) -> Option<(u64, u64)> {
        if !self.is_moving() {
            return None;
        }
        // A share that says "done" while the gate is closed measures something else.
        let share = self.reading.progress.filter(|share| *share < 1.0);
        let by_share = || Some((self.share.rate()?, 1.0 - share?));
        let by_count = || {
            let (current, target) = (self.reading.current?, self.reading.target?);
            Some((self.count.rate()?, float(target.checked_sub(current)?)))
        };
        let (rate, left): (Rate, f64) = by_share().or_else(by_count)?;
        let (least, most) = rate.eta(left)?;
        Some((least.as_secs(), most.as_secs()))
    }

    /// Why it can never open, and the way out.
    pub(crate) fn impossible(&self) -> Option<&(String, String)> {
        self.reading.impossible.as_ref().filter(|_| self.stand == Stand::Closed && self.trouble.is_none())
    }

    /// The last thing that is known, in words.
    pub(crate) fn detail(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        if let Some((reason, remedy)) = self.impossible() {
            return Some(format!("{reason}: {remedy}"));
        }
        self.reading.detail.clone()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share and a pace for people")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
