//! One WebSocket: feeds a client from the board.
//!
//! It holds no queue: what a client gets next is computed from its cursor when its window opens, so a client that
//! reads slowly or never costs nothing but its socket.

mod inbound;
mod log;

use crate::{
    NodeApi, auth,
    flow::{Flow, Gate},
    frame,
    frames::{self, Frames, Fresh},
    live::{Caller, Close, closed},
    rate::Rate,
    stats::{self, Stats},
};
use actors::Wanted;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use futures_util::{
    Sink, SinkExt, Stream, StreamExt,
    future::{BoxFuture, select_all},
};
use log::{Ended, Log};
use protocol::{
    ErrorCode, PROTOCOL_VERSION, Resume, ServerMsg, SnapshotReason, StreamId, StreamName, SubStream,
    close_code, feature,
};
use std::{
    collections::BTreeMap,
    future::pending,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// Past entries of a journal that come without being asked for.
const TAIL: u32 = 200;
/// Most past entries.
const MAX_TAIL: u32 = 1_000;
/// What `hello` asks of clients.
const PING_MS: u32 = 15_000;
/// Without any frame for so long a mark is sent.
const MARK: Duration = Duration::from_secs(10);
/// How often the node pings, so that clients that only answer stay alive.
const PING: Duration = Duration::from_secs(20);
/// Without any sign of the client for so long it is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long one frame may take to leave.
const SEND: Duration = Duration::from_secs(20);
/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// While the node is not ready, how often to look whether it is: readiness is no stream.
const READY: Duration = Duration::from_millis(250);

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The client left or the connection broke.
    Gone,
    /// The node closes it.
    Close { code: u16, reason: String },
}

impl End {
    fn close(code: u16, reason: impl Into<String>) -> Self {
        Self::Close { code, reason: reason.into() }
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::close(close.code, close.reason)
    }
}

/// What sessions share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) node: Arc<dyn NodeApi>,
    pub(crate) frames: Arc<Frames>,
    pub(crate) stats: Arc<Stats>,
}

/// Serves a connection until it ends, and says goodbye.
pub(crate) async fn run<R, W, E>(
    mut reader: R,
    writer: W,
    context: Context,
    caller: Caller,
    closing: watch::Receiver<Option<Close>>,
) -> End
where
    R: Stream<Item = Result<Message, E>> + Unpin,
    W: Sink<Message, Error = E> + Unpin,
    E: std::error::Error,
{
    let now = Instant::now();
    let mut session = Session {
        writer,
        _counted: (context.frames.client(), context.stats.socket()),
        context,
        caller,
        closing,
        flow: Flow::default(),
        feeds: BTreeMap::new(),
        waiting: BTreeMap::new(),
        rate: Rate::new(inbound::PER_SECOND, now),
        behind: None,
        last_out: now,
        last_in: now,
        next_ping: now + PING,
        alarm: Box::pin(sleep_until(now + MARK)),
    };
    let Err(end) = session.serve(&mut reader).await;
    if let End::Close { code, reason } = &end {
        let _ = timeout(FAREWELL, session.farewell(*code, reason)).await;
    }
    end
}

/// Where a subscribed stream comes from.
enum Feed {
    Rows { stream: StreamId, head: watch::Receiver<u64>, _wanted: Option<Wanted> },
    Events(watch::Receiver<u64>),
    Log(Box<Log>),
}

struct Session<W> {
    writer: W,
    context: Context,
    caller: Caller,
    closing: watch::Receiver<Option<Close>>,
    flow: Flow,
    feeds: BTreeMap<StreamName, Feed>,
    /// Subscriptions that wait until the node is ready.
    waiting: BTreeMap<StreamName, SubStream>,
    rate: Rate,
    /// Since when something has moved that this client has not been sent.
    behind: Option<Instant>,
    last_out: Instant,
    last_in: Instant,
    next_ping: Instant,
    /// Rings at the latest when something is due although nothing happens.
    alarm: Pin<Box<Sleep>>,
    _counted: (frames::Client, stats::Socket),
}

impl<W, E> Session<W>
where
    W: Sink<Message, Error = E> + Unpin,
    E: std::error::Error,
{
    async fn serve<R>(&mut self, reader: &mut R) -> Result<std::convert::Infallible, End>
    where
        R: Stream<Item = Result<Message, E>> + Unpin,
    {
        let hello = self.hello();
        self.send(frame::plain(&hello)).await?;
        loop {
            self.flush().await?;
            let wake = self.wake_at();
            // Too early does no harm, so it is not set anew for every frame.
            if wake < self.alarm.deadline() || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                close = closed(&mut self.closing) => return Err(close.into()),
                msg = reader.next() => self.inbound(msg).await?,
                () = moved(&mut self.feeds, &self.flow) => {}
                () = &mut self.alarm => self.tick().await?,
            }
        }
    }

    fn hello(&self) -> ServerMsg {
        let board = self.context.node.board();
        let mut features = vec![feature::EVENTS, feature::LOGS, feature::TUNE];
        if board.is_measured() {
            features.push(feature::METRICS);
        }
        ServerMsg::Hello {
            proto: PROTOCOL_VERSION,
            server: concat!("archipelago ", env!("CARGO_PKG_VERSION")).to_owned(),
            epoch: board.epoch().to_owned(),
            now_ms: now_ms(),
            ping_ms: PING_MS,
            session_expires_ms: self.caller.expires_at,
            features: features.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Sends what moved, as far as the client's windows are open.
    async fn flush(&mut self) -> Result<(), End> {
        if !self.waiting.is_empty() && self.context.node.is_ready() {
            for sub in std::mem::take(&mut self.waiting).into_values() {
                if self.begin(0, sub).await? {
                    self.mark().await?;
                }
            }
        }
        let names: Vec<StreamName> = self.feeds.keys().cloned().collect();
        for name in names {
            match self.feeds.get_mut(&name) {
                Some(Feed::Rows { stream, head, .. }) => {
                    let (stream, head) = (*stream, *head.borrow_and_update());
                    self.flush_rows(&name, stream, head).await?;
                }
                Some(Feed::Events(head)) => {
                    let head = *head.borrow_and_update();
                    self.flush_events(&name, head).await?;
                }
                Some(Feed::Log(_)) => self.flush_log(&name).await?,
                None => {}
            }
        }
        Ok(())
    }

    fn is_open(&self, name: &StreamName) -> bool {
        self.flow.gate(name, Instant::now()) == Gate::Open
    }

    async fn flush_rows(&mut self, name: &StreamName, stream: StreamId, head: u64) -> Result<(), End> {
        let Some(sent) = self.flow.sent_of(name).filter(|sent| *sent != head) else { return Ok(()) };
        let now = Instant::now();
        let behind = *self.behind.get_or_insert(now);
        if !self.is_open(name) {
            return Ok(());
        }
        match self.context.frames.delta(self.context.node.board(), stream, sent, now) {
            Fresh::Frame(seq, text) => {
                self.send(text).await?;
                self.flow.record(name, seq, Instant::now());
                self.context.stats.lag(behind.elapsed());
                self.behind = None;
            }
            Fresh::At(at) => self.flow.hold(name, at),
            // Too old to resume from, or too much for a frame.
            Fresh::Gap => self.snapshot(stream, SnapshotReason::Gap).await?,
        }
        Ok(())
    }

    async fn flush_events(&mut self, name: &StreamName, head: u64) -> Result<(), End> {
        let Some(sent) = self.flow.sent_of(name).filter(|sent| *sent != head) else { return Ok(()) };
        if self.is_open(name) {
            let run = self.context.node.board().journal().since(sent, frame::MAX_ENTRIES);
            let text = frame::entries(name, sent, run.seq, run.dropped, run.items.iter());
            self.send(text).await?;
            self.flow.record(name, run.seq, Instant::now());
        }
        Ok(())
    }

    async fn flush_log(&mut self, name: &StreamName) -> Result<(), End> {
        if !self.is_open(name) {
            return Ok(());
        }
        let Some(Feed::Log(log)) = self.feeds.get_mut(name) else { return Ok(()) };
        if let Some(batch) = log.take(frame::MAX_ENTRIES) {
            let text = frame::entries(name, batch.from, batch.seq, batch.dropped, batch.items.iter());
            self.send(text).await?;
            self.flow.record(name, batch.seq, Instant::now());
            return Ok(());
        }
        let Some(ended) = log.ended() else { return Ok(()) };
        let (code, message, retryable) = match ended {
            Ended::Over => ("log_ended".to_owned(), format!("{name} has ended"), true),
            Ended::Failed(error) => {
                let retryable = error.code == ErrorCode::Unavailable;
                (frame::word(&error.code), error.message.clone(), retryable)
            }
        };
        let error = ServerMsg::Error { r#ref: Some(log.reference), code, message, retryable };
        self.unsubscribe(name);
        self.send(frame::plain(&error)).await
    }

    /// Begins a stream where the client left off, or anew. Tells whether the client had everything already.
    async fn begin(&mut self, reference: u32, sub: SubStream) -> Result<bool, End> {
        let SubStream { stream: name, resume, tail } = sub;
        let tail = tail.unwrap_or(TAIL).min(MAX_TAIL);
        match &name {
            StreamName::Rows(stream) => return self.begin_rows(*stream, resume).await,
            StreamName::Events => {
                let board = self.context.node.board();
                let head = board.journal().watch();
                let known = resume.map(|resume| resume.seq).filter(|seq| *seq <= board.journal().head());
                let last = || board.journal().before_last(usize::try_from(tail).unwrap_or(usize::MAX));
                let from = known.unwrap_or_else(last);
                let current = from == *head.borrow();
                self.feeds.insert(name.clone(), Feed::Events(head));
                self.flow.subscribe(name, from);
                return Ok(current);
            }
            StreamName::Logs(app, service) => {
                let node = Arc::clone(&self.context.node);
                let log = Log::new(node, app.clone(), service.clone(), tail, reference);
                self.feeds.insert(name.clone(), Feed::Log(Box::new(log)));
            }
        }
        self.flow.subscribe(name, 0);
        Ok(false)
    }

    async fn begin_rows(&mut self, stream: StreamId, resume: Option<Resume>) -> Result<bool, End> {
        let board = Arc::clone(self.context.node.board());
        let wanted = (stream == StreamId::Metrics).then(|| board.want_metrics());
        // Watched before it is read, so that no change falls in between.
        let head = board.watch(stream);
        self.feeds.insert(stream.into(), Feed::Rows { stream, head, _wanted: wanted });
        let reason = match resume {
            None => SnapshotReason::Initial,
            Some(resume) if resume.epoch != board.epoch() => SnapshotReason::Epoch,
            Some(resume) => match board.delta(stream, resume.seq) {
                Some((seq, _)) => {
                    self.flow.subscribe(stream.into(), resume.seq);
                    return Ok(seq == resume.seq);
                }
                None => SnapshotReason::Gap,
            },
        };
        self.flow.subscribe(stream.into(), 0);
        self.snapshot(stream, reason).await?;
        Ok(false)
    }

    async fn snapshot(&mut self, stream: StreamId, reason: SnapshotReason) -> Result<(), End> {
        let (seq, parts) = self.context.frames.snapshot(self.context.node.board(), stream, reason);
        for part in parts.iter() {
            self.send(part.clone()).await?;
        }
        self.flow.record(&stream.into(), seq, Instant::now());
        self.behind = None;
        Ok(())
    }

    async fn mark(&mut self) -> Result<(), End> {
        let mark = ServerMsg::Mark { streams: self.flow.sent(), now_ms: now_ms() };
        self.send(frame::plain(&mark)).await
    }

    /// When to wake although nothing happens.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let mut wake = self.next_ping.min(self.last_out + MARK).min(self.last_in + SILENCE);
        if let Some(due) = self.flow.ack_due() {
            wake = wake.min(due);
        }
        if !self.waiting.is_empty() {
            wake = wake.min(now + READY);
        }
        wake
    }

    async fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if now >= self.last_in + SILENCE {
            return Err(End::close(close_code::HEARTBEAT, "no sign of life for 60 s"));
        }
        if self.flow.ack_due().is_some_and(|due| now >= due) {
            return Err(End::close(close_code::TOO_SLOW, "nothing was acked for 30 s"));
        }
        if now >= self.next_ping {
            self.next_ping = now + PING;
            self.check_login().await?;
            self.write(Message::Ping(Vec::new().into())).await?;
        }
        if now >= self.last_out + MARK {
            self.mark().await?;
        }
        Ok(())
    }

    /// A login may expire while its socket is open. A store that does not answer ends nobody's session.
    async fn check_login(&mut self) -> Result<(), End> {
        let accounts = self.context.node.accounts();
        let valid = auth::still_valid(&accounts, &self.caller);
        if let Ok(Ok(false)) = timeout(FAREWELL, valid).await {
            return Err(End::close(close_code::UNAUTHENTICATED, "the login has ended"));
        }
        Ok(())
    }

    async fn send(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), End> {
        let text = text.into();
        self.context.stats.frame(text.len());
        self.write(Message::Text(text)).await?;
        self.last_out = Instant::now();
        Ok(())
    }

    /// Writes with a deadline; a close does not wait for a stuck client.
    async fn write(&mut self, msg: Message) -> Result<(), End> {
        tokio::select! {
            biased;
            sent = timeout(SEND, self.writer.send(msg)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::close(close_code::TOO_SLOW, "nothing was read for 20 s")),
            },
            close = closed(&mut self.closing) => Err(close.into()),
        }
    }

    async fn farewell(&mut self, code: u16, reason: &str) -> Result<(), E> {
        let bye = ServerMsg::Bye { code, reason: reason.into(), retry_after_ms: None };
        self.writer.send(Message::Text(frame::plain(&bye).into())).await?;
        self.writer.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
        self.writer.close().await
    }
}

/// Resolves when a stream moves whose window is open, or when a window opens.
async fn moved(feeds: &mut BTreeMap<StreamName, Feed>, flow: &Flow) {
    let now = Instant::now();
    let mut opens: Option<Instant> = None;
    let mut changes: Vec<BoxFuture<'_, ()>> = Vec::new();
    for (name, feed) in feeds {
        let gate = flow.gate(name, now);
        let head = match feed {
            Feed::Rows { head, .. } | Feed::Events(head) => head,
            Feed::Log(log) => {
                if let Gate::At(at) = gate
                    && (log.has_lines() || log.ended().is_some())
                {
                    opens = Some(opens.map_or(at, |opens| opens.min(at)));
                }
                // Read also while the window is shut: a log that is not read would only grow elsewhere.
                changes.push(Box::pin(log.fill()));
                continue;
            }
        };
        match gate {
            // Comes with an ack, which is inbound.
            Gate::Ack => {}
            // In a busy stream, a change before that would wake it for nothing.
            Gate::At(at) => opens = Some(opens.map_or(at, |opens| opens.min(at))),
            // What has moved since it was last looked at resolves at once.
            Gate::Open => changes.push(Box::pin(async {
                if head.changed().await.is_err() {
                    // The board is gone: nothing will ever move again.
                    pending().await
                }
            })),
        }
    }
    let opens = async {
        match opens {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    };
    let change = async {
        if changes.is_empty() {
            return pending().await;
        }
        select_all(changes).await;
    };
    tokio::select! {
        () = opens => {}
        () = change => {}
    }
}

/// The node's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
