//! How many restarts there were of late.

use std::collections::VecDeque;

use super::Time;

/// The times of the last restarts: never more than the intensity and one, whatever the history.
#[derive(Debug, Default)]
pub(crate) struct RestartLog {
    times: VecDeque<Time>,
}

impl RestartLog {
    /// Counts a restart and tells whether it is still allowed.
    pub(crate) fn admit(&mut self, now: Time, intensity: u32, period: Time) -> bool {
        self.times.push_back(now);
        self.forget(now, period);
        let limit = intensity as usize;
        while self.times.len() > limit + 1 {
            self.times.pop_front();
        }
        self.times.len() <= limit
    }

    /// Returns how many restarts count at `now`.
    pub(crate) fn used(&self, now: Time, period: Time) -> usize {
        self.times.iter().filter(|time| now.saturating_sub(**time) <= period).count()
    }

    pub(crate) fn clear(&mut self) {
        self.times.clear();
    }

    fn forget(&mut self, now: Time, period: Time) {
        while self.times.front().is_some_and(|time| now.saturating_sub(*time) > period) {
            self.times.pop_front();
        }
    }
}
