//! Connections: where they come from, and how long they may take to say what they want.

use crate::{http, shared::Shared};
use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// How long the head of a request may take, and a connection may wait for the next one.
const HEAD: Duration = Duration::from_secs(5);
/// How long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Largest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// Most header lines.
const MAX_HEADERS: usize = 64;

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// TCP, plain.
    Plain,
    /// TCP with TLS.
    Tls,
    /// The local socket, by the node's own user.
    Local,
}

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) remote: IpAddr,
    pub(crate) local: SocketAddr,
    pub(crate) via: Via,
    /// Whether it is from a container of this node, which has no business here.
    pub(crate) inside: bool,
}

impl Peer {
    fn tcp(stream: &TcpStream, remote: SocketAddr, via: Via) -> Self {
        // A connection without an own address is about to break; port 0 matches no host.
        let local = stream.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { remote: remote.ip().to_canonical(), local, via, inside: false }
    }

    /// The local socket counts as loopback; its requests name the host `localhost`.
    fn local() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { remote: ip, local: SocketAddr::new(ip, 80), via: Via::Local, inside: false }
    }

    /// Whether an address is this machine's own, as far as this connection tells.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        ip.to_canonical().is_loopback() || ip.to_canonical() == self.local.ip().to_canonical()
    }
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// All connections. They outlive the listener that accepted them, and end with the server.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Arc<Mutex<Open>>,
    tasks: Mutex<JoinSet<()>>,
    max: usize,
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Mutex<Open>>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(count) = open.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
    }
}

impl Connections {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: Arc::default(), tasks: Mutex::default(), max }
    }

    /// Takes a place, unless there are too many; one address gets half of them at most.
    fn place(&self, ip: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.by_ip.get(&ip).copied().unwrap_or(0);
        if open.all >= self.max || own >= self.max.div_ceil(2) {
            return None;
        }
        open.all += 1;
        *open.by_ip.entry(ip).or_default() += 1;
        drop(open);
        Some(Place { open: Arc::clone(&self.open), ip })
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What has ended makes room.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

/// Serves a connection over TCP; one too many is closed at once.
pub(crate) fn accept(shared: &Arc<Shared>, router: &Router, stream: TcpStream, remote: SocketAddr) {
    let Some(place) = shared.connections.place(remote.ip().to_canonical()) else { return };
    // A connection that cannot be told so is only slower: a row must not wait for the ack of the one before it.
    let _ = stream.set_nodelay(true);
    let tls = shared.tls.clone();
    let via = if tls.is_some() { Via::Tls } else { Via::Plain };
    let (mut peer, router, node) =
        (Peer::tcp(&stream, remote, via), router.clone(), Arc::clone(&shared.node));
    shared.connections.spawn(async move {
        let _place = place;
        let local = peer.local;
        let looked = spawn_blocking(move || node.is_from_containers(remote, local)).await;
        // The task fails only while the node ends.
        peer.inside = looked.unwrap_or(true);
        match tls {
            None => serve(stream, peer, router).await,
            Some(tls) => handshake(tls, stream, peer, router).await,
        }
    });
}

async fn handshake(tls: TlsAcceptor, stream: TcpStream, peer: Peer, router: Router) {
    // Who speaks no TLS, or too slowly, hears nothing.
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
        serve(stream, peer, router).await;
    }
}

/// Serves a connection over the local socket, if it is of the node's own user or of root.
pub(crate) fn accept_local(shared: &Arc<Shared>, router: &Router, stream: UnixStream) {
    let uid = stream.peer_cred().map(|cred| cred.uid());
    if !matches!(uid, Ok(uid) if uid == 0 || uid == shared.uid) {
        tracing::warn!(?uid, "local connection of another user refused");
        return;
    }
    let peer = Peer::local();
    let Some(place) = shared.connections.place(peer.remote) else { return };
    let router = router.clone();
    shared.connections.spawn(async move {
        let _place = place;
        serve(stream, peer, router).await;
    });
}

async fn serve<S>(stream: S, peer: Peer, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "connection ended");
    }
}

/// The routes, made once per listener.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    http::router(Arc::clone(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_half_of_the_places_at_most() {
        let connections = Connections::new(4);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first: Vec<_> = (0..2).map(|_| connections.place(one).unwrap()).collect();
        assert!(connections.place(one).is_none());
        let second: Vec<_> = (0..2).map(|_| connections.place(other).unwrap()).collect();
        assert!(connections.place(IpAddr::from([10, 0, 0, 3])).is_none(), "all are taken");
        drop((first, second));
        assert!(connections.open.lock().unwrap().by_ip.is_empty());
        assert!(connections.place(one).is_some());
    }
}
