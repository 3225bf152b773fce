//! Frames as text. Rows are JSON already and are spliced in as they are.

use actors::Change;
use protocol::{ServerMsg, SnapshotReason, StreamId, StreamName};
use std::sync::Arc;

/// Largest frame, unless a single row is larger.
pub(crate) const MAX_FRAME: usize = 256 * 1024;
/// Entries of a journal in one frame: their size together, unless a single one is larger.
pub(crate) const MAX_ENTRIES: usize = 64 * 1024;
/// Room for the envelope around the rows.
const ENVELOPE: usize = 256;

/// Encodes a frame without rows.
pub(crate) fn plain(msg: &ServerMsg) -> String {
    // Data of plain structs with text keys always encodes.
    serde_json::to_string(msg).unwrap_or_default()
}

/// The word that a value has on the wire.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    json(value).trim_matches('"').to_owned()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A snapshot in as many parts as its size takes, at least one.
pub(crate) fn snapshot(
    stream: StreamId,
    seq: u64,
    reason: SnapshotReason,
    rows: &[Arc<str>],
    max: usize,
) -> Vec<String> {
    let room = max.saturating_sub(ENVELOPE);
    let mut parts: Vec<&[Arc<str>]> = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        if at > from && size + row.len() + 1 > room {
            parts.push(&rows[from..at]);
            (from, size) = (at, 0);
        }
        size += row.len() + 1;
    }
    parts.push(&rows[from..]);
    let last = parts.len() - 1;
    let part = |(at, rows): (usize, &&[Arc<str>])| {
        let (stream, reason, last) = (stream.as_str(), json(&reason), at == last);
        let rows = rows.join(",");
        format!(
            r#"{{"t":"snapshot","stream":"{stream}","seq":{seq},"reason":{reason},"part":{at},"last":{last},"items":[{rows}]}}"#
        )
    };
    parts.iter().enumerate().map(part).collect()
}

/// A delta; `None` when it is too large for one frame: only a snapshot comes in parts.
pub(crate) fn delta<'c>(
    stream: StreamId,
    from: u64,
    seq: u64,
    changes: impl Iterator<Item = &'c Change>,
    max: usize,
) -> Option<String> {
    let mut text =
        format!(r#"{{"t":"delta","stream":"{}","from":{from},"seq":{seq},"ops":["#, stream.as_str());
    for (at, change) in changes.enumerate() {
        if at > 0 {
            text.push(',');
        }
        match change {
            Change::Put(row) => {
                text.push_str(r#"{"op":"put","v":"#);
                text.push_str(row);
                text.push('}');
            }
            Change::Del { key, why } => {
                text.push_str(&format!(r#"{{"op":"del","key":{},"why":{}}}"#, json(key), json(why)));
            }
        }
        if at > 0 && text.len() > max {
            return None;
        }
    }
    text.push_str("]}");
    Some(text)
}

/// A run of a journal's entries, which are JSON already.
pub(crate) fn entries(
    stream: &StreamName,
    from: u64,
    seq: u64,
    dropped: u64,
    items: impl Iterator<Item = impl AsRef<str>>,
) -> String {
    let mut text = format!(
        r#"{{"t":"entries","stream":"{stream}","from":{from},"seq":{seq},"dropped":{dropped},"items":["#
    );
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(item.as_ref());
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{DeltaOp, Entry, LogEntry, NodeView, Row};

    fn row(key: &str) -> (Row, Arc<str>) {
        let view = NodeView { key: key.into(), ok: true, detail: "a \"b\"".into(), last_ok: Some(1) };
        let json = serde_json::to_string(&view).unwrap().into();
        (Row::Node(Box::new(view)), json)
    }

    #[test]
    fn a_delta_is_what_the_protocol_decodes() {
        let (view, json) = row("engine");
        let changes =
            [Change::Put(Arc::clone(&json)), Change::Del { key: "a\"b".into(), why: "un\\installed".into() }];
        let text = delta(StreamId::Node, 4, 6, changes.iter(), MAX_FRAME).unwrap();
        let expected = ServerMsg::Delta {
            stream: StreamId::Node,
            from: 4,
            seq: 6,
            ops: vec![
                DeltaOp::Put { v: view },
                DeltaOp::Del { key: "a\"b".into(), why: "un\\installed".into() },
            ],
        };
        assert_eq!(serde_json::from_str::<ServerMsg>(&text).unwrap(), expected);
        assert_eq!(text, plain(&expected));
        assert_eq!(delta(StreamId::Node, 4, 6, changes.iter(), 100), None);
    }

    #[test]
    fn entries_are_what_the_protocol_decodes() {
        let line = |seq| LogEntry { seq, stderr: Some(false), line: "a \"b\"".into() };
        let stream: StreamName = "logs:demo/web".parse().unwrap();
        let items = [json(&line(8)), json(&line(9))];
        let text = entries(&stream, 4, 9, 3, items.iter());
        let expected = ServerMsg::Entries {
            stream,
            from: 4,
            seq: 9,
            dropped: 3,
            items: vec![Entry::Log(line(8)), Entry::Log(line(9))],
        };
        assert_eq!(serde_json::from_str::<ServerMsg>(&text).unwrap(), expected);
    }

    #[test]
    fn a_large_snapshot_comes_in_parts_that_hold_all_rows_in_order() {
        let keys: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
        let rows: Vec<Arc<str>> = keys.iter().map(|key| row(key).1).collect();
        let parts = snapshot(StreamId::Node, 9, SnapshotReason::Gap, &rows, 1_000);
        assert!(parts.len() > 5);
        let mut seen = Vec::new();
        for (at, text) in parts.iter().enumerate() {
            assert!(text.len() <= 1_000, "{}", text.len());
            let ServerMsg::Snapshot { seq: 9, reason: SnapshotReason::Gap, part, last, items, .. } =
                serde_json::from_str(text).unwrap()
            else {
                panic!("{text}")
            };
            assert_eq!((part as usize, last), (at, at + 1 == parts.len()));
            seen.extend(items.iter().map(|row| row.key().to_owned()));
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn an_empty_snapshot_has_one_part_and_a_huge_row_its_own() {
        assert_eq!(snapshot(StreamId::Node, 0, SnapshotReason::Initial, &[], 1_000).len(), 1);
        let rows = [row("a").1, row(&"x".repeat(2_000)).1, row("b").1];
        assert_eq!(snapshot(StreamId::Node, 0, SnapshotReason::Initial, &rows, 1_000).len(), 3);
    }
}
