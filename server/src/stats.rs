//! What the server counts about its sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds of the lag of the streams, in milliseconds.
pub(crate) const LAG_BOUNDS_MS: [u64; 10] = [1, 5, 10, 20, 50, 100, 250, 500, 1_000, 10_000];

/// Counters since the start of the node.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    open: AtomicU64,
    opened: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
    lag: [AtomicU64; LAG_BOUNDS_MS.len()],
    lag_count: AtomicU64,
    lag_sum_us: AtomicU64,
    logins_refused: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) open: u64,
    pub(crate) opened: u64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) lag: [u64; LAG_BOUNDS_MS.len()],
    pub(crate) lag_count: u64,
    pub(crate) lag_sum_us: u64,
    pub(crate) logins_refused: u64,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Stats {
    /// A socket was opened; it counts as open while the answer lives.
    pub(crate) fn socket(self: &Arc<Self>) -> Socket {
        add(&self.open, 1);
        add(&self.opened, 1);
        Socket(Arc::clone(self))
    }

    /// A frame goes out.
    pub(crate) fn frame(&self, bytes: usize) {
        add(&self.frames, 1);
        add(&self.bytes, bytes as u64);
    }

    /// A change was sent so long after it was seen.
    pub(crate) fn lag(&self, lag: Duration) {
        add(&self.lag_count, 1);
        add(&self.lag_sum_us, u64::try_from(lag.as_micros()).unwrap_or(u64::MAX));
        let bucket = LAG_BOUNDS_MS.iter().position(|bound| lag <= Duration::from_millis(*bound));
        if let Some(bucket) = bucket {
            add(&self.lag[bucket], 1);
        }
    }

    /// A login was refused.
    pub(crate) fn login_refused(&self) {
        add(&self.logins_refused, 1);
    }

    pub(crate) fn totals(&self) -> Totals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            open: get(&self.open),
            opened: get(&self.opened),
            frames: get(&self.frames),
            bytes: get(&self.bytes),
            lag: std::array::from_fn(|at| get(&self.lag[at])),
            lag_count: get(&self.lag_count),
            lag_sum_us: get(&self.lag_sum_us),
            logins_refused: get(&self.logins_refused),
        }
    }
}

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket(Arc<Stats>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
