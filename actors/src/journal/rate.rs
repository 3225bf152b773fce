//! Keeps one loud cause from filling the journal; pure.

use std::collections::HashMap;

/// Events of one cause that may come at once.
const BURST: u64 = 20;
/// Time in which one more may come: ten a second.
const REFILL_MS: u64 = 100;
/// Causes that are remembered.
const MAX_CAUSES: usize = 1_000;

#[derive(Debug)]
struct Bucket {
    left: u64,
    filled: u64,
    suppressed: u64,
}

/// Buckets by cause.
#[derive(Debug, Default)]
pub(super) struct Rate(HashMap<String, Bucket>);

impl Rate {
    /// Whether an event of this cause may pass; if so, how many were held back before it.
    pub(super) fn admit(&mut self, cause: &str, now: u64) -> Option<u64> {
        if !self.0.contains_key(cause) && self.0.len() >= MAX_CAUSES {
            let full = |bucket: &Bucket| {
                bucket.suppressed == 0 && now.saturating_sub(bucket.filled) >= BURST * REFILL_MS
            };
            self.0.retain(|_, bucket| !full(bucket));
        }
        // More causes than can be told apart share a bucket.
        let cause = if self.0.len() >= MAX_CAUSES && !self.0.contains_key(cause) { "" } else { cause };
        let bucket =
            self.0.entry(cause.to_owned()).or_insert(Bucket { left: BURST, filled: now, suppressed: 0 });
        // A clock that was set back fills nothing.
        let steps = now.saturating_sub(bucket.filled) / REFILL_MS;
        bucket.left = (bucket.left + steps).min(BURST);
        bucket.filled = if now < bucket.filled { now } else { bucket.filled + steps * REFILL_MS };
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                Some(std::mem::take(&mut bucket.suppressed))
            }
            None => {
                bucket.suppressed += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_gets_ten_a_second_and_what_is_left_out_is_counted() {
        let mut rate = Rate::default();
        let mut passed = 0;
        let mut counted = 0;
        for ms in 0..10_000 {
            if let Some(suppressed) = rate.admit("loop", ms) {
                passed += 1;
                counted += suppressed;
            }
        }
        assert!((110..=120).contains(&passed), "{passed}");
        let held_back = rate.0["loop"].suppressed;
        assert_eq!(passed + counted + held_back, 10_000, "every event passed or is counted");
    }

    #[test]
    fn another_cause_is_not_held_back() {
        let mut rate = Rate::default();
        while rate.admit("loop", 5).is_some() {}
        assert_eq!(rate.admit("other", 5), Some(0));
        assert_eq!(rate.admit("loop", 0), None, "a clock that was set back");
        assert_eq!(rate.admit("loop", 100), Some(2));
    }

    #[test]
    fn causes_are_bounded() {
        let mut rate = Rate::default();
        for n in 0..5_000 {
            rate.admit(&n.to_string(), 0);
        }
        assert!(rate.0.len() <= MAX_CAUSES + 1);
    }
}
