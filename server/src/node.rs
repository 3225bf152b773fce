//! What the server needs of a node.

use actors::{Accounts, Board, Counters, EventDraft, Icon, LogLine};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use protocol::{
    ApiError, AppFacts, AppId, BackupView, Command, CommandAccepted, EventPage, Plan, SecretAccepted,
    SecretView, ServiceName,
};
use std::{net::SocketAddr, sync::Arc};

/// Lines of a container's log, each without its end.
pub type LogLines = BoxStream<'static, Result<LogLine, ApiError>>;

/// The node behind the server. `actors::NodeHandle` is the real one; tests have their own.
#[async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// The read model that clients are fed from.
    fn board(&self) -> &Arc<Board>;
    /// Whether the rows of the stream `apps` are published; before that an empty list would be a lie.
    fn is_ready(&self) -> bool;
    /// Records and starts an operation; the same key with the same command is the same operation.
    async fn submit(
        &self,
        command: Command,
        idempotency_key: Option<String>,
    ) -> Result<CommandAccepted, ApiError>;
    /// The log of a container.
    async fn logs(
        &self,
        app: &AppId,
        service: &ServiceName,
        tail: u32,
        follow: bool,
    ) -> Result<LogLines, ApiError>;
    /// The secrets that an app asks its owner for.
    async fn secrets(&self, app: &AppId) -> Result<Vec<SecretView>, ApiError>;
    /// Gives an app a secret.
    async fn set_secret(&self, app: &AppId, name: &str, value: &str) -> Result<SecretAccepted, ApiError>;
    /// What is known of an app beside its row.
    async fn facts(&self, app: &AppId) -> Result<AppFacts, ApiError>;
    /// The icon of an app.
    async fn icon(&self, app: &AppId) -> Result<Icon, ApiError>;
    /// The owner, logins, tokens and failed attempts.
    fn accounts(&self) -> Accounts;
    /// Puts an event into the journal.
    fn record(&self, event: EventDraft);
    /// What has been counted since the start.
    fn counters(&self) -> Counters;
    /// A page of the journal, newest first.
    async fn events(
        &self,
        before: Option<u64>,
        app: Option<AppId>,
        limit: u32,
    ) -> Result<EventPage, ApiError>;
    /// Whether a connection that was accepted on `local` comes from a container of the node's.
    fn is_from_containers(&self, remote: SocketAddr, local: SocketAddr) -> bool;
    /// The backups of an app, or of all, oldest first.
    async fn backups(&self, app: Option<&AppId>) -> Result<Vec<BackupView>, ApiError>;
    /// What a command would destroy; `None` for one that needs no confirmation.
    async fn plan(&self, command: &Command) -> Result<Option<Plan>, ApiError>;
}

#[async_trait]
impl NodeApi for actors::NodeHandle {
    fn board(&self) -> &Arc<Board> {
        Self::board(self)
    }
    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }
    async fn submit(
        &self,
        command: Command,
        idempotency_key: Option<String>,
    ) -> Result<CommandAccepted, ApiError> {
        Self::submit(self, command, idempotency_key).await
    }
    async fn logs(
        &self,
        app: &AppId,
        service: &ServiceName,
        tail: u32,
        follow: bool,
    ) -> Result<LogLines, ApiError> {
        Self::logs(self, app, service, tail, follow).await
    }
    async fn secrets(&self, app: &AppId) -> Result<Vec<SecretView>, ApiError> {
        Self::secrets(self, app).await
    }
    async fn set_secret(&self, app: &AppId, name: &str, value: &str) -> Result<SecretAccepted, ApiError> {
        Self::set_secret(self, app, name, value).await
    }
    async fn facts(&self, app: &AppId) -> Result<AppFacts, ApiError> {
        Self::facts(self, app).await
    }
    async fn icon(&self, app: &AppId) -> Result<Icon, ApiError> {
        Self::icon(self, app).await
    }
    fn accounts(&self) -> Accounts {
        Self::accounts(self)
    }
    fn record(&self, event: EventDraft) {
        Self::record(self, event);
    }
    fn counters(&self) -> Counters {
        Self::counters(self).clone()
    }
    async fn events(
        &self,
        before: Option<u64>,
        app: Option<AppId>,
        limit: u32,
    ) -> Result<EventPage, ApiError> {
        Self::events(self, before, app, limit).await
    }
    fn is_from_containers(&self, remote: SocketAddr, local: SocketAddr) -> bool {
        Self::is_from_containers(remote, local)
    }
    async fn backups(&self, app: Option<&AppId>) -> Result<Vec<BackupView>, ApiError> {
        Self::backups(self, app).await
    }
    async fn plan(&self, command: &Command) -> Result<Option<Plan>, ApiError> {
        Self::plan(self, command).await
    }
}
