//! The server over loopback, with a stub for the node.

mod account;
mod conformance;
mod fuzz;
mod http;
mod local;
mod security;
mod socket;
mod tree;

use crate::{Limits, LogLines, NodeApi, Server, ServerConfig};
use actors::{Accounts, Board, Counters, EventDraft, Icon, LogLine};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use protocol::{
    ApiError, AppFacts, AppId, BackupView, Command, CommandAccepted, ErrorCode, EventPage, NodeView, OpId,
    Plan, Row, SecretAccepted, SecretView, ServiceName, StreamId,
    client::{Auth, Client},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use supervisor::{Strategy, SupFlags, Supervisor, SupervisorRef};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) const TOKEN: &str = "the-owners-token";
pub(crate) const PASSWORD: &str = "a long enough password";
/// Nothing here takes long; a test that waits so long has failed.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

pub(crate) struct Stub {
    pub(crate) board: Arc<Board>,
    pub(crate) ready: AtomicBool,
    pub(crate) commands: Mutex<Vec<(Command, Option<String>)>>,
    pub(crate) events: Mutex<Vec<EventDraft>>,
    pub(crate) plan: Mutex<Option<Plan>>,
    pub(crate) inside: AtomicBool,
    accounts: Accounts,
}

impl Stub {
    pub(crate) async fn new() -> Arc<Self> {
        Self::with_epoch("e1").await
    }

    pub(crate) async fn with_epoch(epoch: &str) -> Arc<Self> {
        Arc::new(Self {
            board: Arc::new(Board::new(epoch.into())),
            ready: AtomicBool::new(true),
            commands: Mutex::default(),
            events: Mutex::default(),
            plan: Mutex::default(),
            inside: AtomicBool::new(false),
            accounts: Accounts::for_test().await,
        })
    }

    pub(crate) fn put(&self, key: &str, detail: &str) {
        let view = NodeView { key: key.into(), ok: true, detail: detail.into(), last_ok: None };
        self.board.put(&Row::Node(Box::new(view)));
    }
}

pub(crate) fn refusal(code: ErrorCode) -> ApiError {
    ApiError::new(code, "no")
}

#[async_trait]
impl NodeApi for Stub {
    fn board(&self) -> &Arc<Board> {
        &self.board
    }
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
    async fn submit(&self, command: Command, key: Option<String>) -> Result<CommandAccepted, ApiError> {
        if command.app().as_str() == "busy" {
            return Err(refusal(ErrorCode::OpInProgress));
        }
        self.commands.lock().unwrap().push((command, key));
        Ok(CommandAccepted { op_id: OpId("01OP".into()), at: [(StreamId::Ops, 1)].into() })
    }
    async fn logs(
        &self,
        app: &AppId,
        _: &ServiceName,
        tail: u32,
        follow: bool,
    ) -> Result<LogLines, ApiError> {
        if app.as_str() != "demo" {
            return Err(refusal(ErrorCode::NotFound));
        }
        let lines =
            stream::iter((0..tail).map(|n| Ok(LogLine { stderr: n == 1, line: format!("line {n}") })));
        Ok(if follow { lines.chain(stream::pending()).boxed() } else { lines.boxed() })
    }
    async fn secrets(&self, app: &AppId) -> Result<Vec<SecretView>, ApiError> {
        if app.as_str() != "demo" {
            return Err(refusal(ErrorCode::NotFound));
        }
        Ok(vec![SecretView { name: "key".into(), given: false }])
    }
    async fn set_secret(&self, app: &AppId, name: &str, value: &str) -> Result<SecretAccepted, ApiError> {
        if (app.as_str(), name, value) != ("demo", "key", "s3cret") {
            return Err(refusal(ErrorCode::NotFound));
        }
        Ok(SecretAccepted { restart_needed: true })
    }
    async fn facts(&self, _: &AppId) -> Result<AppFacts, ApiError> {
        Err(refusal(ErrorCode::NotFound))
    }
    async fn icon(&self, app: &AppId) -> Result<Icon, ApiError> {
        match app.as_str() {
            "demo" => Ok(Icon { bytes: b"<svg/>".to_vec(), kind: "image/svg+xml" }),
            _ => Err(refusal(ErrorCode::NotFound)),
        }
    }
    fn accounts(&self) -> Accounts {
        self.accounts.clone()
    }
    fn record(&self, event: EventDraft) {
        self.events.lock().unwrap().push(event);
    }
    fn counters(&self) -> Counters {
        Counters::default()
    }
    async fn events(&self, before: Option<u64>, _: Option<AppId>, limit: u32) -> Result<EventPage, ApiError> {
        Ok(EventPage { items: vec![], next: before.map(|before| before - u64::from(limit)) })
    }
    fn is_from_containers(&self, _: SocketAddr, _: SocketAddr) -> bool {
        self.inside.load(Ordering::SeqCst)
    }
    async fn backups(&self, app: Option<&AppId>) -> Result<Vec<BackupView>, ApiError> {
        let view = |app: &str| BackupView {
            id: "4f1c2d3e".parse().unwrap(),
            app: app.parse().unwrap(),
            version: "1".into(),
            at: 1_795_215_000_000,
            files: 12,
            bytes: 4_096,
        };
        let all = [view("demo"), view("gone")].into_iter();
        Ok(all.filter(|view| app.is_none_or(|app| view.app == *app)).collect())
    }
    async fn plan(&self, _: &Command) -> Result<Option<Plan>, ApiError> {
        Ok(self.plan.lock().unwrap().clone())
    }
}

/// A running server under a supervisor of its own.
pub(crate) struct Running {
    pub(crate) node: Arc<Stub>,
    pub(crate) root: SupervisorRef,
    pub(crate) addr: SocketAddr,
}

pub(crate) fn config(node: &Arc<Stub>, listen: &str) -> ServerConfig {
    ServerConfig {
        listen: listen.parse().unwrap(),
        node: Arc::clone(node) as _,
        setup_token_hash: blake3::hash(TOKEN.as_bytes()).into(),
        allowed_hosts: vec!["node.lan".into()],
        local_socket: None,
        tls: None,
        limits: Limits::default(),
    }
}

pub(crate) async fn start() -> Running {
    let node = Stub::new().await;
    let config = config(&node, "127.0.0.1:0");
    start_with(node, config).await
}

pub(crate) async fn start_with(node: Arc<Stub>, config: ServerConfig) -> Running {
    let server = Server::new(&config);
    let flags = SupFlags::new(Strategy::OneForOne);
    let root = Supervisor::start_link("node", flags, vec![server.child_spec()], None, None).await.unwrap();
    Running { node, root, addr: server.address().unwrap() }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.addr), Auth::Bearer(TOKEN.into())).unwrap()
    }

    /// Sends a request as it is, without `Connection: close`.
    pub(crate) async fn open(&self, head: &[&str], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let mut text = head.join("\r\n");
        if !head.iter().any(|line| line.starts_with("Host:")) {
            text += &format!("\r\nHost: {}", self.addr);
        }
        text += &format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, head: &[&str], body: &str) -> Answer {
        let head: Vec<&str> = head.iter().copied().chain(["Connection: close"]).collect();
        let mut stream = self.open(&head, body).await;
        let mut bytes = Vec::new();
        timeout(BOUND, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.into(), body: body.into() }
    }

    pub(crate) fn origin(&self) -> String {
        format!("Origin: http://{}", self.addr)
    }

    /// Sends a JSON body as the own page does, with more header lines.
    pub(crate) async fn post(&self, line: &str, more: &[&str], body: &str) -> Answer {
        let (line, origin) = (format!("{line} HTTP/1.1"), self.origin());
        let head: Vec<&str> =
            [line.as_str(), JSON, &origin].into_iter().chain(more.iter().copied()).collect();
        self.send(&head, body).await
    }

    /// Sets the password; the header line of the cookie.
    pub(crate) async fn setup(&self) -> String {
        let body = format!(r#"{{"token":"{TOKEN}","password":"{PASSWORD}"}}"#);
        let answer = self.post("POST /api/v1/setup", &[], &body).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        format!("Cookie: {}", answer.cookie())
    }

    /// Logs in with the password; the header line of the cookie.
    pub(crate) async fn login_by_password(&self) -> String {
        let body = format!(r#"{{"password":"{PASSWORD}"}}"#);
        let answer = self.post("POST /api/v1/login", &[], &body).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        format!("Cookie: {}", answer.cookie())
    }

    /// Whether somebody with this header line is let in.
    pub(crate) async fn lets_in(&self, auth: &str) -> bool {
        let answer = self.send(&["GET /api/v1/session HTTP/1.1", auth], "").await;
        assert!([200, 401].contains(&answer.status), "{}", answer.status);
        answer.status == 200
    }

    /// Logs in as the own page does; the header line of the cookie.
    pub(crate) async fn login(&self) -> String {
        let head = ["POST /api/v1/login HTTP/1.1", JSON, &self.origin()];
        let answer = self.send(&head, &format!(r#"{{"token":"{TOKEN}"}}"#)).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        format!("Cookie: {}", answer.cookie())
    }
}

pub(crate) const JSON: &str = "Content-Type: application/json";
pub(crate) const BEARER: &str = "Authorization: Bearer the-owners-token";
