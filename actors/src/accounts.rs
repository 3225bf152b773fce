//! Who may use the node: what is kept of the owner, logins, tokens and failed attempts.
//!
//! It keeps and finds; what the numbers mean is decided by the server.

use crate::store::{Store, StoreError};
use protocol::Scope;

/// The owner. There is one.
#[derive(Clone, Default)]
pub struct Owner {
    /// The password's hash as PHC string; absent before the setup.
    pub password: Option<String>,
    /// The second factor's secret in Base32, where it is on.
    pub totp: Option<String>,
    /// A secret that was shown and not confirmed yet.
    pub totp_pending: Option<String>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Id, which is no secret.
    pub id: String,
    /// When it began.
    pub created_at: u64,
    /// When it was last used, to the minute.
    pub seen_at: u64,
    /// When it ends at the latest.
    pub expires_at: u64,
    /// Where it was begun from.
    pub address: String,
    /// With what it was begun.
    pub agent: String,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Id, which is no secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: u64,
    /// When it was last used, to the minute.
    pub used_at: Option<u64>,
    /// When it ends.
    pub expires_at: Option<u64>,
}

/// What is remembered of a source of logins. Times are milliseconds of the wall clock, so that it outlives a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failures that count.
    pub failures: u32,
    /// The last attempt.
    pub last: u64,
    /// No attempt before this.
    pub until: u64,
    /// It has logged in before and is remembered for it until then.
    pub trusted_until: u64,
}

/// The accounts of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
    /// Keeps the store of a test alive.
    #[cfg(any(test, feature = "testing"))]
    _dir: Option<std::sync::Arc<tempfile::TempDir>>,
}

/// Every method fails when the store is away or refuses.
#[expect(clippy::missing_errors_doc, reason = "all for the same reason, told above")]
impl Accounts {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            #[cfg(any(test, feature = "testing"))]
            _dir: None,
        }
    }

    /// Accounts over a store of their own in a temporary folder, for tests without a node.
    #[cfg(any(test, feature = "testing"))]
    #[expect(clippy::unwrap_used, reason = "for tests only")]
    pub async fn for_test() -> Self {
        use crate::{
            names::Names,
            store::{StoreActor, StoreArgs},
        };
        let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let names = Names::default();
        let args = StoreArgs { dir: dir.path().to_owned(), names: names.clone() };
        ractor::Actor::spawn(None, StoreActor, args).await.unwrap();
        Self { store: Store::new(names), _dir: Some(dir) }
    }

    /// The owner.
    pub async fn owner(&self) -> Result<Owner, StoreError> {
        self.store.owner().await
    }

    /// Sets the password's hash; with `first` only where there is none. Says whether it did.
    pub async fn set_password(&self, hash: String, first: bool) -> Result<bool, StoreError> {
        self.store.set_password(hash, first).await
    }

    /// Sets the second factor's secret and the one that waits for its confirmation.
    pub async fn set_totp(&self, on: Option<String>, pending: Option<String>) -> Result<(), StoreError> {
        self.store.set_totp(on, pending).await
    }

    /// Uses up a step of the second factor. Says whether it was unused.
    pub async fn use_totp_step(&self, step: u64) -> Result<bool, StoreError> {
        self.store.use_totp_step(step).await
    }

    /// Records a login by the hash of its cookie, and forgets those that have ended.
    pub async fn create_session(
        &self,
        hash: [u8; 32],
        session: Session,
        idle_ms: u64,
    ) -> Result<(), StoreError> {
        self.store.create_session(hash, session, idle_ms).await
    }

    /// The login of a cookie's hash, unless it has ended or was unused for `idle_ms`; notes that it was used.
    pub async fn session(
        &self,
        hash: [u8; 32],
        now: u64,
        idle_ms: u64,
    ) -> Result<Option<Session>, StoreError> {
        self.store.session(hash, now, idle_ms).await
    }

    /// All logins that have not ended, newest first.
    pub async fn sessions(&self, now: u64, idle_ms: u64) -> Result<Vec<Session>, StoreError> {
        self.store.sessions(now, idle_ms).await
    }

    /// Ends a login. Says whether there was one.
    pub async fn delete_session(&self, id: &str) -> Result<bool, StoreError> {
        self.store.delete_session(id.into()).await
    }

    /// Ends all logins but one, and tells which.
    pub async fn delete_sessions_but(&self, keep: Option<&str>) -> Result<Vec<String>, StoreError> {
        self.store.delete_sessions_but(keep.map(str::to_owned)).await
    }

    /// Records a token by its hash.
    pub async fn create_token(&self, hash: [u8; 32], token: Token) -> Result<(), StoreError> {
        self.store.create_token(hash, token).await
    }

    /// The token of a hash, unless it has ended; notes that it was used.
    pub async fn token(&self, hash: [u8; 32], now: u64) -> Result<Option<Token>, StoreError> {
        self.store.token(hash, now).await
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.store.tokens().await
    }

    /// Ends a token. Says whether there was one.
    pub async fn delete_token(&self, id: &str) -> Result<bool, StoreError> {
        self.store.delete_token(id.into()).await
    }

    /// Changes what is remembered of some sources of logins in one step.
    pub async fn attempts<T: Send + 'static>(
        &self,
        sources: Vec<String>,
        change: impl FnOnce(&mut [Attempts]) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.attempts(sources, change).await
    }
}

#[cfg(test)]
mod tests;
