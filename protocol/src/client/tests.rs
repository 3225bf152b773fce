//! The reducer, and addresses.

use super::{
    Auth, Client, ClientError, StreamEvent,
    state::{Reply, State},
};
use crate::{
    DeltaOp, Entry, LogEntry, NodeView, Row, ServerMsg, SnapshotReason, StreamId, StreamName, SubStream,
};

fn row(key: &str) -> Row {
    Row::Node(Box::new(NodeView { key: key.into(), ok: true, detail: String::new(), last_ok: None }))
}

fn snapshot(seq: u64, part: u32, last: bool, keys: &[&str]) -> ServerMsg {
    ServerMsg::Snapshot {
        stream: StreamId::Node,
        seq,
        reason: SnapshotReason::Initial,
        part,
        last,
        items: keys.iter().map(|key| row(key)).collect(),
    }
}

fn delta(from: u64, seq: u64, key: &str) -> ServerMsg {
    ServerMsg::Delta { stream: StreamId::Node, from, seq, ops: vec![DeltaOp::Put { v: row(key) }] }
}

fn state() -> State {
    let mut state = State::new(vec![SubStream::new(StreamId::Node)]);
    state.hello("e1");
    state
}

#[test]
fn parts_of_a_snapshot_become_one_event() {
    let mut state = state();
    assert_eq!(state.apply(snapshot(5, 0, false, &["a"])), Reply::Nothing);
    assert!(state.events.is_empty());
    assert_eq!(state.apply(snapshot(5, 1, true, &["b"])), Reply::Ack(StreamId::Node.into(), 5));
    let Some(StreamEvent::Snapshot { rows, seq: 5, .. }) = state.events.pop_front() else { panic!() };
    assert_eq!(rows.iter().map(Row::key).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_snapshot_with_a_missing_part_is_asked_for_anew() {
    let mut state = state();
    state.apply(snapshot(5, 0, false, &["a"]));
    assert_eq!(state.apply(snapshot(5, 2, true, &["c"])), Reply::Resubscribe(StreamId::Node.into()));
    assert!(state.events.is_empty());
}

#[test]
fn deltas_apply_once_and_gaps_never() {
    let mut state = state();
    state.apply(snapshot(5, 0, true, &[]));
    state.events.clear();
    assert_eq!(state.apply(delta(5, 7, "a")), Reply::Ack(StreamId::Node.into(), 7));
    assert_eq!(state.events.len(), 1);
    assert_eq!(state.apply(delta(5, 7, "a")), Reply::Nothing, "a duplicate");
    assert_eq!(
        state.apply(delta(6, 8, "b")),
        Reply::Ack(StreamId::Node.into(), 8),
        "an overlap is idempotent"
    );
    assert_eq!(state.apply(delta(9, 10, "c")), Reply::Resubscribe(StreamId::Node.into()));
    assert_eq!(state.events.len(), 2);
    assert_eq!(state.wanted()[0].resume, None, "after a gap it begins anew");
}

#[test]
fn a_delta_before_any_snapshot_is_a_gap() {
    assert_eq!(state().apply(delta(0, 1, "a")), Reply::Resubscribe(StreamId::Node.into()));
}

#[test]
fn it_resumes_with_the_epoch_under_which_it_received() {
    let mut state = state();
    state.apply(snapshot(5, 0, true, &[]));
    state.hello("e2");
    let resume = state.wanted().remove(0).resume.unwrap();
    assert_eq!((resume.epoch.as_str(), resume.seq), ("e1", 5));
    assert_eq!(
        state.apply(delta(5, 6, "a")),
        Reply::Resubscribe(StreamId::Node.into()),
        "other epoch, other numbers"
    );
}

#[test]
fn a_mark_ahead_of_the_cursor_is_a_gap() {
    let mut state = state();
    state.apply(snapshot(5, 0, true, &[]));
    let mark = |seq| ServerMsg::Mark { streams: [(StreamId::Node.into(), seq)].into(), now_ms: 0 };
    assert_eq!(state.apply(mark(5)), Reply::Nothing);
    assert_eq!(state.apply(mark(6)), Reply::Resubscribe(StreamId::Node.into()));
}

#[test]
fn addresses_are_checked() {
    assert_eq!(
        Client::new("http://localhost:8420/", Auth::None).unwrap().base_url(),
        "http://localhost:8420"
    );
    for bad in ["", "localhost", "https://localhost", "http://localhost/x", "ftp://a", "http://a?b"] {
        assert!(matches!(Client::new(bad, Auth::None), Err(ClientError::Address { .. })), "{bad}");
    }
}

#[test]
fn a_token_is_not_printed() {
    let client = Client::new("http://localhost", Auth::Bearer("secret-token".into())).unwrap();
    assert!(!format!("{client:?}").contains("secret-token"));
}

fn lines(from: u64, seq: u64, dropped: u64) -> ServerMsg {
    let line = |seq| Entry::Log(LogEntry { seq, stderr: None, line: String::new() });
    ServerMsg::Entries {
        stream: StreamName::Events,
        from,
        seq,
        items: (from + dropped + 1..=seq).map(line).collect(),
        dropped,
    }
}

#[test]
fn entries_come_once_and_what_is_missing_is_told() {
    let mut state = State::new(vec![SubStream { tail: Some(2), ..SubStream::new(StreamName::Events) }]);
    state.hello("e1");
    let told = |state: &mut State, msg| {
        state.apply(msg);
        state.events.pop_front().map(|event| match event {
            StreamEvent::Entries { dropped, items, .. } => {
                (dropped, items.iter().map(Entry::seq).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(state.wanted()[0].tail, Some(2));
    assert_eq!(told(&mut state, lines(5, 7, 0)), Some((0, vec![6, 7])));
    assert_eq!(told(&mut state, lines(5, 7, 0)), None, "a duplicate");
    assert_eq!(told(&mut state, lines(6, 8, 0)), Some((0, vec![8])), "an overlap");
    state.hello("e2");
    assert_eq!(state.wanted()[0].resume.as_ref().unwrap().seq, 8, "the journal goes on over restarts");
    assert_eq!(told(&mut state, lines(8, 20, 9)), Some((9, vec![18, 19, 20])), "left out by the node");
    assert_eq!(told(&mut state, lines(22, 23, 0)), Some((2, vec![23])), "a lost frame");
}
