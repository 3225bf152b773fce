//! Rows about who gets in, and about what is kept of that.

use crate::{
    NodeApi,
    auth::{IDLE, ms},
    session::now_ms,
    tests::{BEARER, BOUND, JSON, PASSWORD, TOKEN, start},
};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

#[tokio::test]
async fn brute_force_keeps_nobody_out_at_another_address() {
    let server = start().await;
    server.setup().await;
    let wrong = r#"{"password":"wrong guess"}"#;
    let mut refused = false;
    for _ in 0..8 {
        refused |= server.post("POST /api/v1/login", &[], wrong).await.status == 429;
    }
    assert!(refused, "the guesser's address waits");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(server.addr).await.unwrap();
    let body = format!(r#"{{"password":"{PASSWORD}"}}"#);
    let (host, origin, length) = (server.addr, server.origin(), body.len());
    let request = format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: {host}\r\n{JSON}\r\n{origin}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(BOUND, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[tokio::test]
async fn session_is_kept_as_a_hash_and_ends_a_day_after_its_last_use_and_after_thirty_days() {
    let server = start().await;
    let before = now_ms();
    let cookie = server.setup().await;
    let value = cookie.split_once('=').unwrap().1;
    let accounts = server.node.accounts();
    let kept = accounts.sessions(now_ms(), ms(IDLE)).await.unwrap();
    assert!(!format!("{kept:?}").contains(value), "{kept:?}");
    let hash: [u8; 32] = blake3::hash(value.as_bytes()).into();
    let login = accounts.session(hash, now_ms(), ms(IDLE)).await.unwrap().unwrap();
    let month = 30 * 24 * 3_600_000;
    assert!((before + month..=now_ms() + month).contains(&login.expires_at), "{login:?}");

    let hour = 3_600_000;
    for (name, unused, left, lets_in) in
        [("busy", 23, 1, true), ("idle", 25, 1, false), ("old", 0, -1_i64, false)]
    {
        let expires_at = now_ms().saturating_add_signed(left * hour as i64);
        let seen_at = now_ms() - unused * hour;
        let login = actors::Session { id: name.into(), seen_at, expires_at, ..login.clone() };
        accounts.create_session(blake3::hash(name.as_bytes()).into(), login, u64::MAX / 4).await.unwrap();
        assert_eq!(server.lets_in(&format!("Cookie: archy_session={name}")).await, lets_in, "{name}");
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_of_logins_are_in_no_event_no_log_line_and_no_later_answer() {
    let log = Log::default();
    let _log = {
        let log = log.clone();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
        tracing::subscriber::set_default(lines.with_writer(move || log.clone()).finish())
    };
    tracing::debug!("kept");
    let server = start().await;
    let cookie = server.setup().await;
    let guess = "a canary that is no password";
    let wrong = format!(r#"{{"password":"{guess}","code":"913377"}}"#);
    assert_eq!(server.post("POST /api/v1/login", &[], &wrong).await.status, 401);
    let created = server.post("POST /api/v1/tokens", &[&cookie], r#"{"name":"t","scope":"admin"}"#).await;
    let created: protocol::TokenCreated = serde_json::from_str(&created.body).unwrap();
    let second = server.post("POST /api/v1/totp", &[&cookie], "").await;
    let second: protocol::TotpSecret = serde_json::from_str(&second.body).unwrap();
    let bearer = format!("Authorization: Bearer {}", created.token);
    drop(server.socket(&bearer).await);
    let mut said = Vec::new();
    for path in ["/api/v1/auth", "/api/v1/session", "/api/v1/sessions", "/api/v1/tokens", "/metrics"] {
        let answer = server.send(&[&format!("GET {path} HTTP/1.1"), &bearer], "").await;
        assert_eq!(answer.status, 200, "{path}");
        said.push(answer.head + &answer.body);
    }
    assert_eq!(server.send(&["GET /api/v1/session HTTP/1.1", BEARER], "").await.status, 401, "used up");
    said.push(format!("{:?}", server.node.events.lock().unwrap()));
    said.push(String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert!(said.last().unwrap().contains("kept"));
    let cookie = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, TOKEN, guess, "913377", cookie, &created.token, &second.secret] {
        for text in &said {
            assert!(!text.contains(secret), "{secret:?} is in {text}");
        }
    }
}
