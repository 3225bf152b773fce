use super::*;
use protocol::NodeView;

fn row(key: &str, detail: &str) -> Row {
    Row::Node(Box::new(NodeView { key: key.into(), ok: true, detail: detail.into(), last_ok: None }))
}

#[test]
fn a_cursor_gets_every_key_that_changed_once_and_in_order() {
    let board = Board::new("e".into());
    board.put(&row("a", "1"));
    board.put(&row("b", "1"));
    board.put(&row("a", "2"));
    let (seq, all) = board.delta(StreamId::Node, 0).unwrap();
    assert_eq!((seq, all.len()), (3, 2));
    assert!(matches!(&all[1], Change::Put(json) if json.contains("\"2\"")));
    assert_eq!(board.delta(StreamId::Node, 3).unwrap().1, []);
}

#[test]
fn the_same_row_again_is_no_change() {
    let board = Board::new("e".into());
    board.put(&row("a", "1"));
    board.put(&row("a", "1"));
    assert_eq!(board.head(StreamId::Node), 1);
}

#[test]
fn a_removed_row_is_told_and_its_return_too() {
    let board = Board::new("e".into());
    board.put(&row("a", "1"));
    board.remove(StreamId::Node, "a", "gone");
    board.remove(StreamId::Node, "a", "gone");
    assert!(matches!(&board.delta(StreamId::Node, 1).unwrap().1[..], [Change::Del { .. }]));
    assert!(board.snapshot(StreamId::Node).1.is_empty());
    board.put(&row("a", "1"));
    assert!(matches!(&board.delta(StreamId::Node, 1).unwrap().1[..], [Change::Put(_)]));
}

#[test]
fn a_cursor_of_the_future_or_before_the_oldest_tombstone_is_refused() {
    let board = Board::new("e".into());
    assert!(board.delta(StreamId::Node, 1).is_none());
    for i in 0..=MAX_TOMBSTONES {
        board.put(&row(&i.to_string(), ""));
        board.remove(StreamId::Node, &i.to_string(), "");
    }
    assert!(board.delta(StreamId::Node, 1).is_none());
    assert!(board.delta(StreamId::Node, 2).is_some());
}

#[test]
fn watchers_see_the_newest_head() {
    let board = Board::new("e".into());
    let mut watch = board.watch(StreamId::Node);
    board.put(&row("a", "1"));
    board.put(&row("a", "2"));
    assert_eq!(*watch.borrow_and_update(), 2);
}

#[test]
fn trimming_takes_the_smallest_keys() {
    let board = Board::new("e".into());
    for key in ["c", "a", "b"] {
        board.put(&row(key, "1"));
    }
    board.trim(StreamId::Node, 2);
    assert_eq!(board.len(StreamId::Node), 2);
    assert!(board.row(StreamId::Node, "a").is_none());
}

#[test]
fn metrics_are_wanted_as_long_as_somebody_does() {
    let board = Arc::new(Board::new("e".into()));
    assert!(!board.is_measured());
    let wanted = board.metrics_wanted();
    assert!(board.is_measured());
    let (one, other) = (board.want_metrics(), board.want_metrics());
    assert_eq!(*wanted.borrow(), 2);
    drop((one, other));
    assert_eq!(*wanted.borrow(), 0);
}
