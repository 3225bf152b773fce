//! A gate that is asked over a real socket, by the real clock: what only HTTP can say.

use super::support::*;
use protocol::{GateState, Phase, StreamId};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    thread,
};
use tests::{SimNode, host};

const RPC_CHAIN: &str = r#"manifest_version: 1
id: chain
name: Chain
version: "2.1"
provides: [coin]
secrets: {rpc-password: {generate: {bytes: 24, encoding: alnum}}}
gates:
  synced:
    probe:
      jsonRpc: {port: rpc, method: getinfo, warmingUp: [-28]}
      auth: {username: node, secret: rpc-password}
    ready: {pointer: /ibd, equals: false}
    progress: /share
    interval: 1s
    timeout: 5s
services:
  node:
    image: localhost/db:1
    ports: [{name: rpc, target: 8332, published: PORT, host_ip: 127.0.0.1}]
"#;

type Answer = (u16, &'static str);

/// Answers every request as told, and keeps the last one.
struct Program {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<String>>,
}

impl Program {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind((host(), port)).unwrap();
        let (answer, asked) = (Arc::new(Mutex::new((500, ""))), Arc::new(Mutex::new(String::new())));
        let it = Self { answer: Arc::clone(&answer), asked: Arc::clone(&asked) };
        thread::spawn(move || {
            for socket in listener.incoming() {
                // A node that is being stopped breaks off.
                let _ = serve(socket.unwrap(), &answer, &asked);
            }
        });
        it
    }

    fn says(&self, status: u16, body: &'static str) {
        *self.answer.lock().unwrap() = (status, body);
    }
}

fn serve(mut socket: TcpStream, answer: &Mutex<Answer>, asked: &Mutex<String>) -> std::io::Result<()> {
    let (mut request, mut buffer) = (String::new(), [0; 4096]);
    while !(request.contains("\r\n\r\n") && request.ends_with('}')) {
        match socket.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    *asked.lock().unwrap() = request;
    let (status, body) = *answer.lock().unwrap();
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    socket.write_all(text.as_bytes())
}

#[tokio::test]
async fn nobody_there_warming_up_and_a_refused_login_are_told_apart_and_the_secret_is_shown_nowhere() {
    let port = { TcpListener::bind((host(), 0)).unwrap().local_addr().unwrap().port() };
    let chain = RPC_CHAIN.replace("PORT", &port.to_string());
    let t = SimNode::start(&[&chain, WALLET]).await;
    t.perform(install("chain")).await;
    let rig = Rig::of(t);
    let says = |words: &'static str| {
        rig.wait_gate(move |gate| gate.detail.as_ref().is_some_and(|it| it.contains(words)))
    };
    assert_eq!(says("refused").await.state, GateState::Unreachable);
    rig.t.perform(install("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Waiting).await;

    let program = Program::start(port);
    program.says(500, r#"{"result": null, "error": {"code": -28, "message": "Verifying blocks"}}"#);
    let gate = says("is starting: Verifying blocks").await;
    assert_eq!((gate.state, gate.last_ok.is_some()), (GateState::Progressing, true));
    program.says(401, "");
    let gate = says("refuses the node's login (401)").await;
    assert_eq!(gate.state, GateState::Unreachable);
    assert!(gate.detail.unwrap().contains("see that the app uses its secret rpc-password"));
    program.says(200, r#"{"result": {"ibd": true, "share": 0.5}, "error": null}"#);
    rig.wait_state(GateState::Progressing).await;
    rig.t.wait_app("wallet", |app| app.wait.first().is_some_and(|wait| wait.progress == Some(0.5))).await;
    program.says(200, r#"{"result": {"ibd": false, "share": 0.99}, "error": null}"#);
    rig.t.wait_phase("wallet", Phase::Running).await;
    program.says(500, r#"{"result": null, "error": {"code": -28, "message": "Loading"}}"#);
    assert_eq!(says("is starting: Loading").await.state, GateState::Progressing);
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Running, "warming up is no loss");
    program.says(200, r#"{"result": {"ibd": true, "share": 0.98}, "error": null}"#);
    rig.wait_state(GateState::Lost).await;
    rig.t.wait_phase("wallet", Phase::Degraded).await;

    let file = rig.t.data_dir().join("secrets/chain/rpc-password");
    let secret = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(secret.len() > 20 && program.asked.lock().unwrap().contains("authorization: Basic "));
    for stream in StreamId::ALL {
        let (_, rows) = rig.t.node.board().snapshot(stream);
        assert!(!rows.iter().any(|row| row.contains(&secret)), "{stream:?}");
    }
    let events = rig.t.node.events(None, None, 500).await.unwrap().items;
    assert!(!serde_json::to_string(&events).unwrap().contains(&secret));
}
