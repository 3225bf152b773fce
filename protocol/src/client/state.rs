//! What a subscriber has, and what a frame changes about it; pure.

use crate::{DeltaOp, Entry, Resume, Row, ServerMsg, SnapshotReason, StreamId, StreamName, SubStream};
use std::collections::{BTreeMap, VecDeque};

/// What a [`Subscription`](super::Subscription) tells, in the order of the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// These are all rows of the stream; whatever is not among them is gone.
    Snapshot {
        /// Stream.
        stream: StreamId,
        /// The sequence that they are current at.
        seq: u64,
        /// Why it was sent.
        reason: SnapshotReason,
        /// Rows.
        rows: Vec<Row>,
    },
    /// The row is now this.
    Put {
        /// Stream.
        stream: StreamId,
        /// The sequence after the frame that it came with.
        seq: u64,
        /// The row.
        row: Row,
    },
    /// The row is gone.
    Del {
        /// Stream.
        stream: StreamId,
        /// The sequence after the frame that it came with.
        seq: u64,
        /// The row's key.
        key: String,
        /// Why.
        why: String,
    },
    /// Entries of a journal, oldest first.
    Entries {
        /// Stream.
        stream: StreamName,
        /// The number of the last.
        seq: u64,
        /// How many before these are left out.
        dropped: u64,
        /// Entries.
        items: Vec<Entry>,
    },
    /// The connection was lost; the rows seen so far are the last known ones.
    Disconnected {
        /// How.
        reason: String,
    },
    /// The connection is back; changes follow from where they were interrupted.
    Reconnected,
}

/// What has to be sent after a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing.
    Nothing,
    /// Say that the events of the frame were taken.
    Ack(StreamName, u64),
    /// Rows are missing: begin this stream anew.
    Resubscribe(StreamName),
}

/// Cursor and unfinished snapshot of one stream.
#[derive(Debug, Default)]
struct Cursor {
    /// Nothing before the first snapshot.
    have: Option<(String, u64)>,
    parts: Vec<Row>,
    next_part: u32,
    /// Past entries that the first subscription of a journal asks for.
    tail: Option<u32>,
}

impl Cursor {
    fn new(tail: Option<u32>) -> Self {
        Self { tail, ..Self::default() }
    }
}

/// The reducer: frames in, events out.
#[derive(Debug)]
pub(super) struct State {
    epoch: String,
    cursors: BTreeMap<StreamName, Cursor>,
    pub(super) events: VecDeque<StreamEvent>,
}

impl State {
    pub(super) fn new(streams: Vec<SubStream>) -> Self {
        let cursors = streams.into_iter().map(|sub| (sub.stream, Cursor::new(sub.tail))).collect();
        Self { epoch: String::new(), cursors, events: VecDeque::new() }
    }

    /// A connection begins: unfinished snapshots of the last one are void.
    pub(super) fn hello(&mut self, epoch: &str) {
        self.epoch = epoch.into();
        for (stream, cursor) in &mut self.cursors {
            cursor.parts.clear();
            cursor.next_part = 0;
            if let (StreamName::Logs(..), Some((_, seq))) = (stream, &mut cursor.have) {
                *seq = 0;
            }
        }
    }

    /// What to subscribe with.
    pub(super) fn wanted(&self) -> Vec<SubStream> {
        let wanted = |(stream, cursor): (&StreamName, &Cursor)| {
            let have = cursor.have.as_ref();
            // A log has no sequence of its own: after a loss what comes from now on is all there is to get.
            let lost = have.is_some() && matches!(stream, StreamName::Logs(..));
            SubStream {
                stream: stream.clone(),
                resume: have.filter(|_| !lost).map(|(epoch, seq)| Resume { epoch: epoch.clone(), seq: *seq }),
                tail: if lost { Some(0) } else { cursor.tail },
            }
        };
        self.cursors.iter().map(wanted).collect()
    }

    /// Applies a frame by the rule of [`crate::ServerMsg`]: newer is applied, older ignored, a gap never applied.
    pub(super) fn apply(&mut self, msg: ServerMsg) -> Reply {
        match msg {
            ServerMsg::Snapshot { stream, seq, reason, part, last, items } => {
                self.snapshot(stream, seq, reason, part, last, items)
            }
            ServerMsg::Delta { stream, from, seq, ops } => self.delta(stream, from, seq, ops),
            ServerMsg::Entries { stream, from, seq, items, dropped } => {
                self.entries(stream, from, seq, items, dropped)
            }
            ServerMsg::Mark { streams, .. } => self.mark(&streams),
            ServerMsg::Hello { .. }
            | ServerMsg::Pong { .. }
            | ServerMsg::Error { .. }
            | ServerMsg::Bye { .. } => Reply::Nothing,
        }
    }

    fn snapshot(
        &mut self,
        stream: StreamId,
        seq: u64,
        reason: SnapshotReason,
        part: u32,
        last: bool,
        items: Vec<Row>,
    ) -> Reply {
        let Some(cursor) = self.cursors.get_mut(&stream.into()) else { return Reply::Nothing };
        if part == 0 {
            cursor.parts.clear();
        } else if part != cursor.next_part {
            return self.restart(stream.into());
        }
        cursor.parts.extend(items);
        cursor.next_part = part + 1;
        if !last {
            return Reply::Nothing;
        }
        cursor.next_part = 0;
        cursor.have = Some((self.epoch.clone(), seq));
        let rows = std::mem::take(&mut cursor.parts);
        self.events.push_back(StreamEvent::Snapshot { stream, seq, reason, rows });
        Reply::Ack(stream.into(), seq)
    }

    fn delta(&mut self, stream: StreamId, from: u64, seq: u64, ops: Vec<DeltaOp>) -> Reply {
        let Some(cursor) = self.cursors.get_mut(&stream.into()) else { return Reply::Nothing };
        let have = match &mut cursor.have {
            Some((epoch, have)) if *epoch == self.epoch => have,
            _ => return self.restart(stream.into()),
        };
        if seq <= *have {
            return Reply::Nothing;
        }
        if from > *have {
            return self.restart(stream.into());
        }
        *have = seq;
        self.events.extend(ops.into_iter().map(|op| match op {
            DeltaOp::Put { v } => StreamEvent::Put { stream, seq, row: v },
            DeltaOp::Del { key, why } => StreamEvent::Del { stream, seq, key, why },
        }));
        Reply::Ack(stream.into(), seq)
    }

    /// Journals only grow: what is older than the cursor is left out, and what the node left out is told.
    fn entries(
        &mut self,
        stream: StreamName,
        from: u64,
        seq: u64,
        mut items: Vec<Entry>,
        mut dropped: u64,
    ) -> Reply {
        let Some(cursor) = self.cursors.get_mut(&stream) else { return Reply::Nothing };
        // The journal's numbers outlive an epoch, a log's do not outlive a connection.
        let have = cursor.have.as_ref().map(|(_, seq)| *seq);
        if let Some(have) = have {
            if stream == StreamName::Events && seq <= have {
                return Reply::Ack(stream, seq);
            }
            items.retain(|item| item.seq() > have);
            dropped = dropped.max(from.saturating_sub(have));
        }
        cursor.have = Some((self.epoch.clone(), seq));
        self.events.push_back(StreamEvent::Entries { stream: stream.clone(), seq, dropped, items });
        Reply::Ack(stream, seq)
    }

    /// A mark ahead of a cursor means that a frame got lost; the next one will be a gap or catch up.
    fn mark(&mut self, streams: &BTreeMap<StreamName, u64>) -> Reply {
        let behind = streams.iter().find(|(stream, seq)| {
            let have = self.cursors.get(stream).and_then(|cursor| cursor.have.as_ref());
            have.is_some_and(|(epoch, have)| *epoch == self.epoch && have < *seq)
        });
        match behind {
            // A journal goes on from its cursor.
            Some((stream, _)) if stream.rows().is_none() => Reply::Resubscribe(stream.clone()),
            Some((stream, _)) => self.restart(stream.clone()),
            None => Reply::Nothing,
        }
    }

    fn restart(&mut self, stream: StreamName) -> Reply {
        if let Some(cursor) = self.cursors.get_mut(&stream) {
            *cursor = Cursor::new(cursor.tail);
        }
        Reply::Resubscribe(stream)
    }

    /// How to subscribe anew to one stream.
    pub(super) fn again(&self, stream: &StreamName) -> Option<SubStream> {
        self.wanted().into_iter().find(|sub| sub.stream == *stream)
    }
}
