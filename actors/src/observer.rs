//! Watches the engine for all containers: one event stream and one slow list.
//!
//! Parent: engine, permanent. Children: workers for the stream and the list.
//! It hints to the containers' actors, which look for themselves, and tells the apps whether the engine can be reached.
//! Lost, late and doubled events do no harm, as the list and the looks follow the state.
//! All it removes is what carries this node's label, has no place in an app, and was seen so by lists a while apart.

mod orphans;

use crate::{
    agree::APART, app::AppMsg, calls::GRACE, clock::now_ms, container::ContainerMsg, ctx::Ctx, names::name,
    worker,
};
use apps::{LABEL_APP, LABEL_NODE, LABEL_SERVICE};
use engine::{EngineError, Event, EventAction, Summary};
use futures_util::StreamExt;
use orphans::{Known, Orphans};
use protocol::{NodeView, Row};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, MessagingErr, SupervisionEvent};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};

/// Time between two lists while everything is well.
const LIST_EVERY: Duration = APART;
/// A list is followed by at least this many times as much quiet, so that a slow engine is left in peace.
const QUIET: u32 = 20;
/// Key of the row that tells of containers without an app.
const ORPHANS: &str = "orphans";
/// Shortest and longest wait before the engine is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Messages of the observer.
pub(crate) enum ObserverMsg {
    /// Cast: publish your row.
    Publish,
    /// Cast, own: connect to the event stream.
    Connect,
    /// Cast, own: the stream is there.
    Connected(String),
    /// Cast, own: something happened.
    Event(Event),
    /// Cast, own: the stream ended.
    Lost(EngineError),
    /// Cast, own: list all containers.
    List,
    /// Cast, own: all containers of this node, its apps with their places, and how long the answer took.
    Listed(Result<(Vec<Summary>, Known), EngineError>, Duration),
}

/// State of the observer.
pub(crate) struct ObserverState {
    ctx: Ctx,
    row: NodeView,
    failures: u32,
    /// Id, action and time of the last event: the engine repeats some when its log is rotated.
    last: Option<(String, EventAction, u64)>,
    orphans: Orphans,
    lister: Option<ActorCell>,
    next_list: Option<JoinHandle<Result<(), MessagingErr<ObserverMsg>>>>,
    version: String,
}

/// The actor.
pub(crate) struct Observer;

impl Actor for Observer {
    type Msg = ObserverMsg;
    type State = ObserverState;
    type Arguments = Ctx;

    async fn pre_start(
        &self,
        myself: ActorRef<ObserverMsg>,
        ctx: Ctx,
    ) -> Result<ObserverState, ActorProcessingErr> {
        ctx.names.register(name::OBSERVER, myself.get_cell());
        let row =
            NodeView { key: "engine".into(), ok: false, detail: "not reached yet".into(), last_ok: None };
        let (orphans, version) = (Orphans::default(), String::new());
        Ok(ObserverState {
            ctx,
            row,
            failures: 0,
            last: None,
            orphans,
            lister: None,
            next_list: None,
            version,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<ObserverMsg>,
        _: &mut ObserverState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(myself.cast(ObserverMsg::Connect)?)
    }

    async fn handle(
        &self,
        myself: ActorRef<ObserverMsg>,
        message: ObserverMsg,
        state: &mut ObserverState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ObserverMsg::Publish => state.publish_all(),
            ObserverMsg::Connect => state.connect(&myself).await?,
            ObserverMsg::Connected(version) => {
                state.failures = 0;
                state.version = version;
                state.reached();
                // What happened while nobody listened.
                state.list(&myself).await?;
            }
            ObserverMsg::Event(event) => state.event(event),
            ObserverMsg::Lost(error) => {
                state.lost(&error);
                state.failures = state.failures.saturating_add(1);
                let wait = RETRY.1.min(RETRY.0 * 2_u32.pow(state.failures.min(8)));
                drop(myself.send_after(wait, || ObserverMsg::Connect));
            }
            ObserverMsg::List => state.list(&myself).await?,
            ObserverMsg::Listed(result, took) => {
                let wait = if result.is_ok() { LIST_EVERY.max(took * QUIET) } else { RETRY.1 };
                let next = myself.send_after(wait, || ObserverMsg::List);
                if let Some(earlier) = state.next_list.replace(next) {
                    earlier.abort();
                }
                match result {
                    Ok((list, known)) => state.listed(list, &known).await?,
                    // It takes connections and does not answer: as good as away.
                    Err(error) => state.lost(&error),
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ObserverMsg>,
        event: SupervisionEvent,
        _: &mut ObserverState,
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

/// Whether a container is worth a look after this.
fn matters(action: &EventAction) -> bool {
    match action {
        EventAction::Start | EventAction::Died | EventAction::Remove => true,
        EventAction::Other(word) => matches!(word.as_str(), "pause" | "unpause" | "rename"),
        EventAction::Create => false,
    }
}

impl ObserverState {
    async fn connect(&self, myself: &ActorRef<ObserverMsg>) -> Result<(), ActorProcessingErr> {
        let (engine, me) = (Arc::clone(&self.ctx.engine), myself.clone());
        worker::run(myself.get_cell(), async move {
            let follow = async {
                let info = engine.info().await?;
                let mut events = engine.events(None).await?;
                let mode = if info.rootless { "rootless" } else { "as root" };
                let _ = me.cast(ObserverMsg::Connected(format!("{} {} {mode}", info.name, info.version)));
                while let Some(event) = events.next().await {
                    let _ = me.cast(ObserverMsg::Event(event?));
                }
                Err(EngineError::Unreachable { message: "the event stream ended".into() })
            };
            let ended: Result<std::convert::Infallible, EngineError> = follow.await;
            let Err(error) = ended;
            let _ = me.cast(ObserverMsg::Lost(error));
        })
        .await?;
        Ok(())
    }

    /// One list at a time: each asks for the next when it ends, and a new connection asks for one at once.
    async fn list(&mut self, myself: &ActorRef<ObserverMsg>) -> Result<(), ActorProcessingErr> {
        if let Some(earlier) = self.lister.take() {
            earlier.kill();
        }
        let (ctx, me) = (self.ctx.clone(), myself.clone());
        if ctx.node_id().is_empty() {
            // Without it everybody's containers would be listed; control is about to read it.
            self.next_list = Some(myself.send_after(RETRY.0, || ObserverMsg::List));
            return Ok(());
        }
        let work = async move {
            let begin = Instant::now();
            let list = async {
                let list = ctx.engine.list(&[(LABEL_NODE, ctx.node_id())]).await?;
                // Asked for after the list: an app that is new since then is not missed.
                let apps = ctx.store.apps().await.map_err(|error| EngineError::Unreachable {
                    message: format!("the store does not answer: {error}"),
                })?;
                let places = apps.into_iter().map(|row| (row.id.to_string(), ctx.places.of(&row.id)));
                Ok((list, places.collect()))
            };
            let list = list.await;
            let _ = me.cast(ObserverMsg::Listed(list, begin.elapsed()));
        };
        self.lister = Some(worker::run(myself.get_cell(), work).await?);
        Ok(())
    }

    fn event(&mut self, event: Event) {
        let seen = (event.id, event.action, event.time_nano);
        if self.last.as_ref() == Some(&seen) || !matters(&seen.1) {
            return;
        }
        self.last = Some(seen);
        let (Some(app), Some(service)) = (event.labels.get(LABEL_APP), event.labels.get(LABEL_SERVICE))
        else {
            return;
        };
        let (Ok(app), Ok(service)) = (app.parse(), service.parse()) else { return };
        self.ctx.names.cast(&name::container(&app, &service), ContainerMsg::Hint);
    }

    async fn listed(&mut self, list: Vec<Summary>, known: &Known) -> Result<(), ActorProcessingErr> {
        let before = self.orphans.names().len();
        let agreed = self.orphans.listed(Instant::now(), &list, known);
        if before + self.orphans.names().len() > 0 {
            self.publish_orphans();
        }
        if !agreed.is_empty() {
            let ctx = self.ctx.clone();
            worker::run_to_its_end(async move {
                for orphan in agreed {
                    tracing::warn!(container = %orphan.name, "container that nobody looks after is removed");
                    let gone = ctx.calls.dispose(&ctx.engine, &orphan.name, &orphan.id, GRACE).await;
                    if let Err(error) = gone {
                        tracing::warn!(container = %orphan.name, %error, "it could not be removed");
                    }
                }
            })
            .await?;
        }
        let list = Arc::new(list);
        for container in self.ctx.names.below::<ContainerMsg>(name::CONTAINERS) {
            let _ = container.cast(ContainerMsg::Listed(Arc::clone(&list)));
        }
        if self.row.ok {
            self.tell_apps(true);
        } else if !self.version.is_empty() {
            self.reached();
        }
        Ok(())
    }

    fn reached(&mut self) {
        tracing::info!(engine = %self.version, "engine reached");
        let detail = self.version.clone();
        self.row = NodeView { key: "engine".into(), ok: true, detail, last_ok: Some(now_ms()) };
        self.publish();
        self.tell_apps(true);
    }

    fn lost(&mut self, error: &EngineError) {
        if self.row.ok {
            tracing::warn!(%error, "engine lost");
            self.row.last_ok = Some(now_ms());
        }
        self.row.ok = false;
        self.row.detail = error.to_string();
        self.publish();
        self.tell_apps(false);
    }

    fn tell_apps(&self, ok: bool) {
        let now = now_ms();
        // An app that is just being started reads it after it has taken its name.
        self.ctx.reach.set(ok, now);
        for app in self.ctx.names.below::<AppMsg>(name::APPS) {
            let _ = app.cast(AppMsg::Engine(ok, now));
        }
    }

    fn publish(&self) {
        self.ctx.publish(Row::Node(Box::new(self.row.clone())));
    }

    fn publish_all(&self) {
        self.publish();
        self.publish_orphans();
        self.ctx.publish(Row::Node(Box::new(self.ctx.coming.row())));
    }

    fn publish_orphans(&self) {
        let names = self.orphans.names();
        let detail = match names.len() {
            0 => "every container of this node belongs to a service of an app".to_owned(),
            _ => format!("of no service of any app, removed when later lists agree: {}", names.join(", ")),
        };
        let row = NodeView { key: ORPHANS.into(), ok: names.is_empty(), detail, last_ok: Some(now_ms()) };
        self.ctx.publish(Row::Node(Box::new(row)));
    }
}
