//! The socket of the node's own user.

use super::{BOUND, PASSWORD, Stub, config, start_with};
use std::{os::unix::fs::PermissionsExt, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

/// A request over the socket; its status and body.
async fn ask(path: &Path, head: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let length = body.len();
    let text = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(BOUND, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn the_own_user_needs_no_token_and_may_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archy.sock");
    let node = Stub::new().await;
    let config = crate::ServerConfig { local_socket: Some(path.clone()), ..config(&node, "127.0.0.1:0") };
    let server = start_with(node, config).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(ask(&path, "GET /api/v1/session HTTP/1.1\r\nHost: localhost", "").await.0, 200);
    assert_eq!(ask(&path, "GET /api/v1/sessions HTTP/1.1\r\nHost: localhost", "").await.0, 200);
    for host in ["evil.example", "localhost:80", "127.0.0.1"] {
        let head = format!("GET /api/v1/session HTTP/1.1\r\nHost: {host}");
        assert_eq!(ask(&path, &head, "").await.0, 421, "{host}");
    }
    // An owner who forgot the password sets another one here.
    server.setup().await;
    let head = "POST /api/v1/password HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    assert_eq!(ask(&path, head, r#"{"new":"not forgotten yet"}"#).await.0, 204);
    let old = format!(r#"{{"password":"{PASSWORD}"}}"#);
    assert_eq!(server.post("POST /api/v1/login", &[], &old).await.status, 401);
    let new = r#"{"password":"not forgotten yet"}"#;
    assert_eq!(server.post("POST /api/v1/login", &[], new).await.status, 204);
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archy.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let node = Stub::new().await;
    let config = crate::ServerConfig { local_socket: Some(path.clone()), ..config(&node, "127.0.0.1:0") };
    let _server = start_with(node, config).await;
    assert_eq!(ask(&path, "GET /healthz HTTP/1.1\r\nHost: localhost", "").await.0, 200);
}

#[tokio::test]
async fn the_client_speaks_over_the_socket_and_over_tls() {
    use protocol::{
        StreamId,
        client::{Auth, Client, StreamEvent},
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archy.sock");
    let node = Stub::new().await;
    node.put("engine", "5.4");
    let tls = Some(crate::Tls::own(dir.path(), &["node.lan".into()]).unwrap());
    let config =
        crate::ServerConfig { local_socket: Some(path.clone()), tls, ..config(&node, "127.0.0.1:0") };
    let server = start_with(node, config).await;
    let pem = std::fs::read(dir.path().join("tls-cert.pem")).unwrap();
    let url = format!("https://{}", server.addr);
    let bearer = || Auth::Bearer(super::TOKEN.into());
    let over_tls = Client::with_certificate(&url, bearer(), &pem).unwrap();
    for client in [Client::local(&path).unwrap(), over_tls] {
        assert_eq!(client.snapshot(StreamId::Node).await.unwrap().items.len(), 1);
        let mut rows = client.subscribe(&[StreamId::Node]).await.unwrap();
        let event = timeout(BOUND, rows.next()).await.unwrap().unwrap();
        assert!(matches!(event, StreamEvent::Snapshot { .. }), "{event:?}");
    }
    // Another certificate, and no TLS at all, are refused.
    let other = tempfile::tempdir().unwrap();
    crate::Tls::own(other.path(), &[]).unwrap();
    let wrong = std::fs::read(other.path().join("tls-cert.pem")).unwrap();
    let client = Client::with_certificate(&url, bearer(), &wrong).unwrap();
    assert!(client.snapshot(StreamId::Node).await.is_err());
    let plain = Client::new(&format!("http://{}", server.addr), bearer()).unwrap();
    assert!(plain.snapshot(StreamId::Node).await.is_err());
}

#[tokio::test]
async fn over_tls_the_cookie_is_bound_to_the_host_and_to_tls() {
    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, ServerName, pem::PemObject},
        },
    };
    let dir = tempfile::tempdir().unwrap();
    let node = Stub::new().await;
    let tls = Some(crate::Tls::own(dir.path(), &[]).unwrap());
    let config = crate::ServerConfig { tls, ..config(&node, "127.0.0.1:0") };
    let server = start_with(node, config).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.path().join("tls-cert.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap();
    let body = format!(r#"{{"token":"{}"}}"#, super::TOKEN);
    let port = server.addr.port();
    let request = format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost:{port}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(BOUND, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-archy_session="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
}
