//! The owner's own affairs: password, second factor, logins, tokens.

use crate::{
    answer::{Refusal, internal, store_away},
    auth::{IDLE, ms},
    conn::Peer,
    http,
    live::{Caller, Close, Identity},
    login, password,
    session::now_ms,
    shared::Shared,
    totp,
};
use actors::{EventDraft, Token};
use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use protocol::{
    ErrorCode, EventActor, PasswordRequest, SessionView, TokenCreated, TokenRequest, TokenView, TotpCode,
    TotpSecret,
};
use std::sync::Arc;

/// Begins every token, so that one that is found somewhere is known for what it is.
const TOKEN_PREFIX: &str = "archy_";
/// Longest life of a token in days that ends at all.
const MAX_DAYS: u32 = 3_650;
/// Most tokens.
const MAX_TOKENS: usize = 100;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

fn told(shared: &Shared, kind: &'static str, what: &str) {
    shared.node.record(EventDraft::new(EventActor::User, kind, what));
}

fn not_found(what: &str) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no such {what}"))
}

/// `POST /api/v1/password`: ends all logins; the one that asks goes on under a new cookie.
pub(crate) async fn password(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let request: PasswordRequest = http::json(&headers, body).await?;
    login::acceptable(&request.new)?;
    let accounts = shared.node.accounts();
    if caller.identity != Identity::Local {
        let owner = accounts.owner().await.map_err(store_away)?;
        let given = request.current.unwrap_or_default();
        if !password::verify(given, owner.password).await.map_err(internal)? {
            return Err(Refusal::new(ErrorCode::Forbidden, "the present password is another"));
        }
    }
    let hash = password::hash(request.new).await.map_err(internal)?;
    accounts.set_password(hash, false).await.map_err(store_away)?;
    accounts.delete_sessions_but(None).await.map_err(store_away)?;
    shared.live.close(|other| other.is_ambient() && *other != caller, Close::REVOKED);
    shared.live.close(|other| other.identity == Identity::Setup, Close::REVOKED);
    told(&shared, "password_changed", "the owner's password was changed; all logins have ended");
    if !caller.is_ambient() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let value = login::new_session(&accounts, peer, &headers).await?;
    // Its sockets come back with the new cookie.
    shared.live.close(|other| *other == caller, Close::RENEW);
    login::set_cookie(peer, &headers, &value, login::absolute_s())
}

/// `POST /api/v1/totp`: a new secret, which is on after its confirmation.
pub(crate) async fn totp_begin(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Json<TotpSecret>, Refusal> {
    let accounts = shared.node.accounts();
    let owner = accounts.owner().await.map_err(store_away)?;
    if owner.password.is_none() {
        return Err(Refusal::new(ErrorCode::Conflict, "set a password first"));
    }
    if owner.totp.is_some() {
        return Err(Refusal::new(ErrorCode::Conflict, "the second factor is on").hint("turn it off first"));
    }
    let secret = totp::secret().map_err(internal)?;
    accounts.set_totp(None, Some(secret.clone())).await.map_err(store_away)?;
    Ok(Json(TotpSecret { uri: totp::uri(&secret, http::host(&headers)), secret }))
}

/// `POST /api/v1/totp/confirm`.
pub(crate) async fn totp_confirm(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let request: TotpCode = http::json(&headers, body).await?;
    let accounts = shared.node.accounts();
    let pending = accounts.owner().await.map_err(store_away)?.totp_pending;
    let Some(secret) = pending else {
        return Err(
            Refusal::new(ErrorCode::Conflict, "there is no secret to confirm").hint("ask for one first")
        );
    };
    let Some(step) = totp::step(&secret, &request.code, now_ms()) else { return Err(wrong_code()) };
    accounts.use_totp_step(step).await.map_err(store_away)?;
    accounts.set_totp(Some(secret), None).await.map_err(store_away)?;
    end_others(&shared, &caller).await?;
    told(&shared, "totp_on", "the second factor was turned on");
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/totp`.
pub(crate) async fn totp_off(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let accounts = shared.node.accounts();
    let Some(secret) = accounts.owner().await.map_err(store_away)?.totp else {
        return Ok(StatusCode::NO_CONTENT);
    };
    // Whoever sits at the node's machine may have lost the device.
    if caller.identity != Identity::Local {
        let request: TotpCode = http::json(&headers, body).await?;
        let step = totp::step(&secret, &request.code, now_ms()).ok_or_else(wrong_code)?;
        if !accounts.use_totp_step(step).await.map_err(store_away)? {
            return Err(wrong_code());
        }
    }
    accounts.set_totp(None, None).await.map_err(store_away)?;
    end_others(&shared, &caller).await?;
    told(&shared, "totp_off", "the second factor was turned off");
    Ok(StatusCode::NO_CONTENT)
}

fn wrong_code() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "this code is not right now")
        .hint("see that the clocks agree; wait for the next")
}

/// `GET /api/v1/sessions`.
pub(crate) async fn sessions(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<SessionView>>, Refusal> {
    let all = shared.node.accounts().sessions(now_ms(), ms(IDLE)).await.map_err(store_away)?;
    let view = |session: actors::Session| SessionView {
        current: caller.id() == Some(&session.id),
        id: session.id,
        created_at: session.created_at,
        seen_at: session.seen_at,
        expires_at: session.expires_at,
        address: session.address,
        agent: session.agent,
    };
    Ok(Json(all.into_iter().map(view).collect()))
}

/// `DELETE /api/v1/sessions/{id}`.
pub(crate) async fn end_session(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if !shared.node.accounts().delete_session(&id).await.map_err(store_away)? {
        return Err(not_found("login"));
    }
    shared.live.close_id(&id, Close::REVOKED);
    told(&shared, "session_revoked", "a login was ended");
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/sessions`: all but the one that asks.
pub(crate) async fn end_sessions(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Refusal> {
    end_others(&shared, &caller).await?;
    told(&shared, "session_revoked", "all other logins were ended");
    Ok(StatusCode::NO_CONTENT)
}

async fn end_others(shared: &Shared, caller: &Caller) -> Result<(), Refusal> {
    let keep = if caller.is_ambient() { caller.id() } else { None };
    for id in shared.node.accounts().delete_sessions_but(keep).await.map_err(store_away)? {
        shared.live.close_id(&id, Close::REVOKED);
    }
    Ok(())
}

fn token_view(token: Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        scope: token.scope,
        created_at: token.created_at,
        used_at: token.used_at,
        expires_at: token.expires_at,
    }
}

/// `GET /api/v1/tokens`.
pub(crate) async fn tokens(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<TokenView>>, Refusal> {
    let all = shared.node.accounts().tokens().await.map_err(store_away)?;
    Ok(Json(all.into_iter().map(token_view).collect()))
}

/// `POST /api/v1/tokens`.
pub(crate) async fn create_token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<TokenCreated>), Refusal> {
    let request: TokenRequest = http::json(&headers, body).await?;
    let name = request.name.trim().to_owned();
    if !(1..=80).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Refusal::new(ErrorCode::Invalid, "a token's name has 1 to 80 characters"));
    }
    if request.days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
        return Err(Refusal::new(
            ErrorCode::Invalid,
            format!("a token lives 1 to {MAX_DAYS} days, or without end"),
        ));
    }
    let accounts = shared.node.accounts();
    if accounts.tokens().await.map_err(store_away)?.len() >= MAX_TOKENS {
        return Err(Refusal::new(ErrorCode::Conflict, "there are too many tokens").hint("remove some"));
    }
    let token = format!("{TOKEN_PREFIX}{}", login::random().map_err(internal)?);
    let now = now_ms();
    let kept = Token {
        id: ulid::Ulid::new().to_string(),
        name,
        scope: request.scope,
        created_at: now,
        used_at: None,
        expires_at: request.days.map(|days| now + u64::from(days) * DAY_MS),
    };
    accounts.create_token(blake3::hash(token.as_bytes()).into(), kept.clone()).await.map_err(store_away)?;
    told(&shared, "token_created", &format!("the token {:?} was made", kept.name));
    Ok((StatusCode::CREATED, Json(TokenCreated { token, view: token_view(kept) })))
}

/// `DELETE /api/v1/tokens/{id}`.
pub(crate) async fn end_token(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if !shared.node.accounts().delete_token(&id).await.map_err(store_away)? {
        return Err(not_found("token"));
    }
    shared.live.close_id(&id, Close::REVOKED);
    told(&shared, "token_revoked", "a token was removed");
    Ok(StatusCode::NO_CONTENT)
}
