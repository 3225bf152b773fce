//! The read model: keyed, latest-wins rows in streams, each with a sequence.
//!
//! It holds no queue: a reader keeps a cursor and asks for everything that changed after it, so memory per reader is
//! constant and a slow reader skips intermediate states but never the last one.
//! The hub actor is its only writer; sessions read it directly.

mod journal;

pub use journal::{Journal, Run};

/// Events that the board keeps of the journal.
pub(crate) const KEPT_EVENTS: u32 = journal::KEPT as u32;

use protocol::{Row, StreamId};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio::sync::watch;

/// Tombstones kept per stream; a reader with an older cursor gets a snapshot.
const MAX_TOMBSTONES: usize = 1_000;

/// A change as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row is now this JSON.
    Put(Arc<str>),
    /// The row is gone.
    Del {
        /// Its key.
        key: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
}

#[derive(Debug, Default)]
struct Stream {
    seq: u64,
    rows: HashMap<Arc<str>, (u64, Arc<str>)>,
    /// Keys of rows by the sequence of their last change.
    by_seq: BTreeMap<u64, Arc<str>>,
    tombstones: BTreeMap<u64, (Arc<str>, Arc<str>)>,
    /// Cursors below this cannot be resumed.
    floor: u64,
}

impl Stream {
    fn put(&mut self, key: &str, json: Arc<str>) -> bool {
        if let Some((seq, old)) = self.rows.get(key) {
            if **old == *json {
                return false;
            }
            self.by_seq.remove(seq);
        } else {
            self.tombstones.retain(|_, (gone, _)| **gone != *key);
        }
        let key: Arc<str> = key.into();
        self.seq += 1;
        self.by_seq.insert(self.seq, Arc::clone(&key));
        self.rows.insert(key, (self.seq, json));
        true
    }

    fn del(&mut self, key: &str, why: &str) -> bool {
        let Some((key, (seq, _))) = self.rows.remove_entry(key) else { return false };
        self.by_seq.remove(&seq);
        self.seq += 1;
        self.tombstones.insert(self.seq, (key, why.into()));
        while self.tombstones.len() > MAX_TOMBSTONES {
            if let Some((seq, _)) = self.tombstones.pop_first() {
                self.floor = seq;
            }
        }
        true
    }

    fn since(&self, from: u64) -> Option<Vec<(u64, Change)>> {
        if from < self.floor || from > self.seq {
            return None;
        }
        let mut changes: Vec<(u64, Change)> = self
            .by_seq
            .range(from + 1..)
            .filter_map(|(seq, key)| {
                self.rows.get(key).map(|(_, json)| (*seq, Change::Put(Arc::clone(json))))
            })
            .collect();
        changes.extend(
            self.tombstones
                .range(from + 1..)
                .map(|(seq, (key, why))| (*seq, Change::Del { key: Arc::clone(key), why: Arc::clone(why) })),
        );
        changes.sort_by_key(|(seq, _)| *seq);
        Some(changes)
    }
}

/// The read model of a node.
#[derive(Debug)]
pub struct Board {
    epoch: String,
    streams: BTreeMap<StreamId, (RwLock<Stream>, watch::Sender<u64>)>,
    journal: Journal,
    /// How many want `metrics`, which are measured only then.
    measured: watch::Sender<usize>,
}

impl Board {
    /// An empty board. The epoch tells clients that sequences begin anew.
    pub fn new(epoch: String) -> Self {
        let stream = |id| (id, (RwLock::default(), watch::Sender::new(0)));
        Self {
            epoch,
            streams: StreamId::ALL.into_iter().map(stream).collect(),
            journal: Journal::default(),
            measured: watch::Sender::new(0),
        }
    }

    /// The newest part of the journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Says that somebody wants `metrics`, as long as the answer lives.
    pub fn want_metrics(self: &Arc<Self>) -> Wanted {
        self.measured.send_modify(|count| *count += 1);
        Wanted(Arc::clone(self))
    }

    /// How many want `metrics`, for whoever measures: begin when it is not 0, end when it is 0 again.
    pub fn metrics_wanted(&self) -> watch::Receiver<usize> {
        self.measured.subscribe()
    }

    /// Whether anybody measures.
    pub fn is_measured(&self) -> bool {
        self.measured.receiver_count() > 0
    }

    /// Changes with every start of the node.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Puts a row; the same row again changes nothing.
    pub fn put(&self, row: &Row) {
        // The untagged enum is left out: clients know the type from the stream.
        let json = match row {
            Row::App(v) => encode(v),
            Row::Op(v) => encode(v),
            Row::Tree(v) => encode(v),
            Row::Gate(v) => encode(v),
            Row::Node(v) => encode(v),
            Row::Metrics(v) => encode(v),
        };
        self.change(row.stream(), |stream| stream.put(row.key(), json));
    }

    /// Keys of a stream's rows, in order.
    pub fn keys(&self, stream: StreamId) -> Vec<Arc<str>> {
        let mut keys: Vec<_> = self.read(stream).rows.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// Number of rows of a stream.
    pub fn len(&self, stream: StreamId) -> usize {
        self.read(stream).rows.len()
    }

    /// Removes a row and leaves a tombstone.
    pub fn remove(&self, stream: StreamId, key: &str, why: &str) {
        self.change(stream, |stream| stream.del(key, why));
    }

    /// Removes the rows with the smallest keys until at most `keep` are left.
    pub fn trim(&self, stream: StreamId, keep: usize) {
        let keys = self.keys(stream);
        for key in &keys[..keys.len().saturating_sub(keep)] {
            self.remove(stream, key, "old");
        }
    }

    /// The stream's current sequence.
    pub fn head(&self, stream: StreamId) -> u64 {
        self.read(stream).seq
    }

    /// Tells of every new head. Only the newest is kept.
    pub fn watch(&self, stream: StreamId) -> watch::Receiver<u64> {
        self.streams[&stream].1.subscribe()
    }

    /// All rows as JSON, in order of their keys, and the sequence that they are current at.
    pub fn snapshot(&self, stream: StreamId) -> (u64, Vec<Arc<str>>) {
        let stream = self.read(stream);
        let mut rows: Vec<_> = stream.rows.iter().map(|(key, (_, json))| (key, Arc::clone(json))).collect();
        rows.sort_by(|a, b| a.0.cmp(b.0));
        (stream.seq, rows.into_iter().map(|(_, json)| json).collect())
    }

    /// What changed after `from`, in order, and the sequence after it; `None` when `from` cannot be resumed.
    pub fn delta(&self, stream: StreamId, from: u64) -> Option<(u64, Vec<Change>)> {
        let (seq, changes) = self.changes(stream, from)?;
        Some((seq, changes.into_iter().map(|(_, change)| change).collect()))
    }

    /// The same, each change with its sequence, for whoever serves several cursors at once.
    pub fn changes(&self, stream: StreamId, from: u64) -> Option<(u64, Vec<(u64, Change)>)> {
        let stream = self.read(stream);
        stream.since(from).map(|changes| (stream.seq, changes))
    }

    /// The oldest cursor that can be resumed.
    pub fn floor(&self, stream: StreamId) -> u64 {
        self.read(stream).floor
    }

    /// One row as JSON.
    pub fn row(&self, stream: StreamId, key: &str) -> Option<Arc<str>> {
        self.read(stream).rows.get(key).map(|(_, json)| Arc::clone(json))
    }

    /// All heads.
    pub fn heads(&self) -> BTreeMap<StreamId, u64> {
        StreamId::ALL.into_iter().map(|id| (id, self.head(id))).collect()
    }

    fn change(&self, id: StreamId, change: impl FnOnce(&mut Stream) -> bool) {
        let (lock, head) = &self.streams[&id];
        let mut stream: RwLockWriteGuard<'_, Stream> = lock.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut stream) {
            head.send_replace(stream.seq);
        }
    }

    fn read(&self, id: StreamId) -> RwLockReadGuard<'_, Stream> {
        self.streams[&id].0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wish for `metrics`; it ends when this is dropped.
#[derive(Debug)]
pub struct Wanted(Arc<Board>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.measured.send_modify(|count| *count -= 1);
    }
}

/// Rows are plain data with text keys, which always encode.
fn encode(row: &impl Serialize) -> Arc<str> {
    serde_json::to_string(row).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
