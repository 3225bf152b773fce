//! Journals, metrics, and what a client may tune.

use super::{Pipe, greeted, session, subscribed, with};
use crate::tests::Stub;
use protocol::{Entry, Event, EventActor, ServerMsg, Severity, StreamName};
use std::time::Duration;
use tokio::time::Instant;

fn event(seq: u64) -> String {
    let event = Event {
        seq,
        at: 1,
        severity: Severity::Info,
        actor: EventActor::Node,
        kind: "test".into(),
        app: None,
        subject: None,
        op: None,
        message: format!("number {seq}"),
        cause: vec![],
        suppressed: 0,
    };
    serde_json::to_string(&event).unwrap()
}

fn append(node: &Stub, numbers: std::ops::RangeInclusive<u64>) {
    numbers.for_each(|seq| node.board.journal().push(seq, event(seq).into()));
}

/// The next entries as `(from, seq, dropped, numbers)`.
async fn entries(pipe: &mut Pipe) -> (u64, u64, u64, Vec<u64>) {
    match pipe.next().await {
        ServerMsg::Entries { from, seq, dropped, items, .. } => {
            (from, seq, dropped, items.iter().map(Entry::seq).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn events_begin_with_the_last_ones_and_go_on_with_what_comes() {
    let node = Stub::new().await;
    append(&node, 1..=10);
    greeted(&node, async |pipe| {
        pipe.subscribe_with("events", r#","tail":3"#);
        assert_eq!(entries(pipe).await, (7, 10, 0, vec![8, 9, 10]));
        append(&node, 11..=12);
        assert_eq!(entries(pipe).await, (10, 12, 0, vec![11, 12]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn events_resume_over_a_restart_of_the_node_and_tell_what_is_missing() {
    let node = Stub::new().await;
    append(&node, 5_000..=6_200);
    greeted(&node, async |pipe| {
        // The numbers of the journal go on, whatever epoch they were seen under.
        pipe.subscribe_with("events", r#","resume":{"epoch":"older","seq":6198}"#);
        assert_eq!(entries(pipe).await, (6_198, 6_200, 0, vec![6_199, 6_200]));
        pipe.subscribe_with("events", r#","resume":{"epoch":"older","seq":5100}"#);
        let (from, seq, dropped, numbers) = entries(pipe).await;
        assert_eq!((from, dropped, numbers[0]), (5_100, 100, 5_201));
        assert_eq!(seq, *numbers.last().unwrap());
        assert_eq!(seq - from, dropped + numbers.len() as u64, "every number is accounted for");
        // A journal that was lost begins with its end.
        pipe.subscribe_with("events", r#","tail":1,"resume":{"epoch":"older","seq":99999}"#);
        loop {
            let next = entries(pipe).await;
            if next.0 == 6_199 {
                assert_eq!(next.3, [6_200]);
                break;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_acks_gets_one_frame_of_a_journal_at_a_time() {
    let node = Stub::new().await;
    append(&node, 1..=2);
    greeted(&node, async |pipe| {
        pipe.subscribe_with("events", "");
        assert_eq!(entries(pipe).await.1, 2);
        pipe.say(r#"{"t":"ack","stream":"events","seq":2}"#);
        append(&node, 3..=3);
        assert_eq!(entries(pipe).await.3, [3]);
        append(&node, 4..=9);
        assert_eq!(pipe.quiet(Duration::from_secs(1)).await, None);
        pipe.say(r#"{"t":"ack","stream":"events","seq":3}"#);
        assert_eq!(entries(pipe).await.3, [4, 5, 6, 7, 8, 9]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_has_its_last_lines_and_says_when_there_is_none() {
    let node = Stub::new().await;
    greeted(&node, async |pipe| {
        pipe.subscribe_with("logs:demo/web", r#","tail":3"#);
        let ServerMsg::Entries { stream, items, .. } = pipe.next().await else { panic!() };
        assert_eq!(stream, "logs:demo/web".parse::<StreamName>().unwrap());
        let [Entry::Log(first), Entry::Log(second), _] = &items[..] else { panic!("{items:?}") };
        assert_eq!((first.seq, first.line.as_str(), first.stderr), (1, "line 0", Some(false)));
        assert_eq!(second.stderr, Some(true));
        pipe.subscribe_with("logs:other/web", "");
        let ServerMsg::Error { r#ref: Some(7), code, retryable: false, .. } = pipe.next().await else {
            panic!()
        };
        assert_eq!(code, "not_found");
        pipe.say(r#"{"t":"unsub","streams":["logs:demo/web"]}"#);
        assert_eq!(pipe.quiet(Duration::from_secs(1)).await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn metrics_are_wanted_only_while_somebody_is_subscribed() {
    let node = Stub::new().await;
    let wanted = node.board.metrics_wanted();
    let (session, mut pipe, _ticket) = session(&node, 100);
    with(session, async {
        let ServerMsg::Hello { features, .. } = pipe.next().await else { panic!() };
        assert!(features.contains(&"metrics".to_owned()), "somebody measures");
        assert_eq!(*wanted.borrow(), 0);
        pipe.subscribe("metrics");
        pipe.next().await;
        assert_eq!(*wanted.borrow(), 1);
        pipe.say(r#"{"t":"unsub","streams":["metrics"]}"#);
        pipe.say(r#"{"t":"ping","id":1}"#);
        pipe.next().await;
        assert_eq!(*wanted.borrow(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tuned_stream_comes_as_rarely_as_it_was_asked_for() {
    let node = Stub::new().await;
    subscribed(&node, async |pipe| {
        pipe.say(r#"{"t":"tune","stream":"node","min_interval_ms":5000}"#);
        pipe.say(r#"{"t":"ping","id":1}"#);
        pipe.next().await;
        let begun = Instant::now();
        for n in 0..3 {
            node.put("a", &n.to_string());
            pipe.next().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(14_900), "{:?}", begun.elapsed());
        pipe.say(r#"{"t":"tune","stream":"apps","min_interval_ms":1}"#);
        let ServerMsg::Error { code, .. } = pipe.next().await else { panic!() };
        assert_eq!(code, "not_subscribed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_acked_once_and_then_never_is_dropped_after_thirty_seconds() {
    let node = Stub::new().await;
    let (code, took) = subscribed(&node, async |pipe| {
        pipe.say(r#"{"t":"ack","stream":"node","seq":0}"#);
        node.put("a", "1");
        pipe.next().await;
        let begun = Instant::now();
        loop {
            match pipe.next().await {
                ServerMsg::Bye { code, .. } => return (code, begun.elapsed()),
                ServerMsg::Mark { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert_eq!(code, 4429);
    assert!((29..=31).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn more_than_thirty_two_subscriptions_end_the_connection() {
    let node = Stub::new().await;
    greeted(&node, async |pipe| {
        let streams: Vec<_> = (0..32).map(|n| format!(r#"{{"stream":"logs:demo/s{n}","tail":0}}"#)).collect();
        pipe.say(&format!(r#"{{"t":"sub","ref":7,"streams":[{}]}}"#, streams.join(",")));
        pipe.say(r#"{"t":"ping","id":1}"#);
        let pong = pipe.next().await;
        assert!(matches!(pong, ServerMsg::Pong { id: 1, .. }), "as many as it may: {pong:?}");
        pipe.subscribe("logs:demo/s32");
        let bye = pipe.next().await;
        assert!(matches!(bye, ServerMsg::Bye { code: 4413, .. }), "{bye:?}");
    })
    .await;
}
