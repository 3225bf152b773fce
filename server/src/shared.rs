//! What all requests share. It outlives incarnations of the listener, and so do the open sockets.

use crate::{
    NodeApi, ServerConfig, confirm::Confirmations, conn::Connections, frames::Frames, host::HostPolicy,
    live::Live, rate::Rates, session::Context, stats::Stats, tree::Sessions,
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Shared {
    pub(crate) node: Arc<dyn NodeApi>,
    /// BLAKE3 of the token that the node printed; good until a password is set.
    pub(crate) setup_token: blake3::Hash,
    pub(crate) hosts: HostPolicy,
    pub(crate) live: Arc<Live>,
    pub(crate) frames: Arc<Frames>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) connections: Connections,
    pub(crate) commands: Rates,
    pub(crate) confirmations: Confirmations,
    pub(crate) tls: Option<TlsAcceptor>,
    /// The user that the node runs as, who may use the local socket.
    pub(crate) uid: u32,
    sessions: RwLock<Option<Sessions>>,
}

impl Shared {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            node: Arc::clone(&config.node),
            setup_token: config.setup_token_hash.into(),
            hosts: HostPolicy::new(&config.allowed_hosts),
            live: Arc::new(Live::new(config.limits)),
            frames: Arc::default(),
            stats: Arc::default(),
            connections: Connections::new(config.limits.connections),
            commands: Rates::default(),
            confirmations: Confirmations::default(),
            tls: config.tls.as_ref().map(crate::Tls::acceptor),
            uid: rustix::process::geteuid().as_raw(),
            sessions: RwLock::default(),
        }
    }

    /// What sockets need.
    pub(crate) fn context(&self) -> Context {
        Context {
            node: Arc::clone(&self.node),
            frames: Arc::clone(&self.frames),
            stats: Arc::clone(&self.stats),
        }
    }

    /// The supervisor of sockets that runs now.
    pub(crate) fn sessions(&self) -> Option<Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_sessions(&self, sessions: Option<Sessions>) {
        *self.sessions.write().unwrap_or_else(PoisonError::into_inner) = sessions;
    }
}
