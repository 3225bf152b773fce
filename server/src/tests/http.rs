//! Requests: who may, from where, and what comes back.

use super::{BEARER, BOUND, JSON, TOKEN, start};
use futures_util::StreamExt;
use protocol::{
    ApiError, Command, ErrorCode, Plan, Row, StreamId,
    client::{Auth, Client},
};
use std::sync::atomic::Ordering;
use tokio::{io::AsyncReadExt, time::timeout};

const INSTALL: &str = r#"{"command":"install","app":"demo"}"#;
const POST: &str = "POST /api/v1/commands HTTP/1.1";

#[tokio::test]
async fn nothing_but_health_and_login_is_open_without_authentication() {
    let server = start().await;
    for line in [
        "GET /api/v1/session HTTP/1.1",
        "GET /api/v1/snapshot/apps HTTP/1.1",
        "GET /api/v1/logs/demo/cache HTTP/1.1",
        "GET /api/v1/ws HTTP/1.1",
        "POST /api/v1/commands HTTP/1.1",
        "POST /api/v1/logout HTTP/1.1",
    ] {
        for auth in
            ["X-None: 1", "Authorization: Bearer wrong", "Authorization: Basic x", "Cookie: archy_session=x"]
        {
            let answer = server.send(&[line, JSON, auth], INSTALL).await;
            assert_eq!(answer.status, 401, "{line} {auth}");
            let error: ApiError = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(error.code, ErrorCode::Unauthenticated);
        }
    }
    assert_eq!(server.send(&["GET /healthz HTTP/1.1"], "").await.status, 200);
    server.node.ready.store(false, Ordering::SeqCst);
    let answer = server.send(&["GET /healthz HTTP/1.1"], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, r#"{"ready":false}"#));
    assert_eq!(server.send(&["GET /api/v1/snapshot/apps HTTP/1.1", BEARER], "").await.status, 503);
}

#[tokio::test]
async fn a_login_has_the_documented_cookie_and_ends_with_logout() {
    let server = start().await;
    let origin = server.origin();
    let head = ["POST /api/v1/login HTTP/1.1", JSON, &origin];
    let answer = server.send(&head, &format!(r#"{{"token":"{TOKEN}"}}"#)).await;
    assert_eq!(answer.status, 204);
    let set = answer.header("set-cookie").unwrap();
    let value = answer.cookie();
    assert_eq!(value.len(), "archy_session=".len() + 64);
    assert_eq!(set, format!("{value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"));
    let cookie = format!("Cookie: {value}");
    let session = server.send(&["GET /api/v1/session HTTP/1.1", &cookie], "").await;
    assert_eq!((session.status, session.body.as_str()), (200, r#"{"ok":true}"#));
    assert_eq!(server.send(&["POST /api/v1/logout HTTP/1.1", &cookie, &origin], "").await.status, 204);
    assert_eq!(server.send(&["GET /api/v1/session HTTP/1.1", &cookie], "").await.status, 401);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let server = start().await;
    let head = ["POST /api/v1/login HTTP/1.1", JSON];
    for _ in 0..5 {
        assert_eq!(server.send(&head, r#"{"token":"wrong"}"#).await.status, 401);
    }
    let answer = server.send(&head, &format!(r#"{{"token":"{TOKEN}"}}"#)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
}

#[tokio::test]
async fn a_cookie_needs_the_own_origin_and_a_token_none() {
    let server = start().await;
    let cookie = server.login().await;
    let host = server.addr.to_string();
    let own = format!("Origin: http://{host}");
    let port = format!("Origin: http://{}:8080", server.addr.ip());
    let foreign = [
        "X-None: 1",
        "Origin: null",
        "Origin: http://evil.example",
        &port,
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ];
    for origin in foreign {
        let answer = server.send(&[POST, JSON, &cookie, origin], INSTALL).await;
        assert_eq!(answer.status, 403, "{origin}");
        if !origin.starts_with('X') {
            let answer = server.send(&[POST, JSON, BEARER, origin], INSTALL).await;
            assert_eq!(answer.status, 403, "{origin}");
        }
    }
    for kind in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "X-None: 1"] {
        assert_eq!(server.send(&[POST, kind, &cookie, &own], INSTALL).await.status, 400, "{kind}");
    }
    assert!(server.node.commands.lock().unwrap().is_empty(), "no refused request may change anything");
    for ok in [own.as_str(), "Sec-Fetch-Site: same-origin"] {
        assert_eq!(server.send(&[POST, JSON, &cookie, ok], INSTALL).await.status, 202, "{ok}");
    }
    assert_eq!(server.send(&[POST, JSON, BEARER], INSTALL).await.status, 202);
    assert_eq!(server.node.commands.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn only_own_hosts_are_answered() {
    let server = start().await;
    let port = server.addr.port();
    for host in ["evil.example", "localhost.", "localhost:1", "169.254.169.254"] {
        for line in ["GET / HTTP/1.1", "GET /healthz HTTP/1.1", "GET /api/v1/ws HTTP/1.1"] {
            let answer = server.send(&[line, &format!("Host: {host}"), BEARER], "").await;
            assert_eq!(answer.status, 421, "{host} {line}");
        }
    }
    for host in ["localhost".into(), format!("localhost:{port}"), format!("node.lan:{port}")] {
        let answer = server.send(&["GET /healthz HTTP/1.1", &format!("Host: {host}")], "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let twice = ["GET / HTTP/1.1", "Host: localhost", "Host: localhost"];
    assert_eq!(server.send(&twice, "").await.status, 400);
    assert_eq!(server.send(&["GET http://evil.example/ HTTP/1.1", "Host: localhost"], "").await.status, 421);
}

#[tokio::test]
async fn commands_are_checked_and_passed_on() {
    let server = start().await;
    let client = server.client();
    let demo = Command::Install { app: "demo".parse().unwrap() };
    let accepted = client.command(&demo, Some("key-1")).await.unwrap();
    assert_eq!(&*accepted.op_id.0, "01OP");
    assert_eq!(*server.node.commands.lock().unwrap(), [(demo, Some("key-1".into()))]);
    let busy = Command::Start { app: "busy".parse().unwrap() };
    assert_eq!(client.command(&busy, None).await.unwrap_err().code(), Some(ErrorCode::OpInProgress));
    for bad in ["", "{}", r#"{"command":"install","app":"../x"}"#, r#"{"command":"install","app":"a","x":1}"#]
    {
        assert_eq!(server.send(&[POST, JSON, BEARER], bad).await.status, 400, "{bad}");
    }
    let large = format!(r#"{{"command":"install","app":"{}"}}"#, "a".repeat(64 * 1024));
    assert_eq!(server.send(&[POST, JSON, BEARER], &large).await.status, 413);
    let key = format!("Idempotency-Key: {}", "k".repeat(129));
    assert_eq!(server.send(&[POST, JSON, BEARER, &key], INSTALL).await.status, 400);
    assert_eq!(server.node.commands.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_snapshot_has_an_etag_and_is_not_sent_twice() {
    let server = start().await;
    server.node.put("engine", "5.4");
    let line = "GET /api/v1/snapshot/node HTTP/1.1";
    let answer = server.send(&[line, BEARER], "").await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"e1.1\"")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let snapshot = server.client().snapshot(StreamId::Node).await.unwrap();
    assert_eq!((snapshot.epoch.as_str(), snapshot.seq), ("e1", 1));
    assert_eq!(snapshot.items.iter().map(Row::key).collect::<Vec<_>>(), ["engine"]);
    let known = server.send(&[line, BEARER, "If-None-Match: \"e1.1\""], "").await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    server.node.put("engine", "5.5");
    assert_eq!(server.send(&[line, BEARER, "If-None-Match: \"e1.1\""], "").await.status, 200);
    assert_eq!(server.send(&["GET /api/v1/snapshot/nope HTTP/1.1", BEARER], "").await.status, 404);
}

#[tokio::test]
async fn an_icon_loads_nothing_and_runs_nothing() {
    let server = start().await;
    let icon = server.send(&["GET /api/v1/apps/demo/icon HTTP/1.1", BEARER], "").await;
    assert_eq!((icon.status, icon.body.as_str()), (200, "<svg/>"));
    assert_eq!(icon.header("content-type"), Some("image/svg+xml"));
    assert_eq!(icon.header("x-content-type-options"), Some("nosniff"));
    let policy = icon.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && policy.ends_with("sandbox"), "{policy}");
    assert!(!policy.contains("script"), "{policy}");
    assert_eq!(server.send(&["GET /api/v1/apps/other/icon HTTP/1.1", BEARER], "").await.status, 404);
    assert_eq!(server.send(&["GET /api/v1/apps/NO/icon HTTP/1.1", BEARER], "").await.status, 400);
    assert_eq!(server.send(&["GET /api/v1/apps/other/manifest HTTP/1.1", BEARER], "").await.status, 404);
}

#[tokio::test]
async fn logs_are_text_and_a_followed_one_ends_with_the_login() {
    let server = start().await;
    let (app, service) = ("demo".parse().unwrap(), "cache".parse().unwrap());
    let mut log = server.client().logs(&app, &service, 2, false).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = log.next().await {
        text.extend(piece.unwrap());
    }
    assert_eq!(text, b"line 0\nline 1\n");
    let other = "other".parse().unwrap();
    let missing = server.client().logs(&other, &service, 2, false).await.map(drop).unwrap_err();
    assert_eq!(missing.code(), Some(ErrorCode::NotFound));
    for bad in
        ["/api/v1/logs/demo/cache?tail=x", "/api/v1/logs/a_b/cache", "/api/v1/logs/demo/cache?follow=maybe"]
    {
        let answer = server.send(&[&format!("GET {bad} HTTP/1.1"), BEARER], "").await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    let cookie = server.login().await;
    let line = "GET /api/v1/logs/demo/cache?tail=1&follow=1 HTTP/1.1";
    let mut open = server.open(&[line, &cookie, "Connection: close"], "").await;
    let mut bytes = vec![0; 4_096];
    let mut seen = String::new();
    while !seen.contains("line 0") {
        let read = timeout(BOUND, open.read(&mut bytes)).await.unwrap().unwrap();
        seen += std::str::from_utf8(&bytes[..read]).unwrap();
    }
    let logout = ["POST /api/v1/logout HTTP/1.1", &cookie, &server.origin()];
    assert_eq!(server.send(&logout, "").await.status, 204);
    timeout(BOUND, open.read_to_end(&mut bytes)).await.unwrap().unwrap();
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json_and_pages_fall_back_to_the_ui() {
    let server = start().await;
    for line in ["GET /api/v1/nope HTTP/1.1", "POST /api HTTP/1.1", "GET /assets/nope.js HTTP/1.1"] {
        let answer = server.send(&[line], "").await;
        assert_eq!(answer.status, 404, "{line}");
        assert!(serde_json::from_str::<ApiError>(&answer.body).is_ok(), "{line}");
    }
    for line in ["DELETE /api/v1/commands HTTP/1.1", "POST /apps HTTP/1.1"] {
        assert_eq!(server.send(&[line], "").await.status, 405, "{line}");
    }
    for line in ["GET / HTTP/1.1", "GET /apps/demo HTTP/1.1"] {
        let answer = server.send(&[line], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

#[tokio::test]
async fn the_client_says_what_is_wrong() {
    let server = start().await;
    let url = format!("http://{}", server.addr);
    let wrong = Client::new(&url, Auth::Bearer("wrong".into())).unwrap();
    let error = wrong.snapshot(StreamId::Apps).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthenticated));
    assert!(server.client().is_ready().await.unwrap());
    let closed = Client::new("http://127.0.0.1:1", Auth::None).unwrap();
    let error = closed.is_ready().await.unwrap_err();
    assert_eq!(error.to_string(), "the node does not answer at http://127.0.0.1:1");
}

#[tokio::test]
async fn a_command_that_destroys_something_is_confirmed_first() {
    let server = start().await;
    let plan = Plan { removes: vec!["3 containers".into()], ..Plan::default() };
    *server.node.plan.lock().unwrap() = Some(plan.clone());
    let answer = server.send(&[POST, JSON, BEARER], INSTALL).await;
    assert_eq!(answer.status, 428);
    let error: ApiError = serde_json::from_str(&answer.body).unwrap();
    let confirm = error.confirm.unwrap();
    assert_eq!(confirm.plan, plan);
    let given = format!("Confirm-Token: {}", confirm.token);
    let other = INSTALL.replace("demo", "other");
    assert_eq!(server.send(&[POST, JSON, BEARER, &given], &other).await.status, 428, "another command");
    assert!(server.node.commands.lock().unwrap().is_empty());
    assert_eq!(server.send(&[POST, JSON, BEARER, &given], INSTALL).await.status, 202);
}

#[tokio::test]
async fn large_snapshots_are_compressed_for_whoever_takes_it() {
    let server = start().await;
    for n in 0..50 {
        server.node.put(&format!("part-{n}"), "the same words again and again");
    }
    let line = "GET /api/v1/snapshot/node HTTP/1.1";
    let plain = server.send(&[line, BEARER], "").await;
    assert_eq!(plain.header("content-encoding"), None);
    for kind in ["gzip", "br"] {
        let mut stream =
            server.open(&[line, BEARER, &format!("Accept-Encoding: {kind}"), "Connection: close"], "").await;
        let mut bytes = Vec::new();
        timeout(BOUND, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        assert!(bytes.len() < plain.body.len() / 3, "{kind}: {}", bytes.len());
        let head = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(head.contains(&format!("content-encoding: {kind}")), "{kind}");
        assert!(head.contains("etag:"), "{kind}");
    }
}

#[tokio::test]
async fn a_log_can_be_downloaded() {
    let server = start().await;
    let answer = server.send(&["GET /api/v1/logs/demo/web?tail=2&download=1 HTTP/1.1", BEARER], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"demo-web.log\""));
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn events_come_in_pages() {
    let server = start().await;
    let answer = server.send(&["GET /api/v1/events?before=500&limit=100 HTTP/1.1", BEARER], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"items":[],"next":400}"#));
    let answer = server.send(&["GET /api/v1/events?before=5000&limit=9999 HTTP/1.1", BEARER], "").await;
    assert_eq!(answer.body, r#"{"items":[],"next":4500}"#, "a page is bounded");
    for bad in ["before=x", "limit=-1", "app=../x", "nope=1"] {
        let line = format!("GET /api/v1/events?{bad} HTTP/1.1");
        assert_eq!(server.send(&[&line, BEARER], "").await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn backups_are_listed_by_app_and_of_all() {
    let server = start().await;
    let apps = async |path: &str| {
        let answer = server.send(&[&format!("GET {path} HTTP/1.1"), BEARER], "").await;
        let list: Vec<protocol::BackupView> = serde_json::from_str(&answer.body).unwrap();
        list.into_iter().map(|view| view.app.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(apps("/api/v1/backups").await, ["demo", "gone"]);
    assert_eq!(apps("/api/v1/apps/gone/backups").await, ["gone"], "also of one that is not installed");
    assert_eq!(server.send(&["GET /api/v1/apps/..x/backups HTTP/1.1", BEARER], "").await.status, 400);
}

#[tokio::test]
async fn readiness_names_what_does_not_work() {
    let server = start().await;
    assert_eq!(server.send(&["GET /readyz HTTP/1.1"], "").await.status, 200);
    let view = protocol::NodeView { key: "engine".into(), ok: false, detail: "secret".into(), last_ok: None };
    server.node.board.put(&Row::Node(Box::new(view)));
    let answer = server.send(&["GET /readyz HTTP/1.1"], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, r#"{"failing":["engine"],"ready":false}"#));
    assert_eq!(server.send(&["GET /healthz HTTP/1.1"], "").await.status, 200, "the process itself serves");
}

#[tokio::test]
async fn metrics_are_in_the_format_of_prometheus_and_need_a_token() {
    let server = start().await;
    server.node.put("engine", "5.4");
    assert_eq!(server.send(&["GET /metrics HTTP/1.1"], "").await.status, 401);
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    timeout(BOUND, rows.next()).await.unwrap().unwrap();
    let answer = server.send(&["GET /metrics HTTP/1.1", BEARER], "").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut families = std::collections::BTreeSet::new();
    for line in answer.body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            families.insert(rest.split(' ').next().unwrap().to_owned());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let name = name.split('{').next().unwrap();
        let family = families.iter().any(|family| name.starts_with(family.as_str()));
        assert!(family, "{line} has no type");
    }
    for expected in ["archipelago_sockets 1", "archipelago_subsystem_ok{subsystem=\"engine\"} 1"] {
        assert!(answer.body.lines().any(|line| line == expected), "{expected}:\n{}", answer.body);
    }
    // The dashboard asks for nothing that is not there.
    let dashboard = include_str!("../../../docs/grafana/archipelago.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
                if word.starts_with("archipelago_") {
                    assert!(families.iter().any(|family| word.starts_with(family.as_str())), "{word}");
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 8);
}

#[tokio::test]
async fn the_interface_describes_itself() {
    let server = start().await;
    for path in ["/api/openapi.json", "/api/asyncapi.json", "/api/archy.v1.json"] {
        let answer = server.send(&[&format!("GET {path} HTTP/1.1")], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();
    }
    let page = server.send(&["GET /api/docs HTTP/1.1"], "").await;
    assert!(page.body.contains("POST /api/v1/commands"), "{}", page.body);
}
