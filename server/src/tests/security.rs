//! The threat model: the name of a test begins with the row that it shows. Some stand beside what they test.

mod limits;
mod logins;

use super::{BEARER, BOUND, JSON, PASSWORD, Running, Stub, config, start, start_with};
use crate::{
    auth::Permission,
    routes::{ROUTES, Route},
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// A path of a route that is no pattern.
fn concrete(route: &Route) -> String {
    route
        .path
        .replace("{stream}", "apps")
        .replace("{app}", "demo")
        .replace("{service}", "web")
        .replace("{id}", "x")
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_a_flood_of_logins_costs_bounded_memory_and_others_are_served() {
    let server = start().await;
    let cookie = server.setup().await;
    // Without the limit of attempts, as if every login came from an address of its own.
    let before = rss_kib();
    let hashes = (0..100).map(|_| crate::password::verify("wrong guess".into(), None));
    let mut slowest = Duration::ZERO;
    let mut peak = before;
    let others = async {
        for _ in 0..40 {
            let asked = Instant::now();
            assert!(server.lets_in(&cookie).await);
            slowest = slowest.max(asked.elapsed());
            peak = peak.max(rss_kib());
        }
    };
    let ((), _) = tokio::join!(others, join_all(hashes));
    peak = peak.max(rss_kib());
    assert!(peak < before + 64 * 1024, "{before} -> {peak} KiB");
    // Far above what it takes on a quiet machine: the tests of others run beside.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test]
async fn brute_force_is_slowed_down_per_address_and_survives_a_restart_of_the_server() {
    let node = Stub::new().await;
    let server = start_with(node.clone(), config(&node, "127.0.0.1:0")).await;
    server.setup().await;
    let wrong = r#"{"password":"wrong guess"}"#;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(server.post("POST /api/v1/login", &[], wrong).await.status);
    }
    assert_eq!(answers[..5], [401; 5]);
    assert!(answers[5..].contains(&429), "{answers:?}");
    // A new server over the same store.
    let again = start_with(node.clone(), config(&node, "127.0.0.1:0")).await;
    let right = format!(r#"{{"password":"{PASSWORD}"}}"#);
    let answer = again.post("POST /api/v1/login", &[], &right).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn brute_force_learns_nothing_from_the_answer_or_its_time() {
    let server = start().await;
    // Without a password, as with a wrong one, the same work is done.
    let ask = || async {
        let begun = Instant::now();
        let right = crate::password::verify("guess".into(), None).await.unwrap();
        assert!(!right);
        begun.elapsed()
    };
    ask().await;
    let hash = crate::password::hash("something".into()).await.unwrap();
    let (mut nobody, mut wrong) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        nobody = nobody.min(ask().await);
        let begun = Instant::now();
        assert!(!crate::password::verify("guess".into(), Some(hash.clone())).await.unwrap());
        wrong = wrong.min(begun.elapsed());
    }
    let ratio = nobody.as_secs_f64() / wrong.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{nobody:?} against {wrong:?}");
    let without = server.post("POST /api/v1/login", &[], r#"{"password":"wrong guess"}"#).await;
    server.setup().await;
    let with = server.post("POST /api/v1/login", &[], r#"{"password":"wrong guess"}"#).await;
    assert_eq!((without.status, without.body), (with.status, with.body));
}

#[tokio::test]
async fn session_cookies_have_the_attributes_and_end_with_logout() {
    let server = start().await;
    let body = format!(r#"{{"token":"{}","password":"{PASSWORD}"}}"#, super::TOKEN);
    let answer = server.post("POST /api/v1/setup", &[], &body).await;
    let set = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    let cookie = format!("Cookie: {}", answer.cookie());
    assert_eq!(answer.cookie().len(), "archy_session=".len() + 64, "256 bits");
    let mut socket = server.socket(&cookie).await;
    let begun = Instant::now();
    assert_eq!(server.post("POST /api/v1/logout", &[&cookie], "").await.status, 204);
    assert_eq!(super::socket::close_code(&mut socket).await, 4401);
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(!server.lets_in(&cookie).await);
}

#[tokio::test]
async fn csrf_no_request_of_another_site_changes_anything() {
    let server = start().await;
    let cookie = server.login().await;
    let sibling = format!("Origin: http://{}:8080", server.addr.ip());
    let own = server.origin();
    let changing = ROUTES.iter().filter(|route| route.method != "GET");
    for route in changing.filter(|route| route.permission != Permission::Public) {
        let line = format!("{} {} HTTP/1.1", route.method, concrete(route));
        let attacks: [&[&str]; 7] = [
            &[JSON],
            &[JSON, "Origin: null"],
            &[JSON, "Origin: http://evil.example"],
            &[JSON, &sibling],
            &[JSON, "Origin: http://app.localhost"],
            &[JSON, &own, "Sec-Fetch-Site: cross-site"],
            &[JSON, &own, "Sec-Fetch-Site: same-site"],
        ];
        for attack in attacks {
            let head: Vec<&str> =
                [line.as_str(), &cookie].into_iter().chain(attack.iter().copied()).collect();
            let answer = server.send(&head, r#"{"command":"install","app":"demo"}"#).await;
            assert_eq!(answer.status, 403, "{line} {attack:?}");
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let kind = format!("Content-Type: {kind}");
        let head = ["POST /api/v1/commands HTTP/1.1", &cookie, &own, &kind];
        assert_eq!(server.send(&head, r#"{"command":"install","app":"demo"}"#).await.status, 400, "{kind}");
    }
    assert!(server.node.commands.lock().unwrap().is_empty());
    assert!(server.lets_in(&cookie).await);
}

#[tokio::test]
async fn cswsh_an_upgrade_of_another_origin_is_refused_before_any_frame() {
    let server = start().await;
    let cookie = server.login().await;
    let sibling = format!("Origin: http://{}:8080", server.addr.ip());
    let upgrade = [
        "GET /api/v1/ws HTTP/1.1",
        &cookie,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: archy.v1.json",
    ];
    for origin in ["X-None: 1", "Origin: null", "Origin: http://evil.example", &sibling] {
        let head: Vec<&str> = upgrade.into_iter().chain([origin]).collect();
        let mut stream = server.open(&head, "").await;
        let mut bytes = [0; 12];
        timeout(BOUND, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes, b"HTTP/1.1 403", "{origin}");
    }
    server.socket(&cookie).await;
}

#[tokio::test]
async fn dns_rebinding_only_own_hosts_are_answered_on_every_route() {
    let server = start().await;
    for route in ROUTES {
        for host in ["evil.example", "localhost.", "localhost:1", "127.0.0.2", "[::ffff:10.0.0.1]"] {
            let line = format!("{} {} HTTP/1.1", route.method, concrete(route));
            let answer = server.send(&[&line, &format!("Host: {host}"), BEARER, JSON], "{}").await;
            assert_eq!(answer.status, 421, "{line} {host}");
        }
    }
    let port = server.addr.port();
    let absolute = ["GET http://evil.example/ HTTP/1.1", &format!("Host: localhost:{port}")];
    assert_eq!(server.send(&absolute, "").await.status, 421);
    assert_eq!(server.send(&["GET / HTTP/1.1", "Host: localhost", "Host: localhost"], "").await.status, 400);
}

#[tokio::test]
async fn authz_every_route_but_the_public_ones_needs_a_login_and_its_scope() {
    let server = start().await;
    let public: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.permission == Permission::Public)
        .map(|route| route.path)
        .collect();
    assert_eq!(
        public,
        [
            "/healthz",
            "/readyz",
            "/api/v1/auth",
            "/api/v1/setup",
            "/api/v1/login",
            "/api/docs",
            "/api/openapi.json",
            "/api/asyncapi.json",
            "/api/archy.v1.json"
        ]
    );
    let read = {
        let body = r#"{"name":"r","scope":"read"}"#;
        let answer = server.send(&["POST /api/v1/tokens HTTP/1.1", JSON, BEARER], body).await;
        let created: protocol::TokenCreated = serde_json::from_str(&answer.body).unwrap();
        format!("Authorization: Bearer {}", created.token)
    };
    for route in ROUTES.iter().filter(|route| route.permission != Permission::Public) {
        let line = format!("{} {} HTTP/1.1", route.method, concrete(route));
        for auth in
            ["X-None: 1", "Authorization: Bearer x", "Authorization: Basic eDp5", "Cookie: archy_session=x"]
        {
            assert_eq!(server.send(&[&line, JSON, auth], "{}").await.status, 401, "{line} {auth}");
        }
        if route.permission != Permission::Needs(protocol::Scope::Read) {
            assert_eq!(server.send(&[&line, JSON, &read], "{}").await.status, 403, "{line}");
        }
    }
}

#[tokio::test]
async fn app_to_control_plane_no_path_answers_a_container_of_the_node() {
    let server = start().await;
    server.node.inside.store(true, std::sync::atomic::Ordering::SeqCst);
    for route in ROUTES {
        let line = format!("{} {} HTTP/1.1", route.method, concrete(route));
        let answer = server.send(&[&line, BEARER, JSON], "{}").await;
        assert_eq!(answer.status, 403, "{line}");
        assert!(answer.body.contains("apps of this node"), "{line}: {}", answer.body);
    }
    assert_eq!(server.send(&["GET / HTTP/1.1", "Host: localhost"], "").await.status, 403);
}

#[tokio::test]
async fn authz_a_cookie_that_an_app_on_this_machine_got_hold_of_does_not_work_from_here() {
    let server = start().await;
    let login = actors::Session {
        id: "phone".into(),
        created_at: crate::session::now_ms(),
        seen_at: crate::session::now_ms(),
        expires_at: u64::MAX / 4,
        address: "192.168.1.7".into(),
        agent: String::new(),
    };
    let accounts = crate::NodeApi::accounts(&*server.node);
    accounts.create_session(blake3::hash(b"stolen").into(), login, 1_000_000).await.unwrap();
    assert!(!server.lets_in("Cookie: archy_session=stolen").await, "the request comes from this machine");
}

#[tokio::test]
async fn ws_limits_a_message_that_is_too_large_is_closed_with_1009() {
    let server = start().await;
    let mut socket = server.socket(BEARER).await;
    super::socket::say(&mut socket, &"x".repeat(17 * 1024)).await;
    assert_eq!(super::socket::close_code(&mut socket).await, 1009);
}

#[tokio::test]
async fn ws_limits_a_client_that_never_reads_costs_no_memory() {
    let server = start().await;
    let mut socket = server.socket(BEARER).await;
    super::socket::say(&mut socket, r#"{"t":"sub","ref":1,"streams":[{"stream":"node"}]}"#).await;
    // Nothing is read from now on, while 64 MiB of changes are made.
    let text = "x".repeat(16 * 1024);
    server.node.put("a", &text);
    tokio::task::yield_now().await;
    let before = rss_kib();
    for n in 0..4_096 {
        server.node.put("a", &format!("{n}{text}"));
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let after = rss_kib();
    // The kernel's own buffers are not ours; the heap may breathe.
    assert!(after < before + 8 * 1024, "{before} -> {after} KiB");
}

async fn is_closed_within(mut stream: TcpStream, bound: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(bound, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_and_ws_limits_a_thousand_half_open_connections_do_not_block_a_login_and_are_closed() {
    let server = start().await;
    let mut slow = Vec::new();
    for n in 0..1_000 {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        // Some say nothing, some begin a request and never end it, some an upgrade.
        let begin: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:",
            _ => b"GET /api/v1/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        };
        stream.write_all(begin).await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    let cookie = server.login().await;
    assert!(server.lets_in(&cookie).await);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let last = slow.pop().unwrap();
    let first = slow.swap_remove(0);
    assert!(is_closed_within(first, BOUND).await);
    assert!(is_closed_within(last, BOUND).await);
}

#[tokio::test]
async fn dos_heads_bodies_and_commands_are_bounded() {
    let server = start().await;
    let long = format!("X-Long: {}", "x".repeat(20 * 1024));
    assert_eq!(server.send(&["GET /healthz HTTP/1.1", &long], "").await.status, 431);
    let body = format!(r#"{{"command":"install","app":"{}"}}"#, "a".repeat(70 * 1024));
    assert_eq!(server.send(&["POST /api/v1/commands HTTP/1.1", JSON, BEARER], &body).await.status, 413);
    let mut refused = 0;
    for _ in 0..15 {
        let command = r#"{"command":"install","app":"demo"}"#;
        let answer = server.send(&["POST /api/v1/commands HTTP/1.1", JSON, BEARER], command).await;
        refused += u32::from(answer.status == 429);
    }
    assert!(refused >= 3, "{refused}");
}

#[tokio::test]
async fn headers_every_answer_tells_the_browser_what_it_may() {
    let server = start().await;
    for line in
        ["GET / HTTP/1.1", "GET /api/docs HTTP/1.1", "GET /api/v1/session HTTP/1.1", "GET /nope.js HTTP/1.1"]
    {
        let answer = server.send(&[line], "").await;
        let csp = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(csp.contains(part), "{line}: {csp}");
        }
        assert!(!csp.contains("unsafe-eval") && !csp.contains('*'));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{line}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{line}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{line}");
    }
}

#[tokio::test]
async fn files_of_tls_are_the_owners_alone_and_a_broken_pair_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    // A mask that lets everybody read must not matter.
    rustix::process::umask(rustix::fs::Mode::empty());
    let dir = tempfile::tempdir().unwrap();
    // Left behind by a crash between write and rename.
    std::fs::write(dir.path().join("tls-key.new"), "half a").unwrap();
    crate::Tls::own(dir.path(), &["node.lan".into()]).unwrap();
    assert!(!dir.path().join("tls-key.new").exists());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    let certificate = std::fs::read(dir.path().join("tls-cert.pem")).unwrap();
    crate::Tls::own(dir.path(), &[]).unwrap();
    assert_eq!(std::fs::read(dir.path().join("tls-cert.pem")).unwrap(), certificate, "it is made once");
    let other = tempfile::tempdir().unwrap();
    crate::Tls::own(other.path(), &[]).unwrap();
    let mixed = crate::Tls::from_files(&dir.path().join("tls-cert.pem"), &other.path().join("tls-key.pem"));
    assert!(matches!(mixed, Err(crate::TlsError::Unusable(_))));
    assert!(crate::Tls::from_files(&dir.path().join("nope"), &other.path().join("tls-key.pem")).is_err());
}

impl Running {
    /// An open socket of somebody with this header line, as the own page opens it.
    pub(crate) async fn socket(&self, auth: &str) -> super::socket::Ws {
        let origin = self.origin();
        super::socket::connect(self, &[auth, &super::socket::protocol(), &origin]).await.unwrap()
    }
}
