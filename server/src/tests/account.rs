//! Setup, login, second factor, logins and tokens.

use super::{BEARER, BOUND, JSON, PASSWORD, Running, TOKEN, start};
use crate::{session::now_ms, totp};
use protocol::{
    ApiError, AuthView, ErrorCode, SessionView, StreamId, TokenCreated, TokenView, TotpSecret,
    client::{Auth, Client, ClientError, Subscription},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

async fn get<T: DeserializeOwned>(server: &Running, path: &str, auth: &str) -> T {
    let answer = server.send(&[&format!("GET {path} HTTP/1.1"), auth], "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn delete(server: &Running, path: &str, auth: &str, body: &str) -> u16 {
    let origin = server.origin();
    server.send(&[&format!("DELETE {path} HTTP/1.1"), JSON, &origin, auth], body).await.status
}

/// The code of the final close of a subscription.
async fn closed(rows: &mut Subscription) -> u16 {
    loop {
        match timeout(BOUND, rows.next()).await.unwrap() {
            Ok(_) => {}
            Err(ClientError::Closed { code, .. }) => return code,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn the_printed_token_sets_the_password_once_and_is_nothing_afterwards() {
    let server = start().await;
    let view: AuthView = get(&server, "/api/v1/auth", "X-None: 1").await;
    assert_eq!(view, AuthView { setup: true, totp: false });
    let before = server.login().await;
    assert!(server.lets_in(BEARER).await);
    let weak = format!(r#"{{"token":"{TOKEN}","password":"short"}}"#);
    let answer = server.post("POST /api/v1/setup", &[], &weak).await;
    assert_eq!(answer.status, 422);
    let error: ApiError = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(error.problems[0].field, "password");
    let wrong = format!(r#"{{"token":"guess","password":"{PASSWORD}"}}"#);
    assert_eq!(server.post("POST /api/v1/setup", &[], &wrong).await.status, 401);

    let cookie = server.setup().await;
    assert!(server.lets_in(&cookie).await);
    assert!(!server.lets_in(&before).await, "logins from before have ended");
    assert!(!server.lets_in(BEARER).await, "the token is used up");
    let again = format!(r#"{{"token":"{TOKEN}","password":"another password"}}"#);
    assert_eq!(server.post("POST /api/v1/setup", &[], &again).await.status, 409);
    let token = format!(r#"{{"token":"{TOKEN}"}}"#);
    assert_eq!(server.post("POST /api/v1/login", &[], &token).await.status, 401);
    let view: AuthView = get(&server, "/api/v1/auth", "X-None: 1").await;
    assert!(!view.setup);
    let other = server.login_by_password().await;
    assert!(server.lets_in(&other).await);
    assert!(server.lets_in(&cookie).await, "two browsers may be logged in");
}

#[tokio::test]
async fn session_rotates_when_the_same_browser_logs_in_again() {
    let server = start().await;
    let old = server.setup().await;
    let body = format!(r#"{{"password":"{PASSWORD}"}}"#);
    let answer = server.post("POST /api/v1/login", &[&old], &body).await;
    let new = format!("Cookie: {}", answer.cookie());
    assert!(server.lets_in(&new).await);
    assert!(!server.lets_in(&old).await);
}

#[tokio::test]
async fn password_the_second_factor_is_asked_for_and_each_code_works_once() {
    let server = start().await;
    let cookie = server.setup().await;
    let secret: TotpSecret = {
        let answer = server.post("POST /api/v1/totp", &[&cookie], "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    assert!(secret.uri.contains(&secret.secret));
    let log_in = |code: Option<String>| {
        let body = serde_json::json!({ "password": PASSWORD, "code": code });
        let server = &server;
        async move { server.post("POST /api/v1/login", &[], &body.to_string()).await.status }
    };
    assert_eq!(log_in(None).await, 204, "not confirmed, so not asked for");
    let confirm = |code: &str| format!(r#"{{"code":"{code}"}}"#);
    let code = totp::code(&secret.secret, now_ms());
    let answer = server.post("POST /api/v1/totp/confirm", &[&cookie], &confirm("000000")).await;
    assert!(answer.status == 403 || code == "000000");
    assert_eq!(server.post("POST /api/v1/totp/confirm", &[&cookie], &confirm(&code)).await.status, 204);
    let view: AuthView = get(&server, "/api/v1/auth", "X-None: 1").await;
    assert!(view.totp);
    assert_eq!(log_in(None).await, 401);
    assert_eq!(log_in(Some(code)).await, 401, "it was used for the confirmation");
    let next = totp::code(&secret.secret, now_ms() + 30_000);
    assert_eq!(log_in(Some(next.clone())).await, 204);
    assert_eq!(log_in(Some(next.clone())).await, 401, "a second time");
    assert_eq!(delete(&server, "/api/v1/totp", &cookie, &confirm(&next)).await, 403, "used up too");
}

#[tokio::test]
async fn session_that_is_revoked_is_out_and_its_sockets_are_closed_within_a_second() {
    let server = start().await;
    let mine = server.setup().await;
    let other = server.login_by_password().await;
    let list: Vec<SessionView> = get(&server, "/api/v1/sessions", &mine).await;
    assert_eq!(list.len(), 2);
    let stranger = list.iter().find(|session| !session.current).unwrap();
    assert_eq!(stranger.address, "127.0.0.1");
    let mut socket = server.socket(&other).await;
    let start = Instant::now();
    assert_eq!(delete(&server, &format!("/api/v1/sessions/{}", stranger.id), &mine, "").await, 204);
    assert_eq!(super::socket::close_code(&mut socket).await, 4401);
    assert!(start.elapsed().as_secs() < 1);
    assert!(!server.lets_in(&other).await);
    assert!(server.lets_in(&mine).await);
    assert_eq!(delete(&server, "/api/v1/sessions/nobody", &mine, "").await, 404);
    let third = server.login_by_password().await;
    assert_eq!(delete(&server, "/api/v1/sessions", &mine, "").await, 204);
    assert!(!server.lets_in(&third).await);
    assert!(server.lets_in(&mine).await);
}

#[tokio::test]
async fn session_of_every_other_ends_with_a_changed_password_and_the_own_one_is_renewed() {
    let server = start().await;
    let mine = server.setup().await;
    let other = server.login_by_password().await;
    let mut foreign = server.socket(&other).await;
    let mut own = server.socket(&mine).await;
    let change = |current: &str| format!(r#"{{"current":"{current}","new":"quite another one"}}"#);
    assert_eq!(server.post("POST /api/v1/password", &[&mine], &change("wrong")).await.status, 403);
    let answer = server.post("POST /api/v1/password", &[&mine], &change(PASSWORD)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(super::socket::close_code(&mut foreign).await, 4401);
    assert_eq!(super::socket::close_code(&mut own).await, 1012, "it comes back with the new cookie");
    assert!(!server.lets_in(&mine).await);
    assert!(!server.lets_in(&other).await);
    assert!(server.lets_in(&format!("Cookie: {}", answer.cookie())).await);
    let old = format!(r#"{{"password":"{PASSWORD}"}}"#);
    assert_eq!(server.post("POST /api/v1/login", &[], &old).await.status, 401);
}

#[tokio::test]
async fn tokens_have_scopes_and_a_removed_one_is_out_at_once() {
    let server = start().await;
    let admin = server.setup().await;
    let make = |scope: &'static str| {
        let (server, admin) = (&server, &admin);
        async move {
            let body = format!(r#"{{"name":"for {scope}","scope":"{scope}","days":30}}"#);
            let answer = server.post("POST /api/v1/tokens", &[admin], &body).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
            serde_json::from_str::<TokenCreated>(&answer.body).unwrap()
        }
    };
    let (read, operate) = (make("read").await, make("operate").await);
    assert!(read.token.starts_with("archy_") && read.token.len() == 70);
    let listed: Vec<TokenView> = get(&server, "/api/v1/tokens", &admin).await;
    assert_eq!(listed.len(), 2);
    let body = server.send(&["GET /api/v1/tokens HTTP/1.1", &admin], "").await.body;
    assert!(!body.contains(&read.token), "a token is shown once");
    let client = |token: &TokenCreated| {
        Client::new(&format!("http://{}", server.addr), Auth::Bearer(token.token.clone())).unwrap()
    };
    let install = protocol::Command::Install { app: "demo".parse().unwrap() };
    let refused = client(&read).command(&install, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));
    client(&operate).command(&install, None).await.unwrap();
    let bearer = format!("Authorization: Bearer {}", operate.token);
    assert_eq!(server.post("POST /api/v1/tokens", &[&bearer], "{}").await.status, 403);
    let mut rows = client(&read).subscribe(&[StreamId::Node]).await.unwrap();
    assert_eq!(delete(&server, &format!("/api/v1/tokens/{}", read.view.id), &admin, "").await, 204);
    assert_eq!(closed(&mut rows).await, 4401);
    let gone = client(&read).snapshot(StreamId::Node).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::Unauthenticated));
    let endless = r#"{"name":"x","scope":"read","days":99999}"#;
    assert_eq!(server.post("POST /api/v1/tokens", &[&admin], endless).await.status, 422);
}

#[tokio::test]
async fn logins_are_told_in_the_journal() {
    let server = start().await;
    server.setup().await;
    server.login_by_password().await;
    server.post("POST /api/v1/login", &[], r#"{"password":"wrong"}"#).await;
    let events: Vec<String> =
        server.node.events.lock().unwrap().iter().map(|event| event.kind().to_owned()).collect();
    assert_eq!(events, ["setup", "login", "login", "login_refused"]);
}
