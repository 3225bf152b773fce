//! A followed log on its way to one client.

use crate::{LogLines, NodeApi};
use futures_util::{StreamExt, TryFutureExt, stream::BoxStream};
use protocol::{ApiError, AppId, LogEntry, ServiceName};
use std::{collections::VecDeque, sync::Arc};

/// Lines that wait for a client; older ones are dropped, and that is told.
const MAX_LINES: usize = 2_000;
/// The same in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Longest line; the rest of a longer one is cut off.
const MAX_LINE: usize = 16 * 1024;
/// Lines that are taken at once.
const CHUNK: usize = 256;

/// Lines with their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) from: u64,
    pub(super) seq: u64,
    pub(super) dropped: u64,
    pub(super) items: Vec<String>,
}

/// How a log ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The container has no more to say; it may have been stopped or replaced.
    Over,
    /// It cannot be read.
    Failed(Box<ApiError>),
}

/// Lines that have come and are not sent.
#[derive(Debug, Default)]
struct Buffer {
    lines: VecDeque<String>,
    bytes: usize,
    /// Number of the last line that came.
    last: u64,
    dropped: u64,
}

impl Buffer {
    fn push(&mut self, stderr: bool, mut line: String) {
        if line.len() > MAX_LINE {
            let end = (0..=MAX_LINE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
            line.push('…');
        }
        self.last += 1;
        let entry = LogEntry { seq: self.last, stderr: Some(stderr), line };
        // Plain data always encodes.
        let json = serde_json::to_string(&entry).unwrap_or_default();
        self.bytes += json.len() + 1;
        self.lines.push_back(json);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.len() + 1;
                self.dropped += 1;
            }
        }
    }

    /// What has come since, up to `max` bytes.
    fn take(&mut self, max: usize) -> Option<Batch> {
        let first = self.last - self.lines.len() as u64;
        let mut items = Vec::new();
        let mut size = 0;
        while self.lines.front().is_some_and(|line| size == 0 || size + line.len() < max)
            && let Some(line) = self.lines.pop_front()
        {
            size += line.len() + 1;
            items.push(line);
        }
        self.bytes -= size;
        let dropped = std::mem::take(&mut self.dropped);
        (!items.is_empty()).then(|| Batch {
            from: first - dropped,
            seq: first + items.len() as u64,
            dropped,
            items,
        })
    }
}

/// One subscribed log.
pub(super) struct Log {
    /// The `ref` of the subscription, for an error that comes later.
    pub(super) reference: u32,
    lines: BoxStream<'static, Vec<Result<actors::LogLine, ApiError>>>,
    buffer: Buffer,
    ended: Option<Ended>,
}

impl Log {
    /// Begins to read; nothing happens before it is polled.
    pub(super) fn new(
        node: Arc<dyn NodeApi>,
        app: AppId,
        service: ServiceName,
        tail: u32,
        reference: u32,
    ) -> Self {
        let open = async move { node.logs(&app, &service, tail, true).await };
        let lines: LogLines = Box::pin(open.try_flatten_stream());
        Self { reference, lines: lines.ready_chunks(CHUNK).boxed(), buffer: Buffer::default(), ended: None }
    }

    /// Waits for lines and takes them in; it may be dropped and called anew.
    pub(super) async fn fill(&mut self) {
        if self.ended.is_some() {
            return std::future::pending().await;
        }
        let Some(chunk) = self.lines.next().await else {
            self.ended = Some(Ended::Over);
            return;
        };
        for line in chunk {
            match line {
                Ok(line) => self.buffer.push(line.stderr, line.line),
                Err(error) => self.ended = Some(Ended::Failed(Box::new(error))),
            }
        }
    }

    pub(super) fn take(&mut self, max: usize) -> Option<Batch> {
        self.buffer.take(max)
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.buffer.lines.is_empty()
    }

    /// How it ended, once everything before was taken.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref().filter(|_| self.buffer.lines.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(lines: u64) -> Buffer {
        let mut buffer = Buffer::default();
        (0..lines).for_each(|n| buffer.push(false, n.to_string()));
        buffer
    }

    #[test]
    fn lines_are_numbered_and_taken_as_much_as_fits() {
        let mut buffer = buffer(10);
        let size = buffer.lines[0].len() + 1;
        let batch = buffer.take(size * 3).unwrap();
        assert_eq!((batch.from, batch.seq, batch.dropped, batch.items.len()), (0, 3, 0, 3));
        let batch = buffer.take(100_000).unwrap();
        assert_eq!((batch.from, batch.seq, batch.items.len()), (3, 10, 7));
        assert_eq!(buffer.take(100_000), None);
        assert_eq!(buffer.bytes, 0);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let mut buffer = buffer(MAX_LINES as u64 + 30);
        let batch = buffer.take(usize::MAX).unwrap();
        assert_eq!((batch.from, batch.seq, batch.dropped), (0, MAX_LINES as u64 + 30, 30));
        assert_eq!(batch.items.len(), MAX_LINES);
        let entry: LogEntry = serde_json::from_str(&batch.items[0]).unwrap();
        assert_eq!((entry.seq, entry.line.as_str()), (31, "30"));
    }

    #[test]
    fn one_endless_line_is_cut_and_the_buffer_is_bounded() {
        let mut buffer = Buffer::default();
        for _ in 0..100 {
            buffer.push(true, "ä".repeat(MAX_LINE));
            assert!(buffer.bytes <= MAX_BYTES);
        }
        assert!(buffer.dropped > 0);
    }
}
