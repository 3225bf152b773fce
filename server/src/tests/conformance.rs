//! The stream against a model: whatever happens on the way, what a client has at a sequence is what the node had.
//!
//! A writer changes rows as fast as asked for and writes down every change. Clients read through a proxy that breaks
//! connections, delays frames and sends some twice; some of them are slow; the node is restarted in between. After
//! every frame a client's rows are compared with the written history at that frame's sequence.

use super::{BOUND, Running, Stub, TOKEN, config, start_with};
use crate::ServerConfig;
use futures_util::{SinkExt, StreamExt, future::join_all};
use protocol::{
    Row, StreamId,
    client::{Auth, Client, StreamEvent, Subscription},
};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{Arc, Mutex, RwLock, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{Request, Response},
};

/// So long after the last change nothing more comes.
const QUIET: Duration = Duration::from_millis(300);

type Rows = BTreeMap<String, String>;

/// Random numbers from a seed (SplitMix64), so that a failure can be repeated.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Every change of one life of the node: what the row at a sequence became.
type History = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// The written history of all lives, by epoch.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeMap<String, History>>>);

impl Book {
    fn open(&self, epoch: &str) -> History {
        Arc::clone(self.0.lock().unwrap().entry(epoch.to_owned()).or_default())
    }
}

/// What a client has, and how far the history was replayed beside it.
struct Model {
    book: Book,
    rows: Rows,
    /// Epoch and sequence that `rows` are at, once the frame is whole.
    at: Option<(String, u64)>,
    /// Something has changed since the last comparison.
    pending: bool,
    replayed: (String, u64, Rows),
    checked: u64,
}

impl Model {
    fn new(book: Book) -> Self {
        Self {
            book,
            rows: Rows::new(),
            at: None,
            pending: false,
            replayed: (String::new(), 0, Rows::new()),
            checked: 0,
        }
    }

    /// Compares with the history at the last whole frame.
    fn check(&mut self) {
        let Some((epoch, seq)) = self.at.clone() else { return };
        if !std::mem::take(&mut self.pending) {
            return;
        }
        if self.replayed.0 != epoch {
            self.replayed = (epoch.clone(), 0, Rows::new());
        }
        let history = self.book.open(&epoch);
        let history = history.lock().unwrap();
        for (key, value) in &history[self.replayed.1 as usize..seq as usize] {
            match value {
                Some(value) => drop(self.replayed.2.insert(key.clone(), value.clone())),
                None => drop(self.replayed.2.remove(key)),
            }
        }
        self.replayed.1 = seq;
        assert_eq!(self.rows, self.replayed.2, "at {epoch}.{seq}");
        self.checked += 1;
    }

    fn take(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Snapshot { seq, rows, .. } => {
                self.check();
                self.rows = rows.iter().map(pair).collect();
                let epoch = self.rows.get("epoch").cloned().unwrap_or_default();
                (self.at, self.pending) = (Some((epoch, seq)), true);
            }
            StreamEvent::Put { seq, row, .. } => {
                let (key, value) = pair(&row);
                self.frame(seq);
                self.rows.insert(key, value);
            }
            StreamEvent::Del { seq, key, .. } => {
                self.frame(seq);
                self.rows.remove(&key);
            }
            StreamEvent::Disconnected { .. } => self.check(),
            StreamEvent::Reconnected => {}
            StreamEvent::Entries { .. } => panic!("not subscribed"),
        }
    }

    /// A change of the frame with this sequence: if it is a new one, the one before is whole.
    fn frame(&mut self, seq: u64) {
        if self.at.as_ref().is_some_and(|(_, at)| *at != seq) {
            self.check();
        }
        let epoch = self.rows.get("epoch").cloned().unwrap_or_default();
        (self.at, self.pending) = (Some((epoch, seq)), true);
    }
}

fn pair(row: &Row) -> (String, String) {
    let Row::Node(view) = row else { panic!("{row:?}") };
    (view.key.clone(), view.detail.clone())
}

/// Passes frames on, some late, some twice, and breaks connections.
async fn proxy(listener: TcpListener, target: Arc<RwLock<SocketAddr>>, seed: u64) {
    let mut open = tokio::task::JoinSet::new();
    let mut dice = Dice(seed);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (target, dice) = (*target.read().unwrap(), Dice(dice.roll(u64::MAX)));
        open.spawn(async move {
            let _ = pass(stream, target, dice).await;
        });
    }
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
async fn pass(stream: TcpStream, target: SocketAddr, mut dice: Dice) -> Option<()> {
    let echo = |_: &Request, mut answer: Response| {
        answer.headers_mut().insert("sec-websocket-protocol", "archy.v1.json".parse().unwrap());
        Ok(answer)
    };
    let client = tokio_tungstenite::accept_hdr_async(stream, echo).await.ok()?;
    let server = TcpStream::connect(target).await.ok()?;
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(
        format!("ws://{target}/api/v1/ws"),
    )
    .ok()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "archy.v1.json".parse().unwrap());
    headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let (server, _) = tokio_tungstenite::client_async(request, server).await.ok()?;
    let (mut to_client, mut from_client) = client.split();
    let (mut to_server, mut from_server) = server.split();
    let breaks = sleep(Duration::from_millis(100 + dice.roll(1_500)));
    let down = async {
        while let Some(Ok(message)) = from_server.next().await {
            if dice.roll(10) == 0 {
                sleep(Duration::from_millis(dice.roll(40))).await;
            }
            let twice = matches!(&message, Message::Text(text) if text.contains(r#""t":"delta""#))
                && dice.roll(4) == 0;
            if twice {
                to_client.send(message.clone()).await.ok()?;
            }
            to_client.send(message).await.ok()?;
        }
        Some(())
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            to_server.send(message).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        () = breaks => None,
        end = down => end,
        end = up => end,
    }
}

/// A life of the node.
async fn life(epoch: &str) -> (Arc<Stub>, Running) {
    let node = Stub::with_epoch(epoch).await;
    let limits = crate::Limits { open: 200, ..crate::Limits::default() };
    let config = ServerConfig { limits, ..config(&node, "127.0.0.1:0") };
    let running = start_with(Arc::clone(&node), config).await;
    (node, running)
}

/// Changes rows at a rate for a while, and writes every change down before anybody can see it.
async fn write(node: &Stub, history: &History, per_second: u64, time: Duration, dice: &mut Dice) {
    let begun = Instant::now();
    let mut pace = interval(Duration::from_millis(1));
    let mut written = 0;
    while begun.elapsed() < time {
        let due = begun.elapsed().as_millis() as u64 * per_second / 1_000;
        while written < due {
            written += 1;
            let key = format!("k{}", dice.roll(200));
            let mut history = history.lock().unwrap();
            let removes = dice.roll(20) == 0;
            if removes {
                // Removing what is not there is no change.
                if node.board.row(StreamId::Node, &key).is_some() {
                    history.push((key.clone(), None));
                    node.board.remove(StreamId::Node, &key, "gone");
                }
            } else {
                let value = written.to_string();
                history.push((key.clone(), Some(value.clone())));
                node.put(&key, &value);
            }
        }
        pace.tick().await;
    }
}

async fn read(
    mut rows: Subscription,
    book: Book,
    mut dice: Dice,
    slow: bool,
    last: &RwLock<Option<(String, u64)>>,
) -> u64 {
    let mut model = Model::new(book);
    loop {
        let end = last.read().unwrap().clone();
        let at_end = end.is_some() && model.at == end;
        // A frame is whole when the next one begins; the last one, when nothing more comes.
        match timeout(if at_end { QUIET } else { BOUND * 2 }, rows.next()).await {
            Ok(event) => model.take(event.unwrap()),
            Err(_) if at_end => {
                model.check();
                return model.checked;
            }
            Err(_) => panic!("nothing comes, at {:?} of {end:?}", model.at),
        }
        if slow && dice.roll(200) == 0 {
            sleep(Duration::from_millis(dice.roll(60))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_at_a_sequence_is_what_the_node_had_whatever_happens_on_the_way() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let book = Book::default();
    let begin = |epoch: &'static str| {
        let book = book.clone();
        async move {
            let (node, running) = life(epoch).await;
            let history = book.open(epoch);
            history.lock().unwrap().push(("epoch".into(), Some(epoch.into())));
            node.put("epoch", epoch);
            (node, running, history)
        }
    };
    let (node, running, history) = begin("e1").await;
    let target = Arc::new(RwLock::new(running.addr));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap();
    let last = RwLock::new(None);
    let script = async {
        write(&node, &history, 10_000, Duration::from_millis(1_500), &mut dice).await;
        drop(running);
        let mut end = None;
        for epoch in ["e2", "e3"] {
            let (node, running, history) = begin(epoch).await;
            *target.write().unwrap() = running.addr;
            write(&node, &history, 10_000, Duration::from_millis(1_500), &mut dice).await;
            // The last life stays until all have read it.
            end = Some((node, running, history));
        }
        let (node, running, history) = end.unwrap();
        *last.write().unwrap() = Some(("e3".into(), history.lock().unwrap().len() as u64));
        node.ready.store(true, Ordering::SeqCst);
        (node, running)
    };
    let clients = (0..10).map(|n| {
        let (book, last, dice) = (book.clone(), &last, Dice(seed ^ n));
        async move {
            let client = Client::new(&format!("http://{through}"), Auth::Bearer(TOKEN.into())).unwrap();
            read(client.subscribe(&[StreamId::Node]).await.unwrap(), book, dice, n % 3 == 0, last).await
        }
    });
    let run = async { tokio::join!(script, join_all(clients)) };
    let (_alive, checked) = tokio::select! {
        done = timeout(BOUND * 3, run) => done.unwrap(),
        () = proxy(listener, target.clone(), seed) => unreachable!(),
    };
    println!("frames compared per client: {checked:?}");
    assert!(checked.iter().all(|checked| *checked >= 10), "{checked:?}");
}
