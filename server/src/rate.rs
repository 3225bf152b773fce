//! How often somebody may do something: buckets that fill with time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A bucket.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    left: u32,
    filled: Instant,
}

impl Rate {
    /// A full bucket that holds what may come in a second.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, left: per_second, filled: now }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let step = Duration::from_secs(1) / self.per_second;
        let steps = u32::try_from((now - self.filled).as_nanos() / step.as_nanos()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(steps).min(self.per_second);
        self.filled = if self.left == self.per_second { now } else { self.filled + step * steps };
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// Commands of one login or token in a second.
const COMMANDS: u32 = 10;
/// Buckets that are kept; a full one says nothing and goes first.
const MAX_KEPT: usize = 256;

/// Buckets by who asks.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Rate>>);

impl Rates {
    /// Takes one of somebody's bucket.
    pub(crate) fn take(&self, who: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KEPT {
            all.retain(|_, rate| now < rate.filled + Duration::from_secs(1));
        }
        all.entry(who.to_owned()).or_insert_with(|| Rate::new(COMMANDS, now)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn as_many_as_may_in_a_second_and_no_more() {
        let start = Instant::now();
        let mut rate = Rate::new(20, start);
        assert_eq!((0..50).filter(|_| rate.take(start)).count(), 20);
        assert!(!rate.take(start + Duration::from_millis(49)));
        assert!(rate.take(start + Duration::from_millis(50)));
        assert!(!rate.take(start + Duration::from_millis(51)));
        let later = start + Duration::from_secs(3_600);
        assert_eq!((0..50).filter(|_| rate.take(later)).count(), 20, "it does not save up");
    }

    #[tokio::test]
    async fn everybody_has_a_bucket() {
        let (rates, now) = (Rates::default(), Instant::now());
        assert_eq!((0..50).filter(|_| rates.take("a", now)).count(), 10);
        assert!(rates.take("b", now));
    }
}
