//! Questions over real sockets to a program that answers as told.

use super::*;
use crate::ctx::Dirs;
use apps::RenderContext;
use engine::{
    sim::{Sim, SimVault},
    vault::Retention,
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};
use tempfile::TempDir;

const RPC: &str = "{probe: {jsonRpc: {port: rpc, method: getinfo, params: [1], warmingUp: [-28]}, \
    auth: {username: me, secret: pw}}, ready: {pointer: /ibd, equals: false}, timeout: 1s}";

/// Answers one request, and returns what was asked.
fn answering(status: u16, body: &str) -> (u16, thread::JoinHandle<String>) {
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = String::new();
        let mut buffer = [0; 4096];
        while !(request.contains("\r\n\r\n") && (request.starts_with("GET") || request.ends_with('}'))) {
            let read = socket.read(&mut buffer).unwrap();
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        // The prober may have had enough of a long answer.
        let _ = socket.write_all(answer.as_bytes());
        request
    });
    (port, asked)
}

fn prober(text: &str, port: u16) -> (Prober, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = Dirs { data: dir.path().to_owned(), catalog: dir.path().to_owned() };
    let ctx = Ctx::new(
        Arc::new(Sim::new()),
        (Arc::new(SimVault::default()), Retention::default()),
        dirs,
        "e".into(),
        None,
    );
    let mut manifest = crate::gate::tests::manifest(text, port);
    let context = RenderContext {
        node_id: "n".into(),
        data_dir: dir.path().to_owned(),
        manifest_dir: dir.path().to_owned(),
        facts: apps::Facts::default(),
    };
    let service = manifest.render(&context).services.remove(0);
    std::fs::create_dir_all(ctx.secrets_dir(&manifest.id)).unwrap();
    std::fs::write(ctx.secrets_dir(&manifest.id).join("pw"), "s3cret").unwrap();
    let gate = manifest.gates.remove("g").unwrap();
    (Prober::new(&ctx, &manifest.id, Arc::new(gate), Arc::new(service)), dir)
}

fn silent(outcome: Outcome) -> String {
    match outcome {
        Outcome::Silent(words) => words,
        other => panic!("{other:?}"),
    }
}

/// What becomes of one question, and what was asked.
async fn ask(text: &str, status: u16, body: &str) -> (Outcome, String) {
    let (port, asked) = answering(status, body);
    let (prober, _dir) = prober(text, port);
    let outcome = prober.ask("id").await;
    (outcome, asked.join().unwrap())
}

#[tokio::test]
async fn a_call_carries_login_method_and_parameters_and_its_result_is_read() {
    let (outcome, request) = ask(RPC, 200, r#"{"result": {"ibd": false}, "error": null}"#).await;
    assert!(matches!(&outcome, Outcome::Answer(it) if it.ready), "{outcome:?}");
    assert!(request.starts_with("POST / HTTP/1.1"), "{request}");
    assert!(request.contains(r#""method":"getinfo""#) && request.contains(r#""params":[1]"#), "{request}");
    assert!(request.contains("authorization: Basic bWU6czNjcmV0"), "{request}");
}

#[tokio::test]
async fn without_a_user_the_secret_is_a_bearer_token() {
    let get = "{probe: {httpGet: {port: rpc, path: /size}, auth: {secret: pw}}, ready: {pointer: /rows, atLeast: 2}}";
    let (outcome, request) = ask(get, 200, r#"{"rows": 2}"#).await;
    assert!(matches!(&outcome, Outcome::Answer(it) if it.ready), "{outcome:?}");
    assert!(
        request.starts_with("GET /size ") && request.contains("authorization: Bearer s3cret"),
        "{request}"
    );
}

#[tokio::test]
async fn warming_up_and_a_refused_login_come_through() {
    let warming = r#"{"result": null, "error": {"code": -28, "message": "Loading"}}"#;
    assert_eq!(ask(RPC, 500, warming).await.0, Outcome::Warming("is starting: Loading".into()));
    let refused = silent(ask(RPC, 401, "").await.0);
    assert!(refused.contains("401") && !refused.contains("s3cret"), "{refused}");
}

#[tokio::test]
async fn nobody_there_no_answer_in_time_and_an_endless_one_are_silence() {
    let port = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    for text in [RPC, "{probe: {tcpSocket: {port: rpc}}}"] {
        let words = silent(prober(text, port).0.ask("id").await);
        assert!(words.to_lowercase().contains("refused"), "{words}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (prober, _dir) = prober(RPC, listener.local_addr().unwrap().port());
    assert_eq!(silent(prober.ask("id").await), "no answer within 1 s");
    let (outcome, _) = ask(RPC, 200, &"x".repeat(MAX_BODY + 1)).await;
    assert!(silent(outcome).contains("longer than"));
}

#[tokio::test]
async fn a_connection_is_enough_for_a_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (prober, _dir) = prober("{probe: {tcpSocket: {port: rpc}}}", listener.local_addr().unwrap().port());
    assert_eq!(prober.ask("id").await, answer::connected());
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named_and_nothing_is_asked() {
    let (prober, dir) = prober(RPC, 2081);
    std::fs::remove_dir_all(dir.path().join("secrets")).unwrap();
    assert_eq!(silent(prober.ask("id").await), "the secret pw cannot be read");
}
