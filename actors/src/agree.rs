//! Observations that agree over a real time. Pure.
//!
//! What destroys something needs two looks that show the same thing; two that follow each other within milliseconds, as
//! after a new connection, are one look.

use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How far apart two observations have to be: the time between two lists of all containers.
pub(crate) const APART: Duration = Duration::from_secs(30);

/// What every observation has shown, and since when.
#[derive(Debug, Default)]
pub(crate) struct Agreement(BTreeMap<String, Instant>);

impl Agreement {
    /// Takes in the ids that are seen now, and returns those that every observation since [`APART`] or longer has shown.
    pub(crate) fn seen(&mut self, now: Instant, ids: impl IntoIterator<Item = String>) -> Vec<String> {
        let first = |id: String| {
            let since = self.0.get(&id).copied().unwrap_or(now);
            (id, since)
        };
        self.0 = ids.into_iter().map(first).collect();
        self.0.iter().filter(|(_, since)| now - **since >= APART).map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_have_to_agree_over_a_real_time() {
        let (mut agreement, begin) = (Agreement::default(), Instant::now());
        let mut seen = |after: Duration, ids: &[&str]| {
            agreement.seen(begin + after, ids.iter().map(|id| (*id).to_owned()))
        };
        let second = Duration::from_secs(1);
        assert!(seen(Duration::ZERO, &["a", "b"]).is_empty());
        assert!(seen(second, &["a", "b"]).is_empty(), "two looks at once are one");
        assert!(seen(10 * second, &["a"]).is_empty());
        assert_eq!(seen(APART, &["a", "b"]), ["a"], "b was away meanwhile");
        assert_eq!(seen(2 * APART, &["a", "b"]), ["a", "b"]);
        assert!(seen(2 * APART + second, &[]).is_empty());
    }
}
