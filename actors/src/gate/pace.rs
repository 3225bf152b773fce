//! How fast something moves, and how long it still takes, from a window of what was seen. Pure.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Looks that are kept: at the default interval of 15 s those of the last five minutes.
const WINDOW: usize = 20;
/// Looks that it takes to say anything: one says nothing, and two say nothing of how steady it is.
const ENOUGH: usize = 3;
/// What would take longer is not foreseen.
const HORIZON: f64 = 10.0 * 365.0 * 86_400.0;

/// The last values of something that grows, and when they were seen.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<(Instant, f64)>);

/// Units per second: over the window, and over its slower and its faster half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) mean: f64,
    slow: f64,
    fast: f64,
}

impl Pace {
    /// One more look. Where it went back, as in a reorganization of a chain, what was before says nothing any more.
    pub(super) fn push(&mut self, at: Instant, value: f64) {
        if self.0.back().is_some_and(|(_, last)| value < *last) {
            self.0.clear();
        }
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back((at, value));
    }

    /// Nothing is known.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How fast it moves, where it moves and enough has been seen.
    pub(super) fn rate(&self) -> Option<Rate> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let middle = self.0.get(self.0.len() / 2)?;
        if self.0.len() < ENOUGH {
            return None;
        }
        let between = |from: &(Instant, f64), to: &(Instant, f64)| {
            let seconds = to.0.saturating_duration_since(from.0).as_secs_f64();
            (seconds > 0.0).then(|| (to.1 - from.1) / seconds)
        };
        let (mean, early, late) = (between(first, last)?, between(first, middle)?, between(middle, last)?);
        (mean > 0.0).then(|| Rate { mean, slow: early.min(late), fast: early.max(late) })
    }
}

impl Rate {
    /// How long so much still takes: at the earliest and at the latest.
    pub(super) fn eta(self, left: f64) -> Option<(Duration, Duration)> {
        let (least, most) = (left / self.fast, left / self.slow);
        let known = self.slow > 0.0 && left >= 0.0 && most <= HORIZON;
        known.then(|| (Duration::from_secs_f64(least), Duration::from_secs_f64(most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(values: &[f64]) -> Pace {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        for (at, value) in (0..).zip(values) {
            pace.push(begin + Duration::from_secs(10 * at), *value);
        }
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_and_two_say_nothing() {
        for values in [&[][..], &[5.0], &[5.0, 10.0]] {
            assert_eq!(pace(values).rate(), None);
        }
        assert_eq!(pace(&[5.0, 10.0, 15.0]).rate().map(|rate| rate.mean), Some(0.5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_takes_between_the_faster_and_the_slower_half() {
        let rate = pace(&[0.0, 10.0, 20.0, 25.0, 30.0]).rate().unwrap();
        assert_eq!(rate.mean, 0.75);
        assert_eq!(rate.eta(100.0), Some((Duration::from_secs(100), Duration::from_secs(200))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_has_no_end() {
        assert_eq!(pace(&[5.0, 5.0, 5.0]).rate(), None);
        let halting = pace(&[0.0, 10.0, 20.0, 20.0, 20.0]).rate().unwrap();
        assert_eq!(halting.eta(10.0), None, "its slower half stood still");
        assert_eq!(pace(&[0.0, 1e-9, 2e-9]).rate().unwrap().eta(1.0), None, "too far away");
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_back_begins_anew() {
        assert_eq!(pace(&[0.0, 10.0, 20.0, 18.0, 19.0]).rate(), None);
        assert!(pace(&[0.0, 10.0, 20.0, 18.0, 19.0, 20.0]).rate().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_last_looks_count() {
        let mut values = vec![0.0; 1_000];
        values.extend((1..=WINDOW).map(|i| i as f64));
        let pace = pace(&values);
        assert_eq!((pace.0.len(), pace.rate().unwrap().mean), (WINDOW, 0.1));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_at_one_instant_divide_by_nothing() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for value in [1.0, 2.0, 3.0] {
            pace.push(now, value);
        }
        assert_eq!(pace.rate(), None);
    }
}
