//! Setup, login and logout.

use crate::{
    answer::{Refusal, internal, store_away},
    auth::{self, COOKIE, IDLE, SECURE_COOKIE, ms, unauthenticated},
    conn::{Peer, Via},
    host::check_origin,
    http, limiter,
    live::{Caller, Close, Identity},
    password,
    session::now_ms,
    shared::Shared,
    totp,
};
use actors::{Accounts, EventDraft, Owner, Session};
use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ApiError, AuthView, ErrorCode, EventActor, LoginRequest, Problem, SetupRequest, Severity};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

/// How long a login lasts at most.
const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Longest description of a browser that is kept.
const MAX_AGENT: usize = 200;

/// `GET /api/v1/auth`.
pub(crate) async fn view(State(shared): State<Arc<Shared>>) -> Result<Json<AuthView>, Refusal> {
    let owner = shared.node.accounts().owner().await.map_err(store_away)?;
    Ok(Json(AuthView { setup: owner.password.is_none(), totp: owner.totp.is_some() }))
}

/// `POST /api/v1/setup`.
pub(crate) async fn setup(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (accounts, request): (_, SetupRequest) = attempt(&shared, peer, &headers, body).await?;
    if blake3::hash(request.token.trim().as_bytes()) != shared.setup_token {
        return Err(refused(&shared, peer, "this is not the token that the node printed"));
    }
    acceptable(&request.password)?;
    let hash = password::hash(request.password).await.map_err(internal)?;
    if !accounts.set_password(hash, true).await.map_err(store_away)? {
        return Err(Refusal::new(ErrorCode::Conflict, "the node is set up already")
            .hint("log in with the password; who forgot it runs archy passwd on the node's machine"));
    }
    // The token has done its work: whoever used it until now logs in with the password.
    shared.live.close(|caller| caller.identity == Identity::Setup, Close::REVOKED);
    accounts.delete_sessions_but(None).await.map_err(store_away)?;
    shared.live.close(|caller| matches!(caller.identity, Identity::Session(..)), Close::REVOKED);
    let event = EventDraft::new(EventActor::User, "setup", "the owner's password was set");
    shared.node.record(event.subject(peer.remote.to_string()));
    begin(&shared, &accounts, peer, &headers).await
}

/// `POST /api/v1/login`.
pub(crate) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (accounts, request): (_, LoginRequest) = attempt(&shared, peer, &headers, body).await?;
    let owner = accounts.owner().await.map_err(store_away)?;
    let proven = match (request.token, request.password) {
        (Some(token), None) => {
            let same = blake3::hash(token.trim().as_bytes()) == shared.setup_token;
            same && owner.password.is_none()
        }
        (None, Some(given)) => by_password(&accounts, owner, given, request.code).await?,
        _ => return Err(Refusal::bad("give either token or password")),
    };
    if !proven {
        // One answer for everything, so that nobody learns which part was wrong.
        return Err(refused(&shared, peer, "this does not log in"));
    }
    begin(&shared, &accounts, peer, &headers).await
}

async fn by_password(
    accounts: &Accounts,
    owner: Owner,
    given: String,
    code: Option<String>,
) -> Result<bool, Refusal> {
    if given.len() > password::MAX {
        return Ok(false);
    }
    let right = password::verify(given, owner.password).await.map_err(internal)?;
    let Some(secret) = owner.totp else { return Ok(right) };
    let step = code.and_then(|code| totp::step(&secret, &code, now_ms()));
    match step {
        // A code that was seen over a shoulder does not work a second time.
        Some(step) if right => accounts.use_totp_step(step).await.map_err(store_away),
        _ => Ok(false),
    }
}

/// `POST /api/v1/logout`.
pub(crate) async fn logout(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Identity::Session(id, _) = &caller.identity {
        shared.node.accounts().delete_session(id).await.map_err(store_away)?;
        shared.live.close_id(id, Close::LOGGED_OUT);
    }
    set_cookie(peer, &headers, "", 0)
}

/// Whether a password may be the owner's.
pub(crate) fn acceptable(text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length >= password::MIN && text.len() <= password::MAX {
        return Ok(());
    }
    let problem = Problem {
        rule: "password_length".into(),
        field: "password".into(),
        line: None,
        column: None,
        message: format!("it has {length} characters"),
        remedy: format!("take at least {} characters; a sentence is good", password::MIN),
    };
    Err(Refusal::from(ApiError {
        problems: vec![problem],
        ..ApiError::new(ErrorCode::Invalid, "this password is not acceptable")
    }))
}

/// Reads what somebody unknown asks for, unless it comes from a foreign page or too often.
async fn attempt<T: DeserializeOwned>(
    shared: &Shared,
    peer: Peer,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Accounts, T), Refusal> {
    check_origin(headers, http::host(headers), false)?;
    let request = http::json(headers, body).await?;
    let accounts = shared.node.accounts();
    slow_down(shared, &accounts, peer).await?;
    Ok((accounts, request))
}

/// Counts an attempt, or refuses it for now. Whoever sits at the node's machine is not slowed down.
async fn slow_down(shared: &Shared, accounts: &Accounts, peer: Peer) -> Result<(), Refusal> {
    if peer.via == Via::Local {
        return Ok(());
    }
    let wait = limiter::attempt(accounts, peer.remote, now_ms()).await.map_err(store_away)?;
    let Some(wait) = wait else { return Ok(()) };
    shared.stats.login_refused();
    let seconds = wait.div_ceil(1_000);
    Err(Refusal::new(ErrorCode::TooManyRequests, format!("too many attempts; wait {seconds} s"))
        .retry_after(seconds))
}

fn refused(shared: &Shared, peer: Peer, message: &str) -> Refusal {
    shared.stats.login_refused();
    let from = peer.remote.to_string();
    let event =
        EventDraft::new(EventActor::User, "login_refused", format!("a login from {from} was refused"));
    shared.node.record(event.severity(Severity::Warning).subject(from));
    unauthenticated(message)
}

/// Begins a login, and answers with its cookie.
async fn begin(
    shared: &Shared,
    accounts: &Accounts,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let now = now_ms();
    if peer.via != Via::Local {
        limiter::succeeded(accounts, peer.remote, now).await.map_err(store_away)?;
    }
    // The login that this browser had until now ends with the new one.
    for hash in auth::cookies(headers, peer.via == Via::Tls) {
        if let Some(old) = accounts.session(hash, now, ms(IDLE)).await.map_err(store_away)? {
            accounts.delete_session(&old.id).await.map_err(store_away)?;
            shared.live.close_id(&old.id, Close::LOGGED_OUT);
        }
    }
    let from = peer.remote.to_string();
    let event = EventDraft::new(EventActor::User, "login", format!("somebody logged in from {from}"));
    shared.node.record(event.subject(from));
    let value = new_session(accounts, peer, headers).await?;
    set_cookie(peer, headers, &value, ABSOLUTE.as_secs())
}

/// Records a new login; the cookie's value.
pub(crate) async fn new_session(
    accounts: &Accounts,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<String, Refusal> {
    let value = random().map_err(internal)?;
    let now = now_ms();
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let session = Session {
        id: ulid::Ulid::new().to_string(),
        created_at: now,
        seen_at: now,
        expires_at: now.saturating_add(ms(ABSOLUTE)),
        address: peer.remote.to_string(),
        agent: agent.chars().take(MAX_AGENT).collect(),
    };
    accounts
        .create_session(blake3::hash(value.as_bytes()).into(), session, ms(IDLE))
        .await
        .map_err(store_away)?;
    Ok(value)
}

/// The answer that sets the cookie of a login, or takes it away.
pub(crate) fn set_cookie(
    peer: Peer,
    headers: &HeaderMap,
    value: &str,
    max_age_s: u64,
) -> Result<Response, Refusal> {
    // Behind a proxy that serves TLS the browser says so by its origin.
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    let secure = peer.via == Via::Tls || origin.starts_with(b"https://");
    let (name, end) = if secure { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    let cookie = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_s}{end}");
    let cookie = HeaderValue::try_from(cookie).map_err(internal)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// 256 random bits in hexadecimal.
pub(crate) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(blake3::Hash::from_bytes(bytes).to_hex().to_string())
}

/// How long a login lasts, for a cookie that takes its place.
pub(crate) fn absolute_s() -> u64 {
    ABSOLUTE.as_secs()
}
