//! Everything that is open on behalf of a login: sockets and followed logs. A logout closes them.

use crate::Limits;
use protocol::{Scope, close_code};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// By what somebody is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// The token that the node printed, before a password is set.
    Setup,
    /// The node's own user, over the local socket.
    Local,
    /// A login, by its id, and the BLAKE3 of its cookie.
    Session(Arc<str>, [u8; 32]),
    /// An API token, by its id, and its BLAKE3.
    Token(Arc<str>, [u8; 32]),
}

/// Who asks, and what that one may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) scope: Scope,
    /// When it ends at the latest.
    pub(crate) expires_at: Option<u64>,
}

impl Caller {
    /// Somebody who may everything.
    pub(crate) fn admin(identity: Identity) -> Self {
        Self { identity, scope: Scope::Admin, expires_at: None }
    }

    /// Whether a browser adds what proves it by itself, so that a page of another site could use it.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self.identity, Identity::Session(..))
    }

    /// The login's or token's id.
    pub(crate) fn id(&self) -> Option<&str> {
        match &self.identity {
            Identity::Session(id, _) | Identity::Token(id, _) => Some(id),
            Identity::Setup | Identity::Local => None,
        }
    }
}

/// Why the node closes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Close {
    pub(crate) const LOGGED_OUT: Self = Self { code: close_code::UNAUTHENTICATED, reason: "logged out" };
    pub(crate) const REVOKED: Self = Self { code: close_code::UNAUTHENTICATED, reason: "revoked" };
    pub(crate) const RENEW: Self = Self { code: close_code::RESTART, reason: "the login was renewed" };
    pub(crate) const SHUTDOWN: Self = Self { code: close_code::SHUTDOWN, reason: "the node stops" };
}

/// Tells something open to close; kept by whoever may decide so.
pub(crate) type Closer = watch::Sender<Option<Close>>;

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, (Caller, Arc<Closer>)>,
}

/// The register.
#[derive(Debug)]
pub(crate) struct Live {
    open: Mutex<Open>,
    limits: Limits,
}

impl Live {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { open: Mutex::default(), limits }
    }

    /// Admits one more; `None` when there are too many.
    pub(crate) fn admit(self: &Arc<Self>, caller: Caller) -> Option<Ticket> {
        let mut open = self.lock();
        if open.all.len() >= self.limits.open {
            return None;
        }
        // The node's own user and the setup are bounded by the former only.
        if let Some(id) = caller.id() {
            let own = open.all.values().filter(|(other, _)| other.id() == Some(id)).count();
            if own >= self.limits.open_per_login {
                return None;
            }
        }
        let id = open.next;
        open.next += 1;
        let (closer, closed) = watch::channel(None);
        let closer = Arc::new(closer);
        open.all.insert(id, (caller.clone(), Arc::clone(&closer)));
        Some(Ticket { id, caller, closer, closed, live: Arc::clone(self) })
    }

    /// Closes everything of those that are meant.
    pub(crate) fn close(&self, meant: impl Fn(&Caller) -> bool, close: Close) {
        for (_, closer) in self.lock().all.values().filter(|(caller, _)| meant(caller)) {
            closer.send_replace(Some(close));
        }
    }

    /// Closes everything of one login or token.
    pub(crate) fn close_id(&self, id: &str, close: Close) {
        self.close(|caller| caller.id() == Some(id), close);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be open; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    pub(crate) caller: Caller,
    pub(crate) closer: Arc<Closer>,
    pub(crate) closed: watch::Receiver<Option<Close>>,
    live: Arc<Live>,
}

impl Ticket {
    /// A number for names and logs, unique while the node runs.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.live.lock().all.remove(&self.id);
    }
}

/// Resolves when it shall close.
pub(crate) async fn closed(receiver: &mut watch::Receiver<Option<Close>>) -> Close {
    match receiver.wait_for(Option::is_some).await {
        Ok(close) => close.unwrap_or(Close::SHUTDOWN),
        Err(_) => Close::SHUTDOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> Caller {
        Caller::admin(Identity::Session(id.into(), [1; 32]))
    }

    #[test]
    fn tickets_are_limited_per_login_and_in_all_and_come_back() {
        let live = Arc::new(Live::new(Limits::default()));
        let one: Vec<_> = (0..8).map(|_| live.admit(session("a")).unwrap()).collect();
        assert!(live.admit(session("a")).is_none());
        let local = || Caller::admin(Identity::Local);
        let rest: Vec<_> = (0..56).map(|_| live.admit(local()).unwrap()).collect();
        assert!(live.admit(local()).is_none());
        assert!(live.admit(session("b")).is_none());
        drop(one);
        assert!(live.admit(session("a")).is_some());
        drop(rest);
        assert!(live.lock().all.is_empty());
    }

    #[tokio::test]
    async fn closing_reaches_the_login_only() {
        let live = Arc::new(Live::new(Limits::default()));
        let mut gone = live.admit(session("a")).unwrap();
        let stays = live.admit(session("b")).unwrap();
        live.close_id("a", Close::LOGGED_OUT);
        assert_eq!(closed(&mut gone.closed).await, Close::LOGGED_OUT);
        assert_eq!(*stays.closed.borrow(), None);
    }
}
