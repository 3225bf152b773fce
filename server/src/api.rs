//! The HTTP interface beside login and socket.

use crate::{
    answer::{Refusal, internal},
    http,
    live::{Caller, Identity, closed},
    session::now_ms,
    shared::Shared,
};
use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt};
use protocol::{
    AppId, BackupView, Command, CommandAccepted, ErrorCode, EventPage, NodeView, ServiceName, StreamId,
};
use serde::Deserialize;
use std::sync::Arc;
use tokio::time::Instant;

/// Lines of a log without `tail`.
const TAIL: u32 = 200;
/// Most lines of a log.
const MAX_TAIL: u32 = 10_000;
/// Events of a page without `limit`.
const EVENTS: u32 = 100;
/// Most events of a page.
const MAX_EVENTS: u32 = 500;
/// Longest idempotency key.
const MAX_KEY: usize = 128;

/// `GET /healthz`: for whoever starts the node and waits for it; tells nothing else.
pub(crate) async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let ready = shared.node.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": ready }))).into_response()
}

/// `GET /readyz`: whether the node can do its work. Tells which part cannot, and nothing else.
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let (_, rows) = shared.node.board().snapshot(StreamId::Node);
    let rows = rows.iter().filter_map(|row| serde_json::from_str::<NodeView>(row).ok());
    let mut failing: Vec<String> = rows.filter(|row| !row.ok).map(|row| row.key).collect();
    if !shared.node.is_ready() {
        failing.push("apps".into());
    }
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": failing.is_empty(), "failing": failing }))).into_response()
}

/// `GET /api/v1/session`.
pub(crate) async fn session() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "ok": true }))
}

/// By what the buckets and confirmations know somebody.
fn who(caller: &Caller) -> String {
    match &caller.identity {
        Identity::Setup => "setup".into(),
        Identity::Local => "local".into(),
        Identity::Session(id, _) | Identity::Token(id, _) => id.to_string(),
    }
}

/// `POST /api/v1/commands`.
pub(crate) async fn command(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CommandAccepted>), Refusal> {
    let who = who(&caller);
    if !shared.commands.take(&who, Instant::now()) {
        return Err(
            Refusal::new(ErrorCode::TooManyRequests, "more than ten commands in a second").retry_after(1)
        );
    }
    let key = match headers.get("idempotency-key").map(HeaderValue::to_str) {
        None => None,
        Some(Ok(key)) if (1..=MAX_KEY).contains(&key.len()) => Some(key.to_owned()),
        Some(_) => return Err(Refusal::bad("Idempotency-Key must have 1 to 128 printable ASCII characters")),
    };
    let command: Command = http::json(&headers, body).await?;
    if let Some(plan) = shared.node.plan(&command).await? {
        let given = headers.get("confirm-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        if !shared.confirmations.is_given(given, &command, &plan, &who, now_ms()) {
            return Err(shared.confirmations.ask(&command, plan, &who, now_ms()));
        }
    }
    let accepted = shared.node.submit(command, key).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// `GET /api/v1/snapshot/{stream}`.
pub(crate) async fn snapshot(
    State(shared): State<Arc<Shared>>,
    Path(stream): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let known = StreamId::ALL.into_iter().find(|id| id.as_str() == stream);
    let Some(stream) = known else {
        return Err(Refusal::new(ErrorCode::NotFound, format!("there is no stream of rows {stream:?}"))
            .hint("these are apps, ops, tree, gates, node and metrics"));
    };
    if stream == StreamId::Apps && !shared.node.is_ready() {
        return Err(Refusal::new(ErrorCode::Unavailable, "the node has not looked at its containers yet")
            .retry_after(1));
    }
    let board = shared.node.board();
    let (seq, rows) = board.snapshot(stream);
    let epoch = board.epoch();
    let etag = format!("\"{epoch}.{seq}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| is_known(known, &etag));
    let etag = [(header::ETAG, etag)];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    let epoch = serde_json::Value::from(epoch);
    let body = format!(r#"{{"epoch":{epoch},"seq":{seq},"items":[{}]}}"#, rows.join(","));
    Ok((etag, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Whether a list of tags has this one; a compressed answer's tag may have come back as a weak one.
fn is_known(list: &HeaderValue, etag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventQuery {
    before: Option<u64>,
    limit: Option<u32>,
    app: Option<AppId>,
}

/// `GET /api/v1/events`.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Json<EventPage>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::bad(error.body_text()))?;
    let limit = query.limit.unwrap_or(EVENTS).clamp(1, MAX_EVENTS);
    Ok(Json(shared.node.events(query.before, query.app, limit).await?))
}

/// `GET /api/v1/backups`.
pub(crate) async fn all_backups(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<BackupView>>, Refusal> {
    Ok(Json(shared.node.backups(None).await?))
}

/// `GET /api/v1/apps/{app}/backups`.
pub(crate) async fn backups(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
) -> Result<Json<Vec<BackupView>>, Refusal> {
    let app: AppId = app.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    Ok(Json(shared.node.backups(Some(&app)).await?))
}

#[derive(Debug, Deserialize)]
pub(crate) struct LogQuery {
    tail: Option<u32>,
    #[serde(default)]
    follow: u8,
    #[serde(default)]
    download: u8,
}

/// `GET /api/v1/logs/{app}/{service}`.
pub(crate) async fn logs(
    State(shared): State<Arc<Shared>>,
    Path((app, service)): Path<(String, String)>,
    query: Result<Query<LogQuery>, QueryRejection>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    let app: AppId = app.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    let service: ServiceName = service.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    let Query(query) = query.map_err(|error| Refusal::bad(error.body_text()))?;
    let tail = query.tail.unwrap_or(TAIL).min(MAX_TAIL);
    let Some(ticket) = shared.live.admit(caller) else { return Err(too_many_open()) };
    let lines = shared.node.logs(&app, &service, tail, query.follow != 0).await?;
    let lines = lines.map_ok(|line| {
        let mut text = line.line;
        text.push('\n');
        text
    });
    // A log that breaks off breaks the answer off, so that nobody takes it for complete.
    let lines = lines.take_until(async move {
        // The whole ticket moves in and ends with the stream.
        let mut ticket = ticket;
        closed(&mut ticket.closed).await
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut answer = (kind, Body::from_stream(lines)).into_response();
    if query.download != 0 {
        // Ids have no character that would have to be escaped.
        let name = format!("attachment; filename=\"{app}-{service}.log\"");
        let name = HeaderValue::try_from(name).map_err(internal)?;
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(answer)
}

pub(crate) fn too_many_open() -> Refusal {
    Refusal::new(ErrorCode::TooManyRequests, "too many open sockets and logs")
        .hint("close some; 64 in all and 8 for one login are allowed")
        .retry_after(5)
}
