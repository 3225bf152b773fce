//! A node's face: HTTP, WebSocket and the embedded web UI.
//!
//! It pushes the rows of the node's board to whoever is logged in, and passes commands on.
//! It must never know what an app is, and must never be asked by a page of another site.
//!
//! Start reading at [`Server`], then `routes.rs` for what it answers and `session.rs` for the socket.

mod account;
mod answer;
mod api;
mod auth;
mod confirm;
mod conn;
mod docs;
mod facts;
mod flow;
mod frame;
mod frames;
mod host;
mod http;
mod limiter;
mod live;
mod login;
mod node;
mod password;
mod prometheus;
mod rate;
mod routes;
mod secret;
mod session;
mod shared;
mod stats;
mod tls;
mod totp;
mod tree;
mod ui;
mod ws;

pub use node::{LogLines, NodeApi};
pub use tls::{Tls, TlsError};
pub use tree::Server;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

/// What a server is started with.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The node behind it.
    pub node: Arc<dyn NodeApi>,
    /// BLAKE3 of the token that the node printed; it is good until a password is set.
    pub setup_token_hash: [u8; 32],
    /// Names without port under which the node is reached, beside `localhost` and its addresses.
    pub allowed_hosts: Vec<String>,
    /// Where to listen for the node's own user; absent, there is no such socket.
    pub local_socket: Option<PathBuf>,
    /// What connections over TCP are encrypted with; absent, they are not.
    pub tls: Option<Tls>,
    /// How many may be connected.
    pub limits: Limits,
}

/// How many may be connected at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open sockets and followed logs in all.
    pub open: usize,
    /// Of these, for one login or token; the node's own user is bounded by the former only.
    pub open_per_login: usize,
    /// Connections in all; one address gets half of them at most.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open: 64, open_per_login: 8, connections: 4_096 }
    }
}

/// Why the server could not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there: stop it, or give another address.
    #[error("address in use: {0}; stop what listens there, or give another address")]
    AddressInUse(SocketAddr),
    /// The address belongs to no interface of this machine: give one of its own.
    #[error("{0} is no address of this machine; listen on 127.0.0.1, or on 0.0.0.0 for all of them")]
    NotOurs(SocketAddr),
    /// Ports under 1024 need a privilege: give a higher one.
    #[error("{0} is not permitted; give a port from 1024 on")]
    NotPermitted(SocketAddr),
    /// The system says why not.
    #[error("cannot listen on {listen}")]
    Other {
        /// Where.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn of(listen: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse(listen),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(listen),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(listen),
            _ => Self::Other { listen, source },
        }
    }
}

/// What cargo-fuzz reaches beside the public interface; see `tests/fuzz`.
#[cfg(fuzzing)]
#[expect(missing_docs, reason = "not part of the interface")]
pub mod fuzz {
    pub fn cookies(headers: &axum::http::HeaderMap, tls: bool) -> usize {
        crate::auth::cookies(headers, tls).len()
    }
}

#[cfg(test)]
mod tests;
