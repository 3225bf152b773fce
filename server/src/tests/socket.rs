//! The WebSocket over loopback, by the client and by hand.

use super::{BEARER, BOUND, Running, start};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    NodeView, Row, ServerMsg, SnapshotReason, StreamId, WS_SUBPROTOCOL,
    client::{StreamEvent, Subscription},
};
use std::collections::BTreeMap;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
    },
};

pub(crate) type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn event(rows: &mut Subscription) -> StreamEvent {
    timeout(BOUND, rows.next()).await.unwrap().unwrap()
}

fn detail(row: &Row) -> (String, String) {
    let Row::Node(view) = row else { panic!("{row:?}") };
    let NodeView { key, detail, .. } = &**view;
    (key.clone(), detail.clone())
}

/// Connects with these header lines.
pub(crate) async fn connect(server: &Running, headers: &[&str]) -> Result<Ws, u16> {
    let mut request = format!("ws://{}/api/v1/ws", server.addr).into_client_request().unwrap();
    for line in headers {
        let (name, value) = line.split_once(": ").unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    match timeout(BOUND, connect_async(request)).await.unwrap() {
        Ok((ws, _)) => Ok(ws),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn protocol() -> String {
    format!("Sec-WebSocket-Protocol: {WS_SUBPROTOCOL}")
}

async fn next(ws: &mut Ws) -> ServerMsg {
    loop {
        match timeout(BOUND, ws.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Reads until what is wanted comes.
pub(crate) async fn until(ws: &mut Ws, wanted: impl Fn(&ServerMsg) -> bool) {
    while !wanted(&next(ws).await) {}
}

/// Reads until the close frame; its code.
pub(crate) async fn close_code(ws: &mut Ws) -> u16 {
    loop {
        match timeout(BOUND, ws.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn say(ws: &mut Ws, text: &str) {
    ws.send(Message::text(text)).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_gets_a_snapshot_and_then_every_change_in_order() {
    let server = start().await;
    server.node.put("engine", "1");
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    let StreamEvent::Snapshot { reason: SnapshotReason::Initial, seq: 1, rows: first, .. } =
        event(&mut rows).await
    else {
        panic!()
    };
    assert_eq!(detail(&first[0]), ("engine".into(), "1".into()));
    server.node.put("engine", "2");
    let StreamEvent::Put { row, seq: 2, .. } = event(&mut rows).await else { panic!() };
    assert_eq!(detail(&row), ("engine".into(), "2".into()));
    server.node.board.remove(StreamId::Node, "engine", "gone");
    let StreamEvent::Del { key, why, .. } = event(&mut rows).await else { panic!() };
    assert_eq!((key.as_str(), why.as_str()), ("engine", "gone"));
}

#[tokio::test]
async fn ten_thousand_changes_end_in_the_same_state_with_far_fewer_frames() {
    let server = start().await;
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    event(&mut rows).await;
    let mut have: BTreeMap<String, String> = BTreeMap::new();
    let (mut events, mut written) = (0, 0);
    while written < 10_000 || have.get("k9").is_none_or(|last| last != "9999") {
        if written < 10_000 {
            for _ in 0..100 {
                server.node.put(&format!("k{}", written % 10), &written.to_string());
                written += 1;
            }
        }
        if let StreamEvent::Put { row, .. } = event(&mut rows).await {
            let (key, value) = detail(&row);
            have.insert(key, value);
            events += 1;
        }
    }
    assert!(events < 5_000, "{events}");
    let expected = (9_990..10_000).map(|n| (format!("k{}", n % 10), n.to_string())).collect();
    assert_eq!(have, expected);
}

#[tokio::test]
async fn foreign_and_anonymous_upgrades_are_refused_before_any_frame() {
    let server = start().await;
    let own = server.origin();
    let cookie = server.login().await;
    let port = format!("Origin: http://{}:8080", server.addr.ip());
    let p = protocol();
    assert_eq!(connect(&server, &[&p, &own]).await.err(), Some(401));
    for foreign in ["Origin: http://evil.example", "Origin: null", &port] {
        assert_eq!(connect(&server, &[&p, &cookie, foreign]).await.err(), Some(403), "{foreign}");
        assert_eq!(connect(&server, &[&p, BEARER, foreign]).await.err(), Some(403), "{foreign}");
    }
    assert_eq!(connect(&server, &[&p, &cookie]).await.err(), Some(403), "a cookie needs an origin");
    assert_eq!(connect(&server, &[&p, BEARER, "Host: evil.example"]).await.err(), Some(421));
    assert_eq!(connect(&server, &[BEARER]).await.err(), Some(400), "no protocol");
    assert_eq!(connect(&server, &[BEARER, "Sec-WebSocket-Protocol: other"]).await.err(), Some(400));
    let mut ws = connect(&server, &[&p, &cookie, &own]).await.unwrap();
    assert!(matches!(next(&mut ws).await, ServerMsg::Hello { proto: 1, .. }));
}

#[tokio::test]
async fn it_resumes_where_it_was_and_not_from_another_epoch_or_a_gap() {
    let server = start().await;
    server.node.put("a", "1");
    server.node.put("b", "1");
    let mut ws = connect(&server, &[&protocol(), BEARER]).await.unwrap();
    next(&mut ws).await;
    let sub = |epoch: &str, seq: u64| {
        format!(
            r#"{{"t":"sub","ref":1,"streams":[{{"stream":"node","resume":{{"epoch":"{epoch}","seq":{seq}}}}}]}}"#
        )
    };
    say(&mut ws, &sub("e1", 1)).await;
    let ServerMsg::Delta { from: 1, seq: 2, ops, .. } = next(&mut ws).await else { panic!() };
    assert_eq!(ops.len(), 1);
    say(&mut ws, &sub("e1", 2)).await;
    let ServerMsg::Mark { streams, .. } = next(&mut ws).await else { panic!() };
    assert_eq!(streams, [(StreamId::Node.into(), 2)].into());
    say(&mut ws, &sub("e1", 3)).await;
    let gap = next(&mut ws).await;
    assert!(matches!(gap, ServerMsg::Snapshot { reason: SnapshotReason::Gap, seq: 2, .. }), "{gap:?}");
    say(&mut ws, &sub("e0", 2)).await;
    let epoch = next(&mut ws).await;
    assert!(matches!(epoch, ServerMsg::Snapshot { reason: SnapshotReason::Epoch, .. }), "{epoch:?}");
}

#[tokio::test]
async fn refused_frames_are_named_and_nonsense_ends_the_connection() {
    let server = start().await;
    let open = || async {
        let mut ws = connect(&server, &[&protocol(), BEARER]).await.unwrap();
        next(&mut ws).await;
        ws
    };
    let mut ws = open().await;
    say(&mut ws, r#"{"t":"sub","ref":7,"streams":[{"stream":"nope"}]}"#).await;
    assert!(matches!(next(&mut ws).await, ServerMsg::Error { r#ref: Some(7), .. }));
    let many = vec![r#"{"stream":"node"}"#; 33].join(",");
    say(&mut ws, &format!(r#"{{"t":"sub","ref":8,"streams":[{many}]}}"#)).await;
    assert!(matches!(next(&mut ws).await, ServerMsg::Error { r#ref: Some(8), .. }));
    say(&mut ws, r#"{"t":"ping","id":4}"#).await;
    assert!(matches!(next(&mut ws).await, ServerMsg::Pong { id: 4, .. }));
    say(&mut ws, "nonsense").await;
    assert!(matches!(next(&mut ws).await, ServerMsg::Bye { code: 4400, .. }));
    assert_eq!(close_code(&mut ws).await, 4400);

    let mut ws = open().await;
    ws.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(close_code(&mut ws).await, 4400);

    let mut ws = open().await;
    for id in 0..25 {
        let _ = ws.send(Message::text(format!(r#"{{"t":"ping","id":{id}}}"#))).await;
    }
    assert_eq!(close_code(&mut ws).await, 4400);

    let mut ws = open().await;
    say(&mut ws, &format!(r#"{{"t":"ping","id":1{}}}"#, " ".repeat(17 * 1024))).await;
    assert_eq!(close_code(&mut ws).await, 1009);
}

#[tokio::test]
async fn logout_closes_the_sockets_of_the_login_and_no_other() {
    let server = start().await;
    let (one, other) = (server.login().await, server.login().await);
    let own = server.origin();
    let mut gone = connect(&server, &[&protocol(), &one, &own]).await.unwrap();
    let mut stays = connect(&server, &[&protocol(), &other, &own]).await.unwrap();
    next(&mut gone).await;
    next(&mut stays).await;
    assert_eq!(server.send(&["POST /api/v1/logout HTTP/1.1", &one, &own], "").await.status, 204);
    assert_eq!(close_code(&mut gone).await, 4401);
    say(&mut stays, r#"{"t":"ping","id":1}"#).await;
    assert!(matches!(next(&mut stays).await, ServerMsg::Pong { .. }));
}

#[tokio::test]
async fn ws_limits_are_eight_sockets_of_a_login_and_sixty_four_in_all() {
    let server = start().await;
    let cookie = server.login().await;
    let (own, p) = (server.origin(), protocol());
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(connect(&server, &[&p, &cookie, &own]).await.unwrap());
    }
    assert_eq!(connect(&server, &[&p, &cookie, &own]).await.err(), Some(429));
    while open.len() < 64 {
        open.push(connect(&server, &[&p, BEARER]).await.unwrap());
    }
    assert_eq!(connect(&server, &[&p, BEARER]).await.err(), Some(429));
}

#[tokio::test]
async fn ws_limits_keep_a_client_that_never_reads_from_holding_up_others() {
    let server = start().await;
    let mut stuck = connect(&server, &[&protocol(), BEARER]).await.unwrap();
    say(&mut stuck, r#"{"t":"sub","ref":1,"streams":[{"stream":"node"}]}"#).await;
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    event(&mut rows).await;
    // More than the sockets' buffers hold.
    for n in 0..80 {
        let text = format!("{n} {}", "x".repeat(200_000));
        server.node.put("a", &text);
        let StreamEvent::Put { row, .. } = event(&mut rows).await else { panic!() };
        assert_eq!(detail(&row), ("a".into(), text));
    }
}
