//! The server's part of the tree:
//!
//! ```text
//! server            supervisor, rest_for_one, permanent
//! ├─ sessions       dynamic; one temporary worker per WebSocket
//! ├─ listener       worker, permanent: TCP
//! └─ local          worker, permanent: the socket of the node's own user
//! ```
//!
//! The listener dies alone: its connections and sockets stay, and its next incarnation binds the same port.
//! When `sessions` dies its sockets close, the listener is restarted behind it, and clients come back and resume.

use crate::{BindError, ServerConfig, conn, live, live::Closer, shared::Shared};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use std::{
    convert::Infallible,
    fs,
    future::poll_fn,
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use supervisor::{
    Backoff, ChildSpec, DynamicSpec, DynamicSupervisor, Restart, Shutdown, StartError, Strategy, SupFlags,
    Supervisor,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    time::timeout,
};

/// Longer than a socket's goodbye may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// The sockets' supervisor as the listener's requests know it; replaced with every incarnation.
pub(crate) type Sessions = DynamicSupervisor<SessionArgs>;

/// A server that is to be put under a supervisor. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    listen: SocketAddr,
    local: Option<PathBuf>,
    shared: Arc<Shared>,
    bound: Arc<watch::Sender<Option<SocketAddr>>>,
}

impl Server {
    /// Makes a server; it does nothing until it is started.
    pub fn new(config: &ServerConfig) -> Self {
        Self {
            listen: config.listen,
            local: config.local_socket.clone(),
            shared: Arc::new(Shared::new(config)),
            bound: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Specifies the supervisor `server`. When its start returned, [`Self::address`] is known.
    ///
    /// A start that fails because of the address has a [`BindError`] as its cause
    /// (`StartError::downcast_ref::<BindError>()`).
    pub fn child_spec(&self) -> ChildSpec {
        let flags = SupFlags::new(Strategy::RestForOne).intensity(5, Duration::from_secs(30));
        let mut children = vec![self.sessions(), self.listener()];
        children.extend(self.local.clone().map(|path| self.local_listener(path)));
        Supervisor::child_spec("server", flags, children)
    }

    /// Where it listens; `None` before the first start.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.bound.borrow()
    }

    fn sessions(&self) -> ChildSpec {
        let spec = DynamicSpec::new(|ctx, args| async move { ctx.spawn(Session, args).await })
            .configure(|spec| spec.restart(Restart::Temporary));
        let mut spec = DynamicSupervisor::child_spec("sessions", SupFlags::default(), spec);
        let (start, shared) = (Arc::clone(&spec.start), Arc::clone(&self.shared));
        spec.start = Arc::new(move |ctx| {
            let (starting, shared) = (start(ctx), Arc::clone(&shared));
            Box::pin(async move {
                let started = starting.await?;
                shared.set_sessions(started.info::<Sessions>().cloned());
                Ok(started)
            })
        });
        spec
    }

    fn listener(&self) -> ChildSpec {
        let server = self.clone();
        ChildSpec::worker("listener", move |ctx| {
            let server = server.clone();
            async move { ctx.spawn(Listener, server).await }
        })
        // It serves within one endless message, so it can only be killed; there is nothing to clean up.
        .shutdown(Shutdown::BrutalKill)
        .backoff(Backoff::default())
    }
}

impl Server {
    fn local_listener(&self, path: PathBuf) -> ChildSpec {
        let server = self.clone();
        ChildSpec::worker("local", move |ctx| {
            let args = (server.clone(), path.clone());
            async move { ctx.spawn(LocalListener, args).await }
        })
        .shutdown(Shutdown::BrutalKill)
        .backoff(Backoff::default())
    }
}

/// Time to the next attempt when the system has no connection to give, as without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

struct LocalListener;

impl Actor for LocalListener {
    type Msg = ListenerMsg;
    type State = (Server, Option<UnixListener>);
    type Arguments = (Server, PathBuf);

    async fn pre_start(
        &self,
        myself: ActorRef<ListenerMsg>,
        (server, path): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        // Left behind by a node that was killed; the data directory's lock says that there is no other.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        // The credentials of the peer decide; the mode keeps others from even asking.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        myself.cast(ListenerMsg::Serve)?;
        Ok((server, Some(listener)))
    }

    async fn handle(
        &self,
        _: ActorRef<ListenerMsg>,
        ListenerMsg::Serve: ListenerMsg,
        (server, listener): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(listener) = listener.take() else { return Ok(()) };
        let router = conn::routes(&server.shared);
        let accepted = |(stream, _)| conn::accept_local(&server.shared, &router, stream);
        match serve(|cx| listener.poll_accept(cx), accepted).await {}
    }
}

/// Accepts connections without end.
async fn serve<T>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    accepted: impl Fn(T),
) -> Infallible {
    loop {
        match poll_fn(&mut accept).await {
            Ok(connection) => accepted(connection),
            Err(error) => {
                tracing::warn!(%error, "connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

struct Listener;

enum ListenerMsg {
    /// Cast by itself: accept connections without end.
    Serve,
}

impl Actor for Listener {
    type Msg = ListenerMsg;
    type State = (Server, Option<TcpListener>);
    type Arguments = Server;

    async fn pre_start(
        &self,
        myself: ActorRef<ListenerMsg>,
        server: Server,
    ) -> Result<Self::State, ActorProcessingErr> {
        // A restart binds the port that clients know already.
        let listen = server.address().unwrap_or(server.listen);
        let fail = |error: io::Error| StartError::failed(BindError::of(listen, error));
        let listener = TcpListener::bind(listen).await.map_err(fail)?;
        let bound = listener.local_addr().map_err(fail)?;
        server.bound.send_replace(Some(bound));
        myself.cast(ListenerMsg::Serve)?;
        tracing::info!(address = %bound, "listener started");
        Ok((server, Some(listener)))
    }

    async fn handle(
        &self,
        _: ActorRef<ListenerMsg>,
        ListenerMsg::Serve: ListenerMsg,
        (server, listener): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(listener) = listener.take() else { return Ok(()) };
        let router = conn::routes(&server.shared);
        let accepted = |(stream, remote)| conn::accept(&server.shared, &router, stream, remote);
        match serve(|cx| listener.poll_accept(cx), accepted).await {}
    }
}

/// What a session's actor is started with.
#[derive(Clone)]
pub(crate) struct SessionArgs {
    /// Tells the socket to close.
    pub(crate) closer: Arc<Closer>,
    /// Fails when the socket is closed.
    pub(crate) alive: watch::Receiver<()>,
}

/// The socket's place in the tree: it ends with the socket, and its end, however it comes, closes the socket.
///
/// The bytes flow in the connection's own task, so that a stuck client never fills a mailbox.
struct Session;

struct SessionState(SessionArgs);

impl Actor for Session {
    type Msg = ();
    type State = SessionState;
    type Arguments = SessionArgs;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        args: SessionArgs,
    ) -> Result<SessionState, ActorProcessingErr> {
        Ok(SessionState(args))
    }

    async fn post_stop(
        &self,
        _: ActorRef<()>,
        SessionState(args): &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        close(&args.closer);
        // The sender never sends: this ends when the socket's task drops it, or when that takes too long.
        let _ = timeout(FAREWELL, args.alive.changed()).await;
        Ok(())
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        close(&self.0.closer);
    }
}

fn close(closer: &Closer) {
    closer.send_if_modified(|close| {
        let first = close.is_none();
        close.get_or_insert(live::Close::SHUTDOWN);
        first
    });
}

/// Ends a session's actor when the socket's task ends, also by a panic.
pub(crate) struct Ends {
    actor: ActorCell,
    _alive: watch::Sender<()>,
}

impl Ends {
    pub(crate) fn new(actor: ActorCell, alive: watch::Sender<()>) -> Self {
        Self { actor, _alive: alive }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.actor.stop(None);
    }
}
