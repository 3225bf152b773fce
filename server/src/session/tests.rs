//! Sessions over a pipe in memory, under a paused clock.

mod journals;

use super::{Context, End, run};
use crate::{
    Limits, NodeApi,
    live::{Caller, Close, Identity, Live, Ticket},
    tests::Stub,
};
use actors::Session as Login;
use axum::extract::ws::Message;
use futures_util::{sink, stream};
use protocol::{ServerMsg, SnapshotReason, StreamId};
use std::{
    future::Future,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, advance, interval},
};

/// The client's end.
struct Pipe {
    to: mpsc::UnboundedSender<Message>,
    /// Holds as many frames as the client's buffers would.
    from: mpsc::Receiver<Message>,
}

impl Pipe {
    async fn next(&mut self) -> ServerMsg {
        loop {
            match self.from.recv().await.unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn say(&self, text: &str) {
        self.to.send(Message::text(text)).unwrap();
    }

    fn subscribe(&self, stream: &str) {
        self.subscribe_with(stream, "");
    }

    /// Subscribes with more members, each behind a comma.
    fn subscribe_with(&self, stream: &str, more: &str) {
        self.say(&format!(r#"{{"t":"sub","ref":7,"streams":[{{"stream":"{stream}"{more}}}]}}"#));
    }

    /// What is there without waiting longer than the session needs.
    async fn quiet(&mut self, time: Duration) -> Option<ServerMsg> {
        tokio::time::timeout(time, self.next()).await.ok()
    }
}

fn session(node: &Arc<Stub>, room: usize) -> (impl Future<Output = End>, Pipe, Ticket) {
    session_of(node, room, Caller::admin(Identity::Local))
}

fn session_of(node: &Arc<Stub>, room: usize, caller: Caller) -> (impl Future<Output = End>, Pipe, Ticket) {
    let (to, inbound) = mpsc::unbounded_channel();
    let (outbound, from) = mpsc::channel(room);
    let reader = Box::pin(stream::unfold(inbound, |mut inbound| async {
        inbound.recv().await.map(|msg| (Ok::<_, io::Error>(msg), inbound))
    }));
    let writer = Box::pin(sink::unfold(outbound, |outbound: mpsc::Sender<Message>, msg| async {
        outbound.send(msg).await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(outbound)
    }));
    let ticket = Arc::new(Live::new(Limits::default())).admit(caller.clone()).unwrap();
    let context = Context { node: Arc::clone(node) as _, frames: Arc::default(), stats: Arc::default() };
    (run(reader, writer, context, caller, ticket.closed.clone()), Pipe { to, from }, ticket)
}

/// Runs a script against a session; the session's end is that of the script's pipe.
async fn with<F: Future>(session: impl Future<Output = End>, script: F) -> F::Output {
    tokio::pin!(session);
    tokio::pin!(script);
    tokio::select! {
        output = &mut script => output,
        end = &mut session => {
            let output = script.await;
            assert_ne!(end, End::Gone);
            output
        }
    }
}

/// Runs a client's script against a session that has greeted it.
async fn greeted<T>(node: &Arc<Stub>, script: impl AsyncFnOnce(&mut Pipe) -> T) -> T {
    let (session, mut pipe, _ticket) = session(node, 100);
    with(session, async {
        let hello = pipe.next().await;
        assert!(matches!(hello, ServerMsg::Hello { .. }), "{hello:?}");
        script(&mut pipe).await
    })
    .await
}

/// Runs a client's script against a session that has sent it the rows of `node`.
async fn subscribed<T>(node: &Arc<Stub>, script: impl AsyncFnOnce(&mut Pipe) -> T) -> T {
    greeted(node, async |pipe| {
        pipe.subscribe("node");
        let snapshot = pipe.next().await;
        assert!(matches!(snapshot, ServerMsg::Snapshot { last: true, .. }), "{snapshot:?}");
        script(pipe).await
    })
    .await
}

const NODE: StreamId = StreamId::Node;

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_marked_every_ten_seconds() {
    let node = Stub::new().await;
    node.put("a", "1");
    subscribed(&node, async |pipe| {
        for _ in 0..3 {
            let before = Instant::now();
            let ServerMsg::Mark { streams, .. } = pipe.next().await else { panic!() };
            assert_eq!(streams, [(NODE.into(), 1)].into());
            assert_eq!(before.elapsed(), Duration::from_secs(10));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_without_any_sign_of_life_is_given_up_after_sixty_seconds() {
    let node = Stub::new().await;
    let (session, mut pipe, _ticket) = session(&node, 100);
    let start = Instant::now();
    let end = tokio::join!(session, async { while pipe.from.recv().await.is_some() {} }).0;
    assert!(matches!(end, End::Close { code: 4408, .. }), "{end:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn pongs_keep_a_connection_alive() {
    let node = Stub::new().await;
    let (session, mut pipe, _ticket) = session(&node, 100);
    with(session, async {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(300) {
            match pipe.from.recv().await.unwrap() {
                Message::Ping(_) => pipe.to.send(Message::Pong(Vec::new().into())).unwrap(),
                Message::Text(text) => assert!(!text.contains(r#""t":"bye""#), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_dropped_after_twenty_seconds_and_costs_no_memory() {
    let node = Stub::new().await;
    let (session, mut pipe, _ticket) = session(&node, 1);
    tokio::pin!(session);
    let script = async {
        pipe.next().await;
        pipe.subscribe("node");
        pipe.next().await;
        let mut changes = interval(Duration::from_millis(100));
        for n in 0..1_200 {
            changes.tick().await;
            node.put("a", &n.to_string());
        }
    };
    let start = Instant::now();
    let end = tokio::select! {
        end = &mut session => end,
        () = script => panic!("it was not dropped"),
    };
    assert!(matches!(end, End::Close { code: 4429, .. }), "{end:?}");
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    let mut left = 0;
    while pipe.from.try_recv().is_ok() {
        left += 1;
    }
    assert!(left <= 1, "only what its own buffer holds: {left}");
}

#[tokio::test(start_paused = true)]
async fn after_an_ack_one_delta_at_most_is_under_way_and_the_next_has_everything() {
    let node = Stub::new().await;
    subscribed(&node, async |pipe| {
        pipe.say(r#"{"t":"ack","stream":"node","seq":0}"#);
        node.put("a", "1");
        let ServerMsg::Delta { from: 0, seq: 1, .. } = pipe.next().await else { panic!() };
        for n in 0..50 {
            node.put("a", &format!("x{n}"));
            node.put("b", &format!("x{n}"));
            assert_eq!(pipe.quiet(Duration::from_millis(100)).await, None, "the window is shut");
        }
        pipe.say(r#"{"t":"ack","stream":"node","seq":1}"#);
        let ServerMsg::Delta { from: 1, seq: 101, ops, .. } = pipe.next().await else { panic!() };
        assert_eq!(ops.len(), 2, "coalesced to the last state of each row");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_acks_gets_twenty_deltas_a_second_at_most() {
    let node = Stub::new().await;
    subscribed(&node, async |pipe| {
        let start = Instant::now();
        let mut changes = interval(Duration::from_millis(1));
        for n in 0..1_000 {
            changes.tick().await;
            node.put("a", &n.to_string());
        }
        let mut have = 0;
        let mut deltas = 0;
        while have < 1_000 {
            let frame = pipe.next().await;
            let ServerMsg::Delta { from, seq, .. } = frame else { panic!("{frame:?}") };
            assert_eq!(from, have);
            have = seq;
            deltas += 1;
        }
        assert!((15..=22).contains(&deltas), "{deltas} in {:?}", start.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn apps_are_not_told_before_the_node_has_looked() {
    let node = Stub::new().await;
    node.ready.store(false, Ordering::SeqCst);
    greeted(&node, async |pipe| {
        pipe.subscribe("apps");
        assert_eq!(pipe.quiet(Duration::from_secs(5)).await, None);
        node.ready.store(true, Ordering::SeqCst);
        let snapshot = pipe.quiet(Duration::from_secs(1)).await.unwrap();
        assert!(matches!(snapshot, ServerMsg::Snapshot { reason: SnapshotReason::Initial, .. }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_client_does_not_delay_a_close() {
    let node = Stub::new().await;
    let (session, mut pipe, ticket) = session(&node, 1);
    tokio::pin!(session);
    let script = async {
        pipe.next().await;
        pipe.subscribe("node");
        for n in 0..10 {
            node.put("a", &n.to_string());
            advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
        ticket.closer.send_replace(Some(Close::LOGGED_OUT));
        std::future::pending::<()>().await;
    };
    let start = Instant::now();
    let end = tokio::select! { end = &mut session => end, () = script => panic!() };
    assert!(matches!(end, End::Close { code: 4401, .. }), "{end:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn too_large_a_delta_becomes_a_snapshot_in_parts() {
    let node = Stub::new().await;
    subscribed(&node, async |pipe| {
        for n in 0..10 {
            node.put(&n.to_string(), &"x".repeat(60_000));
        }
        let (mut rows, mut done) = (0, false);
        while !done {
            let frame = pipe.next().await;
            let ServerMsg::Snapshot { reason: SnapshotReason::Gap, last, items, .. } = frame else {
                panic!()
            };
            rows += items.len();
            done = last;
        }
        assert_eq!(rows, 10);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn cswsh_a_login_that_expires_ends_its_socket() {
    let node = Stub::new().await;
    let login = Login {
        id: "a".into(),
        created_at: super::now_ms(),
        seen_at: super::now_ms(),
        expires_at: u64::MAX / 4,
        address: "127.0.0.1".into(),
        agent: String::new(),
    };
    let accounts = node.accounts();
    accounts.create_session([1; 32], login, 1_000_000).await.unwrap();
    let caller = Caller::admin(Identity::Session("a".into(), [1; 32]));
    let (session, mut pipe, _ticket) = session_of(&node, 100, caller);
    let begun = Instant::now();
    let script = async {
        // A look at the login, at 20 s, has found it valid.
        while begun.elapsed() < Duration::from_secs(30) {
            pipe.next().await;
        }
        accounts.delete_session("a").await.unwrap();
        pipe
    };
    let (end, _pipe) = tokio::join!(session, script);
    assert!(matches!(end, End::Close { code: 4401, .. }), "{end:?}");
    assert_eq!(begun.elapsed().as_secs(), 40, "the next look ends it");
}
