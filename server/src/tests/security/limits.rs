//! Rows about what one client may take.

use crate::tests::{
    BEARER, BOUND,
    socket::{self, close_code},
    start,
};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use futures_util::{SinkExt, StreamExt, stream};
use std::{io, time::Duration};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

fn fragment(text: &[u8], opcode: Data, last: bool) -> Message {
    Message::Frame(Frame::message(text.to_vec(), OpCode::Data(opcode), last))
}

#[tokio::test]
async fn ws_limits_count_the_fragments_of_a_message_together() {
    let server = start().await;
    let mut ws = server.socket(BEARER).await;
    let part = [b' '; 6 * 1024];
    ws.send(fragment(&part, Data::Text, false)).await.unwrap();
    ws.send(fragment(&part, Data::Continue, false)).await.unwrap();
    ws.send(fragment(&part, Data::Continue, false)).await.unwrap();
    assert_eq!(close_code(&mut ws).await, 1009);
    // In as many parts, what fits is taken.
    let mut ws = server.socket(BEARER).await;
    ws.send(fragment(br#"{"t":"ping","#, Data::Text, false)).await.unwrap();
    ws.send(fragment(br#""id":4}"#, Data::Continue, true)).await.unwrap();
    socket::until(&mut ws, |msg| matches!(msg, protocol::ServerMsg::Pong { id: 4, .. })).await;
}

#[tokio::test]
async fn ws_limits_end_floods_of_pings_and_text_that_is_none() {
    let server = start().await;
    let mut ws = server.socket(BEARER).await;
    for _ in 0..30 {
        // It may be closed meanwhile.
        let _ = ws.send(Message::Ping(Bytes::new())).await;
    }
    assert_eq!(close_code(&mut ws).await, 4400);
    let mut ws = server.socket(BEARER).await;
    ws.send(fragment(&[0xff, 0xfe], Data::Text, true)).await.unwrap();
    let end = async { while let Some(Ok(_)) = ws.next().await {} };
    timeout(BOUND, end).await.expect("the connection ends");
    assert!(server.lets_in(BEARER).await, "others are served");
}

#[tokio::test(start_paused = true)]
async fn dos_a_body_that_does_not_come_is_given_up_after_ten_seconds() {
    let headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = Body::from_stream(stream::pending::<io::Result<Bytes>>());
    let begun = Instant::now();
    let refusal = crate::http::json::<protocol::Command>(&headers, body).await.unwrap_err();
    let answer = axum::response::IntoResponse::into_response(refusal);
    assert_eq!((answer.status().as_u16(), begun.elapsed()), (408, Duration::from_secs(10)));
}
