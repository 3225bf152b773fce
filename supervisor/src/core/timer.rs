//! The deadlines of the children: at most one each, cancelled lazily.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Slot, Time};

/// Names one setting of one child's timer.
pub(crate) type TimerId = u64;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, TimerId, Slot)>>,
    next: TimerId,
    live: usize,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Time, slot: Slot) -> TimerId {
        self.next += 1;
        self.live += 1;
        self.heap.push(Reverse((at, self.next, slot)));
        self.next
    }

    /// Notes that one timer will not be asked for again; `is_live` tells which others still will.
    pub(crate) fn cancel(&mut self, is_live: impl Fn(TimerId, Slot) -> bool) {
        self.live -= 1;
        // A child that is restarted for ever must not fill the memory with its past.
        if self.heap.len() > 2 * self.live + 64 {
            self.heap.retain(|Reverse((_, id, slot))| is_live(*id, *slot));
        }
    }

    /// Takes the next timer that is due, cancelled ones included.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(TimerId, Slot)> {
        match self.heap.peek() {
            Some(Reverse((at, ..))) if *at <= now => self.heap.pop().map(|Reverse((_, id, slot))| (id, slot)),
            _ => None,
        }
    }

    /// Notes that a live timer has been taken.
    pub(crate) fn fired(&mut self) {
        self.live -= 1;
    }

    /// Returns when [`Timers::pop_due`] is worth a try.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.live == 0 { None } else { self.heap.peek().map(|Reverse((at, ..))| *at) }
    }

    #[cfg(test)]
    pub(crate) fn stored(&self) -> usize {
        self.heap.len()
    }
}
