//! One app: the single writer of its state.
//!
//! ```text
//! submit -> store -> operation -> want -> containers
//!                                   ^         |
//!                 phase <- statuses +---------+
//! ```
//!
//! Parent: the app's stack, permanent. Children: none; its operations and containers are its siblings.
//! Invariants: what the user wants is in the store before it is acknowledged; one operation at a time; the row that it
//! publishes is derived in [`phase`] and nowhere else; a new incarnation asks its siblings and needs no memory.

mod command;
mod fate;
mod needs;
mod neighbour;
pub(crate) mod phase;
mod view;
mod want;

pub(crate) use neighbour::{Asker, Neighbour};

use crate::{
    catalog::not_installed,
    clock::now_ms,
    container::{ContainerExit, ContainerMsg, Status, Want},
    ctx::Ctx,
    gate::{GateMsg, News},
    names::name,
    operation::Hold,
    stack::Plan,
    store::StoreError,
};
use needs::{Needs, Own};
use protocol::{
    AppId, AppView, BackupView, Command, ContainerPhase, Desired, OpId, OpKind, OpView, Row, ServiceName,
    StreamId,
};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::{collections::BTreeMap, sync::Arc};
use supervisor::{ExitReason, SupervisorRef};
use ulid::Ulid;

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another operation runs. Remedy: wait for its end.
    #[error("another operation is running")]
    OpInProgress(OpId),
    /// The app's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The node cannot do it now. Remedy: try again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What the supervisor of the containers reports.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// A container's actor ended, for its container's failure if there was one.
    Ended(ServiceName, Option<ActorId>, Option<ContainerExit>),
    /// Its next start is at this time (ms).
    Backoff(ServiceName, u64),
    /// It is given up, until this time (ms) if any.
    Parked(ServiceName, Option<u64>),
    /// Not any more.
    Unparked(ServiceName),
}

/// Messages of an app.
pub(crate) enum AppMsg {
    /// Cast: a container's status, from this actor.
    Container(ServiceName, ActorId, Box<Status>),
    /// Cast: the containers' supervisor reports.
    Fate(Fate),
    /// Cast: the engine can be reached or not, as of a time (ms).
    Engine(bool, u64),
    /// Cast: publish your row.
    Publish,
    /// Cast: the catalog has another version of the app.
    Offered,
    /// Cast: tell this one about you.
    Introduce(Asker),
    /// Cast: another app is like this now.
    Neighbour(Arc<Neighbour>),
    /// Cast: a gate is like this now.
    Gate(Arc<News>),
    /// Cast: another app is off the node.
    Departed(AppId),
    /// Cast: an operation's row and what it asks of the containers.
    Op(Box<OpView>, Hold),
    /// Cast: an operation's actor ended; the reason.
    OpGone(OpId, ExitReason),
    /// Cast, own: an accepted operation that has no actor begins or goes on.
    Resume(Box<OpView>, Command),
    /// Call: end this operation.
    Cancel(OpId, RpcReplyPort<Result<OpId, Refusal>>),
    /// Call, from control: your stack ends and another one comes.
    Leave(RpcReplyPort<()>),
    /// Call: do this.
    Submit(Command, Option<String>, RpcReplyPort<Result<OpId, Refusal>>),
    /// Call, from an operation: the user's intent is now this.
    SetDesired(Desired, RpcReplyPort<Result<(), StoreError>>),
    /// Call, from an operation: the install has succeeded.
    Installed(RpcReplyPort<Result<(), StoreError>>),
    /// Call: when everything that you were told before is done and shown.
    Sync(RpcReplyPort<()>),
    /// Call: you are off the node; publish that as your last row.
    Forgotten(RpcReplyPort<()>),
}

/// Arguments of an app.
#[derive(Clone)]
pub(crate) struct AppArgs {
    /// The node.
    pub(crate) ctx: Ctx,
    /// The app.
    pub(crate) plan: Arc<Plan>,
    /// Its supervisor: by its name it would be known only when all its children have started.
    pub(crate) stack: ActorCell,
}

/// State of an app.
pub(crate) struct AppState {
    ctx: Ctx,
    plan: Arc<Plan>,
    stack: SupervisorRef,
    desired: Desired,
    installed: bool,
    statuses: BTreeMap<ServiceName, Status>,
    /// Who spoke last of each container, and whether that actor lives.
    voices: BTreeMap<ServiceName, (ActorId, bool)>,
    /// What is wanted of each container, by which order.
    orders: BTreeMap<ServiceName, (Want, Ulid)>,
    /// Containers whose actors ended with their group, on whose account, and since when.
    held: BTreeMap<ServiceName, (ServiceName, u64)>,
    /// Next starts of containers that wait for them.
    backoff: BTreeMap<ServiceName, u64>,
    /// Containers that are given up, with the time of the next attempt.
    parked: BTreeMap<ServiceName, Option<u64>>,
    op: Option<OpView>,
    /// What the operation was asked to do.
    command: Option<Command>,
    last_op: Option<OpId>,
    hold: Hold,
    needs: Needs,
    /// Its last confirmed backup.
    backup: Option<BackupView>,
    /// What others have been told of this app.
    introduced: Option<Arc<Neighbour>>,
    engine_ok: bool,
    observed_at: u64,
    shown: Option<AppView>,
    forgotten: bool,
    /// Its stack is being ended on purpose, and its operation with it.
    leaving: bool,
}

/// The newest of an app's backups that the store knows of.
async fn last_backup(ctx: &Ctx, app: &AppId) -> Result<Option<BackupView>, StoreError> {
    Ok(ctx.store.backups(Some(app)).await?.pop())
}

/// The actor.
pub(crate) struct App;

impl Actor for App {
    type Msg = AppMsg;
    type State = AppState;
    type Arguments = AppArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<AppMsg>,
        args: AppArgs,
    ) -> Result<AppState, ActorProcessingErr> {
        let AppArgs { ctx, plan, stack } = args;
        let stack = SupervisorRef::from_cell(&stack).ok_or("an app is a supervisor's child")?;
        let row = ctx.store.app(&plan.id).await?;
        let (desired, installed, anyway) =
            row.map_or((Desired::Absent, false, false), |row| (row.desired, row.installed, row.anyway));
        let backup = last_backup(&ctx, &plan.id).await?;
        let shown = ctx.board.row(StreamId::Apps, plan.id.as_str());
        let shown: Option<AppView> = shown.and_then(|json| serde_json::from_str(&json).ok());
        let shown = shown.filter(|shown| shown.installed);
        let seen_at = shown.as_ref().map(|shown| shown.observed_at);
        let statuses = fate::last_shown(shown.as_ref(), &plan);
        ctx.names.register(name::app(&plan.id), myself.get_cell());
        if !plan.manifest.requires.is_empty() {
            ctx.names.register(name::needy(&plan.id), myself.get_cell());
        }
        let (engine_ok, reached_at) = ctx.reach.get();
        Ok(AppState {
            desired,
            installed,
            statuses,
            voices: BTreeMap::new(),
            orders: BTreeMap::new(),
            held: BTreeMap::new(),
            backoff: BTreeMap::new(),
            parked: BTreeMap::new(),
            op: None,
            command: None,
            last_op: None,
            // Until its operation says otherwise, an app that is not installed yet gets no containers.
            hold: if installed { Hold::None } else { Hold::Nothing },
            needs: Needs::new(anyway),
            backup,
            introduced: None,
            engine_ok,
            observed_at: seen_at.or(reached_at).unwrap_or_else(now_ms),
            shown: None,
            forgotten: false,
            leaving: false,
            ctx,
            plan,
            stack,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<AppMsg>,
        state: &mut AppState,
    ) -> Result<(), ActorProcessingErr> {
        state.find_operation(&myself).await?;
        state.ask_supervisor().await;
        for container in state.ctx.names.below::<ContainerMsg>(&name::containers_of(&state.plan.id)) {
            let _ = container.cast(ContainerMsg::Tell);
        }
        state.ask_others();
        state.show();
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<AppMsg>,
        message: AppMsg,
        state: &mut AppState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AppMsg::Container(service, actor, status) => state.told(service, actor, *status),
            AppMsg::Fate(fate) => state.fate(fate),
            AppMsg::Engine(ok, at) => {
                state.engine_ok = ok;
                if ok {
                    state.observed_at = at;
                }
            }
            AppMsg::Publish => {
                state.shown = None;
                state.ask_operations();
            }
            AppMsg::Offered => {}
            AppMsg::Introduce(asker) => {
                state.answer(&asker);
                return Ok(());
            }
            AppMsg::Neighbour(other) => {
                if !state.needs.neighbour(&state.plan.manifest.requires, other) {
                    return Ok(());
                }
            }
            AppMsg::Gate(news) => {
                if !state.needs.gate(&state.plan.manifest.requires, news) {
                    return Ok(());
                }
            }
            AppMsg::Departed(other) => state.needs.departed(&other),
            AppMsg::Op(view, hold) => {
                let may_have_changed = view.state.is_terminal()
                    && matches!(view.kind, OpKind::Backup | OpKind::Restore | OpKind::Update);
                state.op(*view, hold);
                if may_have_changed {
                    state.backup = last_backup(&state.ctx, &state.plan.id).await?;
                }
            }
            AppMsg::OpGone(id, reason) => state.op_gone(&myself, &id, &reason).await?,
            AppMsg::Resume(view, command) => state.resume(&myself, *view, command).await,
            AppMsg::Cancel(op, reply) => {
                state.cancel(&op, reply);
                return Ok(());
            }
            AppMsg::Leave(reply) => {
                state.leaving = true;
                let _ = reply.send(());
                return Ok(());
            }
            AppMsg::Submit(command, key, reply) => {
                let answer = state.submit(&myself, command, key).await;
                // The caller may have given up; the operation's row tells the rest.
                let _ = reply.send(answer);
            }
            AppMsg::SetDesired(desired, reply) => {
                let written = state.ctx.store.set_desired(&state.plan.id, desired).await;
                if written.is_ok() {
                    state.desired = desired;
                    state.reset().await;
                }
                let _ = reply.send(written);
            }
            AppMsg::Installed(reply) => {
                let written = state.ctx.store.set_installed(&state.plan.id).await;
                state.installed |= written.is_ok();
                let _ = reply.send(written);
            }
            AppMsg::Sync(reply) => {
                state.weigh().await?;
                state.steer();
                state.show();
                // The caller may have given up.
                let _ = reply.send(());
                return Ok(());
            }
            AppMsg::Forgotten(reply) => {
                state.forgotten = true;
                state.ctx.coming.set(&state.ctx, &state.plan.id, 0);
                let row = not_installed(&state.plan.manifest, state.backup.clone());
                state.ctx.publish(Row::App(Box::new(row)));
                let _ = reply.send(());
            }
        }
        state.weigh().await?;
        state.steer();
        state.show();
        Ok(())
    }
}

impl AppState {
    /// Asks everybody whom this app may need.
    fn ask_others(&self) {
        if self.plan.manifest.requires.is_empty() {
            return;
        }
        for app in self.ctx.names.below::<AppMsg>(name::APPS) {
            let _ = app.cast(AppMsg::Introduce(Asker::App(self.plan.id.clone())));
        }
        for gate in self.ctx.names.below::<GateMsg>(name::GATES) {
            let _ = gate.cast(GateMsg::Tell(self.plan.id.clone()));
        }
    }

    /// Weighs what the app needs of others, and tells gates that it waits, or does not any more.
    async fn weigh(&mut self) -> Result<(), StoreError> {
        let requires = &self.plan.manifest.requires;
        let own = Own {
            wanted: self.desired == Desired::Running && self.hold == Hold::None,
            any_up: self.statuses.values().any(|status| status.phase == ContainerPhase::Running),
            all_at_rest: self.statuses.keys().all(|service| self.is_down(service)),
        };
        let anyway = self.needs.anyway;
        self.needs.weigh(requires, own);
        if anyway && !self.needs.anyway {
            self.ctx.store.set_anyway(&self.plan.id, false).await?;
        }
        for (app, gate, waits) in self.needs.to_correct(&self.plan.id) {
            let message = GateMsg::Waiting(self.plan.id.clone(), waits);
            self.ctx.names.cast(&name::gate(&app, &gate), message);
        }
        Ok(())
    }

    fn containers(&self) -> Option<SupervisorRef> {
        SupervisorRef::from_cell(&self.ctx.names.cell(&name::containers(&self.plan.id))?)
    }

    /// Publishes the row when something in it has changed.
    fn show(&mut self) {
        if self.forgotten {
            return;
        }
        let view = self.view();
        self.ctx.coming.set(&self.ctx, &self.plan.id, self.coming(&view));
        if self.shown.as_ref() != Some(&view) {
            if let Some(old) = self.shown.as_ref().filter(|old| old.phase != view.phase) {
                let (from, to) = (old.phase, view.phase);
                tracing::info!(app = %view.id, ?from, ?to, reason = view.reason.as_deref(), "phase changed");
            }
            self.ctx.publish(Row::App(Box::new(view.clone())));
            self.introduce(&view);
            self.shown = Some(view);
        }
    }
}
