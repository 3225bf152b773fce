//! The node: builds the tree, and is its face to the outside.
//!
//! ```text
//! node            one_for_one
//! ├─ store        permanent
//! ├─ journal      permanent
//! ├─ hub          permanent
//! ├─ engine       rest_for_one
//! │  ├─ service   permanent, where no socket is given
//! │  └─ observer  permanent
//! ├─ catalog      permanent
//! ├─ gates        one_for_one, one worker per gate that an app exports
//! ├─ stacks       one_for_one, one stack per app
//! ├─ control      permanent
//! └─ meter        permanent
//! ```

mod facts;

pub use facts::Icon;

use crate::{
    Accounts, Board, Counters, EventDraft,
    app::Refusal,
    catalog::{Catalog, FindError},
    control::{self, Control, ControlMsg, STACKS, SubmitError},
    ctx::{Ctx, Dirs},
    gate,
    hub::{Hub, HubMsg},
    journal::Journal,
    meter::Meter,
    names::name,
    observer::Observer,
    operation::purge,
    private,
    service::{Service, ServiceConfig},
    stack,
    store::{StoreActor, StoreArgs, StoreError},
};
use engine::{Engine, LogLine};
use futures_util::{StreamExt, stream::BoxStream};
use protocol::{
    ApiError, AppId, AppView, Command, CommandAccepted, ErrorCode, EventActor, EventPage, ServiceName,
    StreamId,
};
use ractor::{ActorRef, Message, RpcReplyPort};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use supervisor::{
    Backoff, ChildSpec, ExitReason, OnExhausted, StartError, Strategy, SupFlags, Supervisor, SupervisorRef,
};

/// Longest wait for an answer of the node to a client.
const ANSWER: Duration = Duration::from_secs(20);

/// What a node is made of.
#[derive(Clone)]
pub struct NodeConfig {
    /// Everything that the node writes; made with mode 0700 if it is not there.
    pub data_dir: PathBuf,
    /// Folder with one folder per app.
    pub catalog_dir: PathBuf,
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// The engine's service process, where the node runs it.
    pub service: Option<ServiceConfig>,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be made. Remedy: check its path and permissions.
    #[error("the data directory {path} cannot be made")]
    DataDir {
        /// Folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// An actor of the tree did not start. Remedy: see the cause.
    #[error("the node's tree does not start")]
    Tree(#[from] StartError),
}

/// A running node's face to the outside. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    ctx: Ctx,
    root: SupervisorRef,
}

fn flags(strategy: Strategy) -> SupFlags {
    // These supervisors hold the node together: they never give up, they wait longer.
    SupFlags::new(strategy)
        .intensity(20, Duration::from_secs(60))
        .on_exhausted(OnExhausted::Park { retry_after: Some(Duration::from_secs(10)) })
}

fn patient(spec: ChildSpec) -> ChildSpec {
    spec.backoff(Backoff { first: Duration::ZERO, max: Duration::from_secs(10), ..Backoff::default() })
}

impl NodeHandle {
    /// Starts a node: returns when all its permanent actors run and all its apps' stacks are being started.
    ///
    /// # Errors
    ///
    /// When the data directory or the database cannot be used, or an actor does not start.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let data = config.data_dir;
        private::folder(&data).map_err(|source| NodeError::DataDir { path: data.clone(), source })?;
        let dirs = Dirs { data: data.clone(), catalog: config.catalog_dir };
        let ctx = Ctx::new(config.engine, dirs, ulid::Ulid::new().to_string());
        let worker = |id: &'static str| {
            let ctx = ctx.clone();
            (id, ctx)
        };
        let store = {
            let args = StoreArgs { dir: data, names: ctx.names.clone() };
            ChildSpec::worker(name::STORE, move |start| {
                let args = args.clone();
                async move { start.spawn(StoreActor, args).await }
            })
        };
        let (id, hub_ctx) = worker(name::HUB);
        let hub = ChildSpec::worker(id, move |start| {
            let ctx = hub_ctx.clone();
            async move { start.spawn(Hub, ctx).await }
        });
        let (id, journal_ctx) = worker(name::JOURNAL);
        let journal = ChildSpec::worker(id, move |start| {
            let ctx = journal_ctx.clone();
            async move { start.spawn(Journal, ctx).await }
        });
        let (id, catalog_ctx) = worker(name::CATALOG);
        let catalog = ChildSpec::worker(id, move |start| {
            let ctx = catalog_ctx.clone();
            async move { start.spawn(Catalog, ctx).await }
        });
        let (id, control_ctx) = worker(name::CONTROL);
        let control = ChildSpec::worker(id, move |start| {
            let ctx = control_ctx.clone();
            async move { start.spawn(Control, ctx).await }
        });
        let (id, meter_ctx) = worker(name::METER);
        let meter = ChildSpec::worker(id, move |start| {
            let ctx = meter_ctx.clone();
            async move { start.spawn(Meter, ctx).await }
        });
        let root_flags = flags(Strategy::OneForOne);
        let stacks_flags = flags(Strategy::OneForOne);
        let stacks = stack::named(&ctx, STACKS, Supervisor::child_spec(STACKS, stacks_flags, vec![]));
        let gates = gate::named_supervisor(&ctx, flags(Strategy::OneForOne));
        let children = vec![
            patient(store),
            patient(journal),
            patient(hub),
            patient(engine_spec(&ctx, config.service)),
            patient(catalog),
            patient(gates),
            patient(stacks),
            patient(control),
            patient(meter),
        ];
        let root =
            Supervisor::start_link("node", root_flags, children, None, Some(stack::sink(&ctx))).await?;
        Ok(Self { ctx, root })
    }

    /// The read model.
    pub fn board(&self) -> &Arc<Board> {
        &self.ctx.board
    }

    /// Whether all apps of the store are on the board.
    pub fn is_ready(&self) -> bool {
        self.ctx.ready.load(Ordering::Acquire)
    }

    /// The root supervisor, to add what serves the node to the world.
    pub fn root(&self) -> &SupervisorRef {
        &self.root
    }

    /// Ends the node in order. Containers go on running.
    pub async fn stop(self) {
        self.root.stop(ExitReason::Shutdown(None)).await;
        self.root.wait().await;
    }

    /// Records and begins an operation. The same key with the same command returns the same operation.
    ///
    /// # Errors
    ///
    /// With a code that says whether the command, the app's state or the node is at fault.
    pub async fn submit(&self, command: Command, key: Option<String>) -> Result<CommandAccepted, ApiError> {
        let (app, what) = (command.app().clone(), word(&command));
        let answer = self.call(name::CONTROL, |reply| ControlMsg::Submit(command, key, reply)).await?;
        let op_id = answer.map_err(submit_error)?;
        let event = EventDraft::new(EventActor::User, "command", format!("{what} of {app} was asked for"));
        self.ctx.record(event.app(app).op(op_id.clone()).subject(what));
        // The command is accepted, also while the hub is being restarted.
        let at = self.call(name::HUB, HubMsg::Heads).await.unwrap_or_else(|_| self.ctx.board.heads());
        Ok(CommandAccepted { op_id, at })
    }

    /// Whether a connection that this host accepted on `local` comes from one of its containers. Reads `/proc`.
    pub fn is_from_containers(remote: SocketAddr, local: SocketAddr) -> bool {
        engine::is_from_containers(remote, local)
    }

    /// What a command would destroy; `None` for one that needs no confirmation.
    ///
    /// # Errors
    ///
    /// When the engine cannot be asked, or it would be refused.
    pub async fn plan(&self, command: &Command) -> Result<Option<protocol::Plan>, ApiError> {
        match command {
            Command::Uninstall { app, purge: true } => {
                // Nobody is asked to confirm what would be refused.
                control::nobody_needs(&self.ctx, app).await.map_err(submit_error)?;
                purge::plan(&self.ctx, app).await.map(Some).map_err(|error| engine_error(&error))
            }
            _ => Ok(None),
        }
    }

    /// The log of a container: its last lines, and with `follow` those that come.
    ///
    /// # Errors
    ///
    /// When there is no such container or the engine refuses.
    pub async fn logs(
        &self,
        app: &AppId,
        service: &ServiceName,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine, ApiError>>, ApiError> {
        let row = self.ctx.board.row(StreamId::Apps, app.as_str());
        let view: Option<AppView> = row.and_then(|json| serde_json::from_str(&json).ok());
        let containers = view.map(|view| view.containers).unwrap_or_default();
        let Some(container) = containers.into_iter().find(|c| c.service == *service) else {
            let message = format!("{app} has no container {service}");
            return Err(api_error(ErrorCode::NotFound, message, "see `archy apps` for what there is"));
        };
        let lines =
            self.ctx.engine.logs(&container.name, tail, follow).await.map_err(|e| engine_error(&e))?;
        Ok(lines.map(|line| line.map_err(|e| engine_error(&e))).boxed())
    }

    /// The owner, logins, tokens and failed attempts.
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.ctx.store.clone())
    }

    /// Puts an event into the journal.
    pub fn record(&self, event: EventDraft) {
        self.ctx.record(event);
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.ctx.counters
    }

    /// A page of the journal, newest first, of one app or of everything.
    ///
    /// # Errors
    ///
    /// When the store is away.
    pub async fn events(
        &self,
        before: Option<u64>,
        app: Option<AppId>,
        limit: u32,
    ) -> Result<EventPage, ApiError> {
        let rows = self.ctx.store.events(before, app, limit).await.map_err(store_error)?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|(seq, _)| full && *seq > 1).map(|(seq, _)| *seq);
        let items = rows.iter().filter_map(|(_, json)| serde_json::from_str(json).ok()).collect();
        Ok(EventPage { items, next })
    }

    /// Kills an actor of the tree by its registered name, for tests of recovery. Says whether there was one.
    #[cfg(any(test, feature = "testing"))]
    pub fn kill_actor(&self, name: &str) -> bool {
        let cell = self.ctx.names.cell(name);
        cell.inspect(|cell| cell.kill()).is_some()
    }

    async fn call<M: Message, T: Send + 'static>(
        &self,
        whom: &str,
        message: impl FnOnce(RpcReplyPort<T>) -> M,
    ) -> Result<T, ApiError> {
        let away = || api_error(ErrorCode::Unavailable, format!("{whom} is being restarted"), "try again");
        let actor: ActorRef<M> = self.ctx.names.find(whom).ok_or_else(away)?;
        let (answer, answered) = ractor::concurrency::oneshot();
        actor.cast(message(answer.into())).map_err(|_| away())?;
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(away()),
        }
    }
}

/// The command's word on the wire.
fn word(command: &Command) -> String {
    let json = serde_json::to_value(command).unwrap_or_default();
    json.get("command").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn engine_spec(ctx: &Ctx, service: Option<ServiceConfig>) -> ChildSpec {
    let flags = flags(Strategy::RestForOne);
    let observer_ctx = ctx.clone();
    let observer = ChildSpec::worker(name::OBSERVER, move |start| {
        let ctx = observer_ctx.clone();
        async move { start.spawn(Observer, ctx).await }
    });
    let service = service.map(|config| {
        patient(ChildSpec::worker("service", move |start| {
            let config = config.clone();
            async move { start.spawn(Service, config).await }
        }))
    });
    let children = service.into_iter().chain([patient(observer)]).collect();
    Supervisor::child_spec("engine", flags, children)
}

fn api_error(code: ErrorCode, message: impl Into<String>, hint: &str) -> ApiError {
    ApiError::new(code, message).hint(hint)
}

fn store_error(error: StoreError) -> ApiError {
    tracing::error!(%error, "store refused");
    api_error(ErrorCode::Unavailable, error.to_string(), "try again; if it stays so, check the node's disk")
}

fn engine_error(error: &engine::EngineError) -> ApiError {
    let code = match error {
        engine::EngineError::NotFound { .. } => ErrorCode::NotFound,
        _ => ErrorCode::Unavailable,
    };
    api_error(code, error.to_string(), "see whether the container engine runs")
}

fn submit_error(error: SubmitError) -> ApiError {
    let message = error.to_string();
    match error {
        SubmitError::Catalog(FindError::Unknown(_)) => {
            api_error(ErrorCode::NotFound, message, "`archy apps` shows what there is")
        }
        SubmitError::Catalog(FindError::Invalid(problems)) => {
            ApiError { problems, ..api_error(ErrorCode::Invalid, message, "mend the manifest") }
        }
        SubmitError::Catalog(FindError::Unreadable(_)) => {
            api_error(ErrorCode::Internal, message, "check the catalog's folder")
        }
        SubmitError::NotInstalled(_) => api_error(ErrorCode::NotFound, message, "install it first"),
        SubmitError::Unfit(_, problems) => {
            let remedies: Vec<&str> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
            let error = api_error(ErrorCode::Conflict, message, &remedies.join("; "));
            ApiError { problems, ..error }
        }
        SubmitError::Needed(..) => api_error(ErrorCode::Conflict, message, "uninstall those first"),
        SubmitError::KeyReused => api_error(ErrorCode::Conflict, message, "use a new key for a new command"),
        SubmitError::Refused(Refusal::OpInProgress(op)) => ApiError {
            op_id: Some(op),
            ..api_error(
                ErrorCode::OpInProgress,
                message,
                "wait until it has ended, or stop the app to cancel a start",
            )
        },
        SubmitError::Refused(Refusal::Conflict(_)) => {
            api_error(ErrorCode::Conflict, message, "see the app's state on the page or with `archy apps`")
        }
        SubmitError::Refused(Refusal::Unavailable(_)) => {
            api_error(ErrorCode::Unavailable, message, "try again")
        }
    }
}
