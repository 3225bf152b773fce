//! What every actor of a node is given.

use crate::{
    Board,
    calls::Calls,
    coming::Coming,
    counters::Counters,
    hub::HubMsg,
    journal::Inbox,
    names::{Names, name},
    offers::Offers,
    operation::Faults,
    places::Places,
    reach::Reach,
    store::Store,
    tree::Tree,
};
use engine::{
    Engine,
    vault::{Retention, Vault},
};
use protocol::{AppId, Row};
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

/// The parts of a node that outlive each of its actors. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ctx {
    /// Who is who.
    pub(crate) names: Names,
    /// The database.
    pub(crate) store: Store,
    /// The container engine.
    pub(crate) engine: Arc<dyn Engine>,
    /// The repository of backups.
    pub(crate) vault: Arc<dyn Vault>,
    /// How many backups of an app are kept.
    pub(crate) retention: Retention,
    /// Calls that change containers.
    pub(crate) calls: Calls,
    /// Whether the engine can be reached.
    pub(crate) reach: Reach,
    /// Containers that are still to be started.
    pub(crate) coming: Coming,
    /// What containers the apps have.
    pub(crate) places: Places,
    /// What the catalog has of each app.
    pub(crate) offers: Offers,
    /// Where operations are to be hurt, in tests.
    pub(crate) faults: Option<Faults>,
    /// Set when the node is ending: what ends now has not failed.
    pub(crate) ending: Arc<AtomicBool>,
    /// The supervision tree.
    pub(crate) tree: Tree,
    /// The read model; written by the hub only.
    pub(crate) board: Arc<Board>,
    /// Events on their way into the journal.
    pub(crate) inbox: Inbox,
    /// What has been counted.
    pub(crate) counters: Counters,
    /// Folders.
    pub(crate) dirs: Arc<Dirs>,
    /// Set when the first rows of all apps are on the board.
    pub(crate) ready: Arc<AtomicBool>,
    node_id: Arc<OnceLock<String>>,
}

/// Folders of a node.
#[derive(Debug, Clone)]
pub(crate) struct Dirs {
    /// Everything that the node writes.
    pub(crate) data: PathBuf,
    /// The catalog.
    pub(crate) catalog: PathBuf,
}

impl Ctx {
    /// The parts of a new node.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        (vault, retention): (Arc<dyn Vault>, Retention),
        dirs: Dirs,
        epoch: String,
        faults: Option<Faults>,
    ) -> Self {
        let names = Names::default();
        Self {
            store: Store::new(names.clone()),
            names,
            engine,
            vault,
            retention,
            calls: Calls::default(),
            reach: Reach::default(),
            coming: Coming::default(),
            places: Places::default(),
            offers: Offers::default(),
            faults,
            ending: Arc::default(),
            tree: Tree::default(),
            board: Arc::new(Board::new(epoch)),
            inbox: Inbox::default(),
            counters: Counters::default(),
            dirs: Arc::new(dirs),
            ready: Arc::default(),
            node_id: Arc::default(),
        }
    }

    /// The node's id; empty until the store has told it, which is before the first stack starts.
    pub(crate) fn node_id(&self) -> &str {
        self.node_id.get().map_or("", String::as_str)
    }

    /// The store has told the node's id.
    pub(crate) fn set_node_id(&self, id: String) {
        // It never changes.
        let _ = self.node_id.set(id);
    }

    /// Publishes a row through the hub. A hub that is away asks for all rows when it is back.
    pub(crate) fn publish(&self, row: Row) {
        self.names.cast(name::HUB, HubMsg::Put(row));
    }

    /// The app's own folder.
    pub(crate) fn app_dir(&self, app: &AppId) -> PathBuf {
        self.dirs.data.join("data").join(app.as_str())
    }

    /// The folder of what the app's containers have kept of their runs.
    pub(crate) fn notes_dir(&self, app: &AppId) -> PathBuf {
        self.dirs.data.join("notes").join(app.as_str())
    }

    /// The folder of the app's secrets.
    pub(crate) fn secrets_dir(&self, app: &AppId) -> PathBuf {
        self.dirs.data.join("secrets").join(app.as_str())
    }
}
