//! The store: SQLite, one writer.
//!
//! Parent: node, permanent. Children: none.
//! Invariant: what a caller was told is written is on the disk (WAL, full sync).
//! A database that cannot be opened is set aside under a dated name and never deleted.

mod account;
mod apps;
mod backups;
mod event;
mod ops;
mod schema;

pub(crate) use apps::AppRow;
pub(crate) use ops::KEPT;

use crate::names::{Names, name};
use ractor::{Actor, ActorProcessingErr, ActorRef, MessagingErr, RpcReplyPort};
use rusqlite::Connection;
use std::{path::PathBuf, time::Duration};

/// Time between two attempts to reach a store that is being restarted.
const RETRY: Duration = Duration::from_millis(20);
/// Longest wait for an answer of the store.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is being restarted. Remedy: try again.
    #[error("the store does not answer")]
    Away,
    /// SQLite refuses. Remedy: see the cause; a full disk is the usual one.
    #[error("the database refuses {what}")]
    Database {
        /// The step.
        what: &'static str,
        /// Cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The database is newer than this node. Remedy: run the newer node.
    #[error("the database has schema {found}, this node knows up to {known}")]
    Newer {
        /// Version in the file.
        found: u32,
        /// Version of this node.
        known: u32,
    },
    /// A row cannot be read. Remedy: report it with the row.
    #[error("a row of {table} cannot be read")]
    Row {
        /// Table.
        table: &'static str,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Names the step of a database error.
fn at(what: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError::Database { what, source }
}

type Query = Box<dyn FnOnce(&mut Connection) + Send>;

/// Messages of the store.
pub(crate) enum StoreMsg {
    /// Cast: run this; it answers by itself.
    Run(Query),
}

/// A typed front to the store actor. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    names: Names,
}

impl Store {
    /// The store of a node.
    pub(crate) fn new(names: Names) -> Self {
        Self { names }
    }

    /// Runs a query in the store and waits for its answer.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = ractor::concurrency::oneshot();
        let port: RpcReplyPort<Result<T, StoreError>> = answer.into();
        let run: Query = Box::new(move |connection| {
            // Nobody waits any more: the caller gave up.
            let _ = port.send(query(connection));
        });
        let ask = async {
            self.send(StoreMsg::Run(run)).await;
            // A store that fails in the middle of a query leaves open whether it was carried out.
            answered.await.unwrap_or(Err(StoreError::Away))
        };
        tokio::time::timeout(DEADLINE, ask).await.unwrap_or(Err(StoreError::Away))
    }

    /// Sends to the store, as soon as there is one.
    async fn send(&self, mut message: StoreMsg) {
        loop {
            if let Some(actor) = self.names.find::<StoreMsg>(name::STORE) {
                match actor.cast(message) {
                    Err(MessagingErr::SendErr(back)) => message = back,
                    Ok(()) | Err(_) => return,
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Arguments of the store.
#[derive(Clone)]
pub(crate) struct StoreArgs {
    /// Folder of the database.
    pub(crate) dir: PathBuf,
    /// Names of the node.
    pub(crate) names: Names,
}

/// The actor.
pub(crate) struct StoreActor;

impl Actor for StoreActor {
    type Msg = StoreMsg;
    type State = Option<Connection>;
    type Arguments = StoreArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<StoreMsg>,
        args: StoreArgs,
    ) -> Result<Self::State, ActorProcessingErr> {
        let dir = args.dir;
        let connection = tokio::task::spawn_blocking(move || schema::open(&dir)).await??;
        args.names.register(name::STORE, myself.get_cell());
        Ok(Some(connection))
    }

    async fn handle(
        &self,
        _: ActorRef<StoreMsg>,
        StoreMsg::Run(query): StoreMsg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // The connection comes back unless the query panics; then this actor fails and opens it anew.
        if let Some(mut connection) = state.take() {
            let connection = tokio::task::spawn_blocking(move || {
                query(&mut connection);
                connection
            });
            *state = Some(connection.await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
