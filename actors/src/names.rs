//! Where the actors of one node find each other: a path per actor, the newest incarnation behind it.
//!
//! It is a telephone book and no proof of life: a message to an actor that just died is lost, so everything that is
//! sent here is either repeated at the next start of the receiver or asked for again by it.

use ractor::{ActorCell, ActorRef, ActorStatus, Message};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The names of one node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<RwLock<BTreeMap<String, ActorCell>>>);

impl Names {
    /// Puts an actor behind a name, in place of an earlier incarnation.
    pub(crate) fn register(&self, name: impl Into<String>, actor: ActorCell) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), actor);
    }

    /// Forgets a name.
    pub(crate) fn forget(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Forgets all names that begin with `prefix`.
    pub(crate) fn forget_below(&self, prefix: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| !name.starts_with(prefix));
    }

    /// The actor behind a name, whatever its message type.
    pub(crate) fn cell(&self, name: &str) -> Option<ActorCell> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The actor behind a name.
    pub(crate) fn find<M: Message>(&self, name: &str) -> Option<ActorRef<M>> {
        self.cell(name).map(ActorRef::from)
    }

    /// Whether the newest incarnation behind a name lives.
    pub(crate) fn is_alive(&self, name: &str) -> bool {
        self.cell(name).is_some_and(|cell| cell.get_status() < ActorStatus::Stopping)
    }

    /// Sends to the actor behind a name; says whether there was one to take it.
    pub(crate) fn cast<M: Message>(&self, name: &str, message: M) -> bool {
        self.find::<M>(name).is_some_and(|actor| actor.cast(message).is_ok())
    }

    /// All names that begin with `prefix`.
    pub(crate) fn known_below(&self, prefix: &str) -> Vec<String> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// All actors whose names begin with `prefix`.
    pub(crate) fn below<M: Message>(&self, prefix: &str) -> Vec<ActorRef<M>> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let from = names.range(prefix.to_owned()..);
        from.take_while(|(name, _)| name.starts_with(prefix))
            .map(|(_, cell)| ActorRef::from(cell.clone()))
            .collect()
    }
}

/// Names by kind of actor, so that they are spelled in one place.
pub(crate) mod name {
    use protocol::{AppId, OpId, ServiceName};

    /// The store.
    pub(crate) const STORE: &str = "store";
    /// The hub.
    pub(crate) const HUB: &str = "hub";
    /// The catalog.
    pub(crate) const CATALOG: &str = "catalog";
    /// Takes commands and keeps the stacks.
    pub(crate) const CONTROL: &str = "control";
    /// Writes the journal.
    pub(crate) const JOURNAL: &str = "journal";
    /// Measures what apps use.
    pub(crate) const METER: &str = "meter";
    /// Who renews certificates.
    pub(crate) const RENEWAL: &str = "renewal";
    /// Watches the engine.
    pub(crate) const OBSERVER: &str = "observer";
    /// Prefix of all apps.
    pub(crate) const APPS: &str = "app/";
    /// Prefix of all containers.
    pub(crate) const CONTAINERS: &str = "container/";
    /// Prefix of all gates.
    pub(crate) const GATES: &str = "gate/";
    /// Prefix of all apps that need others, beside their own names.
    pub(crate) const NEEDY: &str = "needy/";

    /// An app that needs others.
    pub(crate) fn needy(app: &AppId) -> String {
        format!("{NEEDY}{app}")
    }
    /// A gate.
    pub(crate) fn gate(app: &AppId, gate: &str) -> String {
        format!("{}{gate}", gates_of(app))
    }
    /// Prefix of the gates of an app.
    pub(crate) fn gates_of(app: &AppId) -> String {
        format!("{GATES}{app}/")
    }
    /// An app.
    pub(crate) fn app(app: &AppId) -> String {
        format!("{APPS}{app}")
    }
    /// A container.
    pub(crate) fn container(app: &AppId, service: &ServiceName) -> String {
        format!("{}{service}", containers_of(app))
    }
    /// Prefix of the containers of an app.
    pub(crate) fn containers_of(app: &AppId) -> String {
        format!("{CONTAINERS}{app}/")
    }
    /// The supervisor of an app's containers.
    pub(crate) fn containers(app: &AppId) -> String {
        format!("containers/{app}")
    }
    /// The supervisor of an app.
    pub(crate) fn stack(app: &AppId) -> String {
        format!("stack/{app}")
    }
    /// An operation.
    pub(crate) fn operation(app: &AppId, op: &OpId) -> String {
        format!("{}{op}", operations_of(app))
    }
    /// Prefix of the operations of an app.
    pub(crate) fn operations_of(app: &AppId) -> String {
        format!("operation/{app}/")
    }
}
