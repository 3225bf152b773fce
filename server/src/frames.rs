//! Frames that many clients share.
//!
//! Time is cut into slots. The first client that needs a delta in a slot freezes what changed until then; every other
//! client of the slot gets its delta from the same frozen changes, up to the same sequence. So all clients of a stream
//! soon have the same cursors, and one encoded frame serves all of them.

use crate::frame;
use actors::{Board, Change};
use axum::extract::ws::Utf8Bytes;
use protocol::{SnapshotReason, StreamId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Shortest slot: one painted frame.
const SLOT: Duration = Duration::from_millis(16);
/// A slot grows by this for every client, as serving all of them takes time.
const PER_CLIENT: Duration = Duration::from_micros(8);
/// Longest slot.
const MAX_SLOT: Duration = Duration::from_millis(80);
/// Slots that a client may lag behind and still share frames.
const SHARED_SLOTS: usize = 16;

/// What there is for a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// This frame, after which the client has this sequence.
    Frame(u64, Utf8Bytes),
    /// Nothing before the next slot.
    At(Instant),
    /// Too old to resume from, or too much for a frame.
    Gap,
}

#[derive(Debug)]
struct Slot {
    began: Instant,
    head: u64,
    /// Cursors below this are not served by the slot.
    oldest: u64,
    changes: Vec<(u64, Change)>,
    /// Frames by cursor; `None` where the delta is too large for one.
    deltas: BTreeMap<u64, Option<Utf8Bytes>>,
    /// Heads of the slots before, oldest first.
    past: VecDeque<u64>,
}

type Parts = Arc<[Utf8Bytes]>;

#[derive(Debug, Default)]
struct Stream {
    slot: Option<Slot>,
    snapshot: Option<(u64, SnapshotReason, Parts)>,
}

/// The shared frames of all streams of rows.
#[derive(Debug)]
pub(crate) struct Frames {
    streams: BTreeMap<StreamId, Mutex<Stream>>,
    clients: AtomicUsize,
}

impl Default for Frames {
    fn default() -> Self {
        let streams = StreamId::ALL.into_iter().map(|id| (id, Mutex::default())).collect();
        Self { streams, clients: AtomicUsize::new(0) }
    }
}

impl Frames {
    /// How long a slot is with so many clients.
    fn slot(&self) -> Duration {
        let clients = u32::try_from(self.clients.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        PER_CLIENT.saturating_mul(clients).clamp(SLOT, MAX_SLOT)
    }

    /// One client more, as long as the answer lives.
    pub(crate) fn client(self: &Arc<Self>) -> Client {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Client(Arc::clone(self))
    }

    /// The next delta for a client that has everything up to `from`.
    pub(crate) fn delta(&self, board: &Board, id: StreamId, from: u64, now: Instant) -> Fresh {
        let length = self.slot();
        let mut stream = self.streams[&id].lock().unwrap_or_else(PoisonError::into_inner);
        if stream.slot.as_ref().is_none_or(|slot| now >= slot.began + length) {
            stream.slot = next(stream.slot.take(), board, id, from, now);
        }
        let Some(slot) = &mut stream.slot else { return Fresh::Gap };
        if from >= slot.head {
            return Fresh::At(slot.began + length);
        }
        if from < slot.oldest {
            // Somebody who lags too far behind to share: served alone, exactly up to this slot's successors.
            let alone = board.delta(id, from);
            let alone = alone.and_then(|(seq, changes)| {
                Some((seq, frame::delta(id, from, seq, changes.iter(), frame::MAX_FRAME)?))
            });
            return alone.map_or(Fresh::Gap, |(seq, text)| Fresh::Frame(seq, text.into()));
        }
        let head = slot.head;
        let changes = &slot.changes;
        let text = slot.deltas.entry(from).or_insert_with(|| {
            let since = changes.partition_point(|(seq, _)| *seq <= from);
            let changes = changes[since..].iter().map(|(_, change)| change);
            frame::delta(id, from, head, changes, frame::MAX_FRAME).map(Utf8Bytes::from)
        });
        text.clone().map_or(Fresh::Gap, |text| Fresh::Frame(head, text))
    }

    /// All rows in parts, and the sequence that they are current at.
    pub(crate) fn snapshot(&self, board: &Board, id: StreamId, reason: SnapshotReason) -> (u64, Parts) {
        let mut stream = self.streams[&id].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seq, known, parts)) = &stream.snapshot
            && *seq == board.head(id)
            && *known == reason
        {
            return (*seq, Arc::clone(parts));
        }
        let (seq, rows) = board.snapshot(id);
        let parts = frame::snapshot(id, seq, reason, &rows, frame::MAX_FRAME);
        let parts: Parts = parts.into_iter().map(Utf8Bytes::from).collect();
        stream.snapshot = Some((seq, reason, Arc::clone(&parts)));
        (seq, parts)
    }
}

/// Freezes what changed until now for all cursors from the oldest of the last slots on.
fn next(last: Option<Slot>, board: &Board, id: StreamId, from: u64, now: Instant) -> Option<Slot> {
    let mut past = last.map_or_else(VecDeque::new, |slot| {
        let mut past = slot.past;
        past.push_back(slot.head);
        past
    });
    while past.len() > SHARED_SLOTS {
        past.pop_front();
    }
    let oldest = past.front().copied().unwrap_or(from).max(board.floor(id));
    let (head, changes) = board.changes(id, oldest)?;
    Some(Slot { began: now, head, oldest, changes, deltas: BTreeMap::new(), past })
}

/// Counts a client until it is dropped.
#[derive(Debug)]
pub(crate) struct Client(Arc<Frames>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{NodeView, Row, ServerMsg};

    const S: StreamId = StreamId::Node;

    fn put(board: &Board, key: &str, detail: u64) {
        let view = NodeView { key: key.into(), ok: true, detail: detail.to_string(), last_ok: None };
        board.put(&Row::Node(Box::new(view)));
    }

    fn frame(fresh: Fresh) -> (u64, Utf8Bytes) {
        match fresh {
            Fresh::Frame(seq, text) => (seq, text),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_a_slot_share_their_frames_and_meet_at_one_sequence() {
        let (frames, board) = (Frames::default(), Board::new("e".into()));
        put(&board, "a", 1);
        put(&board, "b", 2);
        let now = Instant::now();
        let (seq, one) = frame(frames.delta(&board, S, 0, now));
        put(&board, "a", 3);
        let (_, other) = frame(frames.delta(&board, S, 0, now + SLOT / 2));
        assert_eq!((seq, one.as_ptr()), (2, other.as_ptr()), "encoded once");
        let (seq, late) = frame(frames.delta(&board, S, 1, now + SLOT / 2));
        assert_eq!(seq, 2, "another cursor, the same end");
        assert!(!late.contains("\"a\""), "nothing of what came after the slot began");
        assert_eq!(frames.delta(&board, S, 2, now + SLOT / 2), Fresh::At(now + SLOT));
        assert_eq!(frame(frames.delta(&board, S, 2, now + SLOT)).0, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn every_client_reaches_the_state_of_the_board_whenever_it_asks() {
        let (frames, board) = (Frames::default(), Board::new("e".into()));
        let mut now = Instant::now();
        let mut clients =
            [(0_u64, BTreeMap::<String, String>::new()), (0, BTreeMap::new()), (0, BTreeMap::new())];
        for n in 1..=2_000_u64 {
            put(&board, &format!("k{}", n % 17), n);
            if n % 31 == 0 {
                board.remove(S, &format!("k{}", n % 5), "gone");
            }
            now += Duration::from_millis(n % 7);
            let last = n == 2_000;
            for (at, (have, rows)) in (1_u64..).zip(&mut clients) {
                if last {
                    now += SLOT;
                }
                if !last && n % (at * at * 13) != 0 {
                    continue;
                }
                match frames.delta(&board, S, *have, now) {
                    Fresh::At(_) => {}
                    Fresh::Gap => panic!("{have}"),
                    Fresh::Frame(_, text) => {
                        let ServerMsg::Delta { from, seq, ops, .. } = serde_json::from_str(&text).unwrap()
                        else {
                            panic!()
                        };
                        assert_eq!(from, *have);
                        *have = seq;
                        for op in ops {
                            match op {
                                protocol::DeltaOp::Put { v: Row::Node(row) } => {
                                    rows.insert(row.key, row.detail);
                                }
                                protocol::DeltaOp::Del { key, .. } => {
                                    rows.remove(&key);
                                }
                                protocol::DeltaOp::Put { .. } => panic!(),
                            }
                        }
                    }
                }
            }
        }
        let (head, all) = board.snapshot(S);
        let all: BTreeMap<String, String> = all
            .iter()
            .map(|row| serde_json::from_str::<NodeView>(row).unwrap())
            .map(|row| (row.key, row.detail))
            .collect();
        for (have, rows) in clients {
            assert_eq!((have, &rows), (head, &all));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_encoded_once_per_state() {
        let (frames, board) = (Frames::default(), Board::new("e".into()));
        put(&board, "a", 1);
        let (_, one) = frames.snapshot(&board, S, SnapshotReason::Initial);
        assert_eq!(frames.snapshot(&board, S, SnapshotReason::Initial).1[0].as_ptr(), one[0].as_ptr());
        put(&board, "a", 2);
        let (seq, other) = frames.snapshot(&board, S, SnapshotReason::Initial);
        assert_eq!(seq, 2);
        assert_ne!(other[0], one[0]);
    }

    #[test]
    fn slots_grow_with_the_clients_up_to_a_bound() {
        let frames = Arc::new(Frames::default());
        assert_eq!(frames.slot(), SLOT);
        let clients: Vec<_> = (0..5_000).map(|_| frames.client()).collect();
        assert_eq!(frames.slot(), Duration::from_millis(40));
        drop(clients);
        assert_eq!(frames.slot(), SLOT);
    }
}
