//! The newest part of the journal, as clients are fed from it. What is older is in the store.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;

/// Entries that are kept in memory; who has missed more reads pages of the store.
pub(crate) const KEPT: usize = 1_000;

/// A run of entries after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The number of the last entry of the run.
    pub seq: u64,
    /// How many after the cursor are missing before the first of the run.
    pub dropped: u64,
    /// Entries as JSON, oldest first.
    pub items: Vec<Arc<str>>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Numbers are without holes: the last entry has the number `head`.
    head: u64,
    entries: VecDeque<Arc<str>>,
}

/// The journal's end. Its writer is the journal's actor only.
#[derive(Debug)]
pub struct Journal {
    ring: RwLock<Ring>,
    head: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { ring: RwLock::default(), head: watch::Sender::new(0) }
    }
}

impl Journal {
    /// The number of the last entry.
    pub fn head(&self) -> u64 {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).head
    }

    /// Tells of every new head. Only the newest is kept.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Entries after `from`, oldest first, as many as `max_bytes` hold but at least one.
    pub fn since(&self, from: u64, max_bytes: usize) -> Run {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.head - ring.entries.len() as u64;
        let first = from.clamp(oldest, ring.head);
        let mut size = 0;
        let skip = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let items: Vec<_> = ring
            .entries
            .iter()
            .skip(skip)
            .enumerate()
            .take_while(|(at, entry)| {
                size += entry.len() + 1;
                *at == 0 || size <= max_bytes
            })
            .map(|(_, entry)| Arc::clone(entry))
            .collect();
        Run { seq: first + items.len() as u64, dropped: first.saturating_sub(from), items }
    }

    /// The cursor before the last `count` entries that are kept.
    pub fn before_last(&self, count: usize) -> u64 {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.head - count.min(ring.entries.len()) as u64
    }

    /// Appends an entry whose number is `seq`; one that does not follow on the last begins the ring anew.
    pub fn push(&self, seq: u64, entry: Arc<str>) {
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            if seq <= ring.head {
                return;
            }
            if seq != ring.head + 1 {
                ring.entries.clear();
            }
            ring.head = seq;
            ring.entries.push_back(entry);
            if ring.entries.len() > KEPT {
                ring.entries.pop_front();
            }
        }
        self.head.send_replace(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(numbers: std::ops::RangeInclusive<u64>) -> Journal {
        let journal = Journal::default();
        numbers.for_each(|seq| journal.push(seq, seq.to_string().into()));
        journal
    }

    fn run(journal: &Journal, from: u64) -> (u64, u64, Vec<String>) {
        let run = journal.since(from, 10);
        (run.seq, run.dropped, run.items.iter().map(|item| item.to_string()).collect())
    }

    #[test]
    fn a_cursor_gets_what_follows_as_much_as_fits() {
        let journal = journal(1..=8);
        assert_eq!(run(&journal, 0), (5, 0, ["1", "2", "3", "4", "5"].map(String::from).to_vec()));
        assert_eq!(run(&journal, 5), (8, 0, ["6", "7", "8"].map(String::from).to_vec()));
        assert_eq!(run(&journal, 8), (8, 0, vec![]));
        assert_eq!(run(&journal, 99), (8, 0, vec![]), "a cursor of the future");
        assert_eq!(journal.since(0, 0).items.len(), 1);
        assert_eq!((journal.before_last(3), journal.before_last(100)), (5, 0));
    }

    #[test]
    fn what_is_no_longer_kept_is_counted() {
        let kept = KEPT as u64;
        let journal = journal(1..=kept + 50);
        let run = journal.since(10, 5);
        assert_eq!((run.dropped, run.items[0].to_string()), (40, "51".into()));
        let after = super::tests::journal(100..=101);
        assert_eq!((after.since(0, 100).dropped, after.since(0, 100).seq), (99, 101));
    }

    #[test]
    fn an_entry_counts_once() {
        let journal = journal(1..=2);
        journal.push(2, "again".into());
        assert_eq!(run(&journal, 0).2, ["1", "2"]);
        assert_eq!(*journal.watch().borrow(), 2);
    }
}
