//! Measures the push protocol over loopback: age of the state at clients, memory per idle client, the effect of a
//! client that never reads, and the node's CPU per frame next to a bare broadcast of the same bytes.
//!
//! The bare broadcast sends frames as long and as often as the clients before it counted, and like is compared with
//! like: clients that ack with a broadcast that reads as many acks and throws them away, clients that never ack with
//! one that only sends.
//!
//! `make bench-push` runs it; the clients live in a process of their own, so that what is measured is the node's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use actors::{Accounts, Board, Counters, EventDraft, Icon};
use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use protocol::{
    ApiError, AppFacts, AppId, Command, CommandAccepted, ErrorCode, EventPage, NodeView, Row, ServiceName,
};
use server::{Limits, LogLines, NodeApi, Server, ServerConfig};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command as Process, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use supervisor::{Strategy, SupFlags, Supervisor};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
    time::{Instant, sleep},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const TOKEN: &str = "bench";
const ROWS: u64 = 50;
const PER_SECOND: u64 = 1_000;
const WINDOW: Duration = Duration::from_secs(5);

struct Node {
    board: Arc<Board>,
    accounts: Accounts,
}

#[async_trait]
impl NodeApi for Node {
    fn board(&self) -> &Arc<Board> {
        &self.board
    }
    fn is_ready(&self) -> bool {
        true
    }
    async fn submit(&self, _: Command, _: Option<String>) -> Result<CommandAccepted, ApiError> {
        Err(ApiError::new(ErrorCode::Unavailable, "a benchmark"))
    }
    fn is_from_containers(&self, _: SocketAddr, _: SocketAddr) -> bool {
        false
    }
    async fn plan(&self, _: &Command) -> Result<Option<protocol::Plan>, ApiError> {
        Ok(None)
    }
    async fn backups(&self, _: Option<&AppId>) -> Result<Vec<protocol::BackupView>, ApiError> {
        Ok(vec![])
    }
    async fn logs(&self, _: &AppId, _: &ServiceName, _: u32, _: bool) -> Result<LogLines, ApiError> {
        Err(ApiError::new(ErrorCode::Unavailable, "a benchmark"))
    }
    async fn secrets(&self, _: &AppId) -> Result<Vec<protocol::SecretView>, ApiError> {
        Ok(vec![])
    }
    async fn facts(&self, _: &AppId) -> Result<AppFacts, ApiError> {
        Err(ApiError::new(ErrorCode::Unavailable, "a benchmark"))
    }
    async fn icon(&self, _: &AppId) -> Result<Icon, ApiError> {
        Err(ApiError::new(ErrorCode::Unavailable, "a benchmark"))
    }
    async fn set_secret(&self, _: &AppId, _: &str, _: &str) -> Result<protocol::SecretAccepted, ApiError> {
        Err(ApiError::new(ErrorCode::Unavailable, "a benchmark"))
    }
    fn accounts(&self) -> Accounts {
        self.accounts.clone()
    }
    fn record(&self, _: EventDraft) {}
    fn counters(&self) -> Counters {
        Counters::default()
    }
    async fn events(&self, _: Option<u64>, _: Option<AppId>, _: u32) -> Result<EventPage, ApiError> {
        Ok(EventPage { items: vec![], next: None })
    }
}

fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

fn rss_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of this process in milliseconds; the clock ticks a hundred times a second.
fn cpu_ms() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

fn put(board: &Board, key: u64) {
    let detail = format!("{} {}", micros(), "x".repeat(200));
    board.put(&Row::Node(Box::new(NodeView { key: format!("k{key}"), ok: true, detail, last_ok: None })));
}

async fn write(board: &Board, time: Duration) {
    let begun = Instant::now();
    let mut written = 0;
    while begun.elapsed() < time {
        while written < begun.elapsed().as_millis() as u64 * PER_SECOND / 1_000 {
            put(board, written % ROWS);
            written += 1;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// The process of the clients; it prints a line when all are there, and one with what it measured.
struct Clients {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Clients {
    fn start(mode: &str, addr: SocketAddr, count: usize) -> Self {
        let mut process = Process::new(env::current_exe().unwrap())
            .args([mode, &addr.to_string(), &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "connected");
        Self { process, lines }
    }

    fn result(mut self) -> String {
        let line = self.lines.next().unwrap().unwrap();
        self.process.wait().unwrap();
        line
    }

    fn stop(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn connect(addr: SocketAddr, subscribe: bool) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let mut request = format!("ws://{addr}/api/v1/ws").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "archy.v1.json".parse().unwrap());
    headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut ws, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    if subscribe {
        let sub = r#"{"t":"sub","ref":1,"streams":[{"stream":"node"}]}"#;
        ws.send(Message::text(sub)).await.unwrap();
    }
    ws
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    let rest = &text[text.find(mark)? + mark.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// Reads until the window is over; ages of the oldest change in each frame, in microseconds, and the frames' bytes.
async fn read(mut ws: tokio_tungstenite::WebSocketStream<TcpStream>, acks: bool) -> (Vec<u64>, usize) {
    let mut ages = Vec::new();
    let mut bytes = 0;
    let end = Instant::now() + WINDOW + Duration::from_secs(1);
    while let Ok(Some(Ok(message))) = tokio::time::timeout_at(end, ws.next()).await {
        let Message::Text(text) = message else { continue };
        if text.contains(r#""t":"delta""#)
            && let Some(at) = number_after(&text, r#""detail":""#)
        {
            ages.push(micros().saturating_sub(at));
            bytes += text.len();
        }
        if acks && let Some(seq) = number_after(&text, r#""seq":"#) {
            ws.send(Message::text(format!(r#"{{"t":"ack","stream":"node","seq":{seq}}}"#))).await.unwrap();
        }
    }
    (ages, bytes)
}

async fn clients(mode: &str, addr: SocketAddr, count: usize) {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(connect(addr, !mode.starts_with("bare")).await);
    }
    println!("connected");
    if mode == "idle" {
        sleep(Duration::from_secs(3_600)).await;
    }
    let acks = mode.ends_with("acking");
    let tasks: Vec<_> = all.into_iter().map(|ws| tokio::spawn(read(ws, acks))).collect();
    let (mut ages, mut bytes) = (Vec::new(), 0);
    for task in tasks {
        let (of_one, more) = task.await.unwrap();
        ages.extend(of_one);
        bytes += more;
    }
    ages.sort_unstable();
    let at =
        |share: f64| ages.get((ages.len() as f64 * share) as usize).copied().unwrap_or(0) as f64 / 1_000.0;
    println!("{} {bytes} {:.1} {:.1}", ages.len(), at(0.5), at(0.99));
}

/// What the clients of one run counted, and the server's CPU time for it.
struct Run {
    frames: f64,
    /// Of one frame.
    bytes: usize,
    p50: f64,
    p99: f64,
    cpu_ms: u64,
}

impl Run {
    fn new(line: &str, cpu_ms: u64) -> Self {
        let parts: Vec<f64> = line.split(' ').map(|part| part.parse().unwrap()).collect();
        let frames = parts[0].max(1.0);
        Self { frames, bytes: (parts[1] / frames) as usize, p50: parts[2], p99: parts[3], cpu_ms }
    }

    /// Microseconds of the server's CPU.
    fn per_frame(&self) -> f64 {
        self.cpu_ms as f64 * 1_000.0 / self.frames
    }
}

/// The bytes of another run to as many clients, without any protocol around it.
async fn bare(mode: &'static str, count: usize, like: &Run) -> Run {
    let acking = mode.ends_with("acking");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, _) = broadcast::channel::<Message>(64);
    let accept = sender.clone();
    #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let echo = |_: &tokio_tungstenite::tungstenite::handshake::server::Request,
                mut answer: tokio_tungstenite::tungstenite::handshake::server::Response| {
        answer.headers_mut().insert("sec-websocket-protocol", "archy.v1.json".parse().unwrap());
        Ok(answer)
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let mut frames = accept.subscribe();
            tokio::spawn(async move {
                let mut ws = tokio_tungstenite::accept_hdr_async(stream, echo).await.unwrap();
                loop {
                    tokio::select! {
                        frame = frames.recv() => {
                            let Ok(frame) = frame else { return };
                            if ws.send(frame).await.is_err() {
                                return;
                            }
                        }
                        ack = ws.next(), if acking => {
                            let Some(Ok(_)) = ack else { return };
                        }
                    }
                }
            });
        }
    });
    let clients = tokio::task::spawn_blocking(move || Clients::start(mode, addr, count)).await.unwrap();
    let before = cpu_ms();
    let rounds = (like.frames / count as f64).round().max(1.0) as u32;
    for round in 0..rounds {
        let mut text = format!(r#"{{"t":"delta","seq":{round},"detail":"{} "#, micros());
        text += &"x".repeat(like.bytes.saturating_sub(text.len()));
        let _ = sender.send(Message::text(text));
        sleep(WINDOW / rounds).await;
    }
    let used = cpu_ms() - before;
    let line = tokio::task::spawn_blocking(move || clients.result()).await.unwrap();
    Run::new(&line, used)
}

/// The node's run of this mode beside the bare one; prints both.
async fn beside_bare(mode: &'static str, bare_mode: &'static str, count: usize, node: &Run) {
    let plain = bare(bare_mode, count, node).await;
    let (ours, theirs) = (node.per_frame(), plain.per_frame());
    println!(
        "{mode:<28}{ours:.1} us a frame of {} bytes, {:.0} a client; bare {theirs:.1} us of {}, {:.0} a client; ratio {:.2} (bar 1.3)",
        node.bytes,
        node.frames / count as f64,
        plain.bytes,
        plain.frames / count as f64,
        ours / theirs.max(0.1)
    );
}

async fn node(count: usize) {
    let node =
        Arc::new(Node { board: Arc::new(Board::new("e".into())), accounts: Accounts::for_test().await });
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        node: Arc::clone(&node) as _,
        setup_token_hash: blake3::hash(TOKEN.as_bytes()).into(),
        allowed_hosts: vec![],
        local_socket: None,
        tls: None,
        limits: Limits { open: count + 100, open_per_login: count + 100, connections: 2 * count + 200 },
    };
    let server = Server::new(&config);
    let flags = SupFlags::new(Strategy::OneForOne);
    let _root = Supervisor::start_link("node", flags, vec![server.child_spec()], None, None).await.unwrap();
    let addr = server.address().unwrap();
    (0..ROWS).for_each(|key| put(&node.board, key));

    let before = rss_kib();
    let idle = tokio::task::spawn_blocking(move || Clients::start("idle", addr, count)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let memory = rss_kib().saturating_sub(before) as f64 / count as f64;
    println!("clients                     {count}");
    println!("memory per idle client      {memory:.1} KiB (bar 32)");
    idle.stop();
    sleep(Duration::from_secs(1)).await;

    let run = |mode: &'static str| {
        let board = Arc::clone(&node.board);
        async move {
            let live = tokio::task::spawn_blocking(move || Clients::start(mode, addr, count)).await.unwrap();
            let cpu = cpu_ms();
            write(&board, WINDOW).await;
            let cpu = cpu_ms() - cpu;
            let line = tokio::task::spawn_blocking(move || live.result()).await.unwrap();
            Run::new(&line, cpu)
        }
    };
    let acking = run("acking").await;
    println!("age of the state            p50 {} ms, p99 {} ms (bar 100)", acking.p50, acking.p99);
    let stuck = connect(addr, true).await;
    let memory = rss_kib();
    let beside = run("acking").await.p99;
    println!("p99 beside a stuck client   {beside} ms, {:.2} of without", beside / acking.p99.max(0.1));
    println!("memory of that              {} KiB", rss_kib() as i64 - memory as i64);
    drop(stuck);
    beside_bare("clients that ack", "bare-acking", count, &acking).await;
    let silent = run("silent").await;
    beside_bare("clients that never ack", "bare", count, &silent).await;
}

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.as_slice() {
        [mode, addr, count] => {
            runtime.block_on(clients(mode, addr.parse().unwrap(), count.parse().expect("a number")));
        }
        [count] => runtime.block_on(node(count.parse().expect("a number"))),
        _ => runtime.block_on(node(1_000)),
    }
}
