//! The upgrade to a WebSocket.

use crate::{
    answer::Refusal,
    api::too_many_open,
    live::{Caller, Close, Ticket},
    session,
    shared::Shared,
    tree::{Ends, SessionArgs},
};
use axum::{
    Extension,
    extract::{
        State,
        ws::{WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures_util::StreamExt;
use protocol::WS_SUBPROTOCOL;
use std::sync::Arc;
use tokio::sync::watch;

/// Largest message and frame that a client may send.
const MAX_INBOUND: usize = 16 * 1024;
/// What is read at once; most of what clients send is an ack.
const READ_BUFFER: usize = 512;
/// What may wait inside the WebSocket layer; more than a frame, less than a flood.
const MAX_WRITE_BUFFER: usize = 1024 * 1024;

/// `GET /api/v1/ws`.
pub(crate) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ws: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let ws = ws.map_err(|error| Refusal::bad(error.body_text()))?.protocols([WS_SUBPROTOCOL]);
    if ws.selected_protocol().is_none() {
        return Err(Refusal::bad(format!("Sec-WebSocket-Protocol must offer {WS_SUBPROTOCOL}")));
    }
    let Some(ticket) = shared.live.admit(caller) else { return Err(too_many_open()) };
    let ws = ws
        .max_message_size(MAX_INBOUND)
        .max_frame_size(MAX_INBOUND)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER);
    Ok(ws.on_upgrade(move |socket| serve(shared, ticket, socket)))
}

async fn serve(shared: Arc<Shared>, ticket: Ticket, socket: WebSocket) {
    let (alive, ended) = watch::channel(());
    let args = SessionArgs { closer: Arc::clone(&ticket.closer), alive: ended };
    let started = match shared.sessions() {
        Some(sessions) => sessions.start_child(args).await.ok(),
        None => None,
    };
    let Some(actor) = started.and_then(|started| started.cell().cloned()) else {
        // The tree is going down or coming up: the client comes back.
        ticket.closer.send_replace(Some(Close::SHUTDOWN));
        let (writer, reader) = socket.split();
        session::run(reader, writer, shared.context(), ticket.caller.clone(), ticket.closed.clone()).await;
        return;
    };
    let _ends = Ends::new(actor, alive);
    let (writer, reader) = socket.split();
    let end =
        session::run(reader, writer, shared.context(), ticket.caller.clone(), ticket.closed.clone()).await;
    tracing::debug!(session = ticket.id(), ?end, "session ended");
}
