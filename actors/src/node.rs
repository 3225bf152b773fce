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
//! ├─ meter        permanent
//! └─ renewal      permanent
//! ```

mod error;
mod facts;

pub use facts::Icon;

use error::{api_error, engine_error, op_error, store_error, submit_error};

use crate::{
    Accounts, Board, Counters, EventDraft,
    catalog::{Catalog, CatalogMsg},
    control::{self, Control, ControlMsg, STACKS, SubmitError},
    ctx::{Ctx, Dirs},
    gate,
    hub::{Hub, HubMsg},
    journal::Journal,
    meter::Meter,
    names::name,
    observer::Observer,
    operation::{Faults, backup, purge, restore},
    private,
    renewal::Renewal,
    service::{Service, ServiceConfig},
    stack,
    store::{StoreActor, StoreArgs},
    supply::{SupplyError, given},
};
use apps::Manifest;
use engine::{
    Engine, LogLine,
    vault::{Retention, Vault},
};
use futures_util::{StreamExt, stream::BoxStream};
use protocol::{
    ApiError, AppId, AppView, BackupView, Command, CommandAccepted, ErrorCode, EventActor, EventPage,
    SecretAccepted, SecretView, ServiceName, StreamId,
};
use ractor::{ActorRef, Message, RpcReplyPort};
use std::{
    collections::BTreeSet,
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
    /// The repository of backups.
    pub vault: Arc<dyn Vault>,
    /// How many backups of an app are kept.
    pub retention: Retention,
    /// The engine's service process, where the node runs it.
    pub service: Option<ServiceConfig>,
    /// Hurts operations at places of a test's choice; `None` for a node that serves people.
    pub faults: Option<Faults>,
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
        let vault = (config.vault, config.retention);
        let ctx = Ctx::new(config.engine, vault, dirs, ulid::Ulid::new().to_string(), config.faults);
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
        let (id, renewal_ctx) = worker(name::RENEWAL);
        let renewal = ChildSpec::worker(id, move |start| {
            let ctx = renewal_ctx.clone();
            async move { start.spawn(Renewal, ctx).await }
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
            patient(renewal),
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
        self.ctx.ending.store(true, Ordering::Release);
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
            Command::Restore { app, snapshot } => {
                let plan = restore::plan(&self.ctx, app, snapshot).await.map_err(op_error)?;
                let absent = || {
                    let message = format!("there is no snapshot {snapshot} of {app}");
                    api_error(ErrorCode::NotFound, message, "`archy backups` lists those that there are")
                };
                plan.map(Some).ok_or_else(absent)
            }
            _ => Ok(None),
        }
    }

    /// The backups of an app, also of one that is not on the node any more, or of all; oldest first.
    ///
    /// # Errors
    ///
    /// When the store or, on a node that knows of none yet, the repository cannot be asked.
    pub async fn backups(&self, app: Option<&AppId>) -> Result<Vec<BackupView>, ApiError> {
        backup::known(&self.ctx, app).await.map_err(op_error)
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

    /// The secrets that the owner of an app gives, and whether they are given.
    ///
    /// # Errors
    ///
    /// When there is no such app.
    pub async fn secrets(&self, app: &AppId) -> Result<Vec<SecretView>, ApiError> {
        let (installed, offered) = self.manifests(app).await?;
        let dir = self.ctx.secrets_dir(app);
        let all = installed.iter().chain(&offered).flat_map(|manifest| &manifest.secrets);
        let external: BTreeSet<&String> =
            all.filter(|(_, secret)| secret.external).map(|(name, _)| name).collect();
        Ok(external
            .into_iter()
            .map(|name| SecretView { name: name.clone(), given: given::is_given(&dir, name) })
            .collect())
    }

    /// Gives an app a secret. It holds from the next time that its containers are started.
    ///
    /// # Errors
    ///
    /// When the app asks for no such secret, or the disk or the engine refuses.
    pub async fn set_secret(&self, app: &AppId, name: &str, value: &str) -> Result<SecretAccepted, ApiError> {
        let (installed, offered) = self.manifests(app).await?;
        let asks = |manifest: &Manifest| manifest.secrets.get(name).is_some_and(|secret| secret.external);
        if !installed.iter().chain(&offered).any(asks) {
            let message = format!("{app} asks its owner for no secret {name:?}");
            return Err(api_error(
                ErrorCode::NotFound,
                message,
                "`archy secret list` shows those that it asks for",
            ));
        }
        let dir = self.ctx.secrets_dir(app);
        let refused = |error: SupplyError| match error {
            SupplyError::Engine(error) => engine_error(&error),
            error => api_error(
                ErrorCode::Unavailable,
                error.to_string(),
                "check the disk of the node's data directory",
            ),
        };
        let (folder, kept_name, text) = (dir.clone(), name.to_owned(), value.to_owned());
        let kept = tokio::task::spawn_blocking(move || given::keep(&folder, &kept_name, &text)).await;
        kept.map_err(|error| api_error(ErrorCode::Internal, error.to_string(), "try again"))?
            .map_err(refused)?;
        let installed = installed.filter(asks);
        if let Some(manifest) = &installed {
            let engine_name = manifest.engine_name(name);
            given::ensure(self.ctx.engine.as_ref(), &dir, name, &engine_name).await.map_err(refused)?;
        }
        let event =
            EventDraft::new(EventActor::User, "secret_set", format!("the secret {name} of {app} was given"));
        self.ctx.record(event.app(app.clone()).subject(name));
        Ok(SecretAccepted { restart_needed: installed.is_some() })
    }

    /// An app's manifest as it is on the node, and as the catalog has it: an update may ask for more.
    async fn manifests(&self, app: &AppId) -> Result<(Option<Manifest>, Option<Manifest>), ApiError> {
        let row = self.ctx.store.app(app).await.map_err(store_error)?;
        let installed = row.and_then(|row| Manifest::parse(&row.manifest).ok());
        match self.call(name::CATALOG, |reply| CatalogMsg::Find(app.clone(), reply)).await? {
            Ok(found) => Ok((installed, Some(found.manifest))),
            Err(_) if installed.is_some() => Ok((installed, None)),
            Err(error) => Err(submit_error(SubmitError::Catalog(error))),
        }
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
