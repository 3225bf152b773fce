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

pub(crate) mod phase;
mod view;

use crate::{
    catalog::not_installed,
    clock::{millis, now_ms},
    container::{ContainerMsg, Status, Want},
    ctx::Ctx,
    names::name,
    operation::{self, Hold, OpMsg},
    stack::Plan,
    store::StoreError,
};
use apps::manifest::Condition;
use protocol::{
    AppView, Command, ContainerPhase, Desired, Health, OpError, OpId, OpKind, OpState, OpView, Row,
    ServiceName,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::{collections::BTreeMap, sync::Arc};
use supervisor::{ChildId, ChildState, SupervisorRef};

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
    /// A container's actor ended.
    Ended(ServiceName),
    /// Its next start is at this time (ms).
    Backoff(ServiceName, u64),
    /// It is given up, until this time (ms) if any.
    Parked(ServiceName, Option<u64>),
    /// Not any more.
    Unparked(ServiceName),
}

/// Messages of an app.
pub(crate) enum AppMsg {
    /// Cast: a container's status.
    Container(ServiceName, Status),
    /// Cast: the containers' supervisor reports.
    Fate(Fate),
    /// Cast: the engine can be reached or not, as of a time (ms).
    Engine(bool, u64),
    /// Cast: publish your row.
    Publish,
    /// Cast: an operation's row and what it asks of the containers.
    Op(Box<OpView>, Hold),
    /// Cast: an operation's actor ended; the reason.
    OpGone(OpId, String),
    /// Cast: an operation of an earlier life of the node goes on.
    Resume(Box<OpView>, Command),
    /// Call: do this.
    Submit(Command, Option<String>, RpcReplyPort<Result<OpId, Refusal>>),
    /// Call, from an operation: the user's intent is now this.
    SetDesired(Desired, RpcReplyPort<Result<(), StoreError>>),
    /// Call, from an operation: the install has succeeded.
    Installed(RpcReplyPort<Result<(), StoreError>>),
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
}

/// State of an app.
pub(crate) struct AppState {
    ctx: Ctx,
    plan: Arc<Plan>,
    desired: Desired,
    installed: bool,
    statuses: BTreeMap<ServiceName, Status>,
    /// Next starts of containers that wait for them.
    backoff: BTreeMap<ServiceName, u64>,
    /// Containers that are given up, with the time of the next attempt.
    parked: BTreeMap<ServiceName, Option<u64>>,
    op: Option<OpView>,
    last_op: Option<OpId>,
    hold: Hold,
    engine_ok: bool,
    observed_at: u64,
    shown: Option<AppView>,
    forgotten: bool,
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
        let AppArgs { ctx, plan } = args;
        let row = ctx.store.app(&plan.id).await?;
        let (desired, installed) = row.map_or((Desired::Absent, false), |row| (row.desired, row.installed));
        let statuses =
            plan.rendered.services.iter().map(|s| (s.service.clone(), Status::unknown())).collect();
        ctx.names.register(name::app(&plan.id), myself.get_cell());
        Ok(AppState {
            desired,
            installed,
            statuses,
            backoff: BTreeMap::new(),
            parked: BTreeMap::new(),
            op: None,
            last_op: None,
            // Until its operation says otherwise, an app that is not installed yet gets no containers.
            hold: if installed { Hold::None } else { Hold::Nothing },
            engine_ok: true,
            observed_at: now_ms(),
            shown: None,
            forgotten: false,
            ctx,
            plan,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<AppMsg>,
        state: &mut AppState,
    ) -> Result<(), ActorProcessingErr> {
        state.ask_operations();
        state.ask_supervisor().await;
        // Operations whose actors died with an earlier incarnation, or with an earlier life of the node, go on.
        for (view, command) in state.ctx.store.ops().await? {
            let open = view.app == state.plan.id && !view.state.is_terminal();
            if open && !state.ctx.names.is_alive(&name::operation(&view.app, &view.id)) {
                tracing::info!(app = %view.app, op = %view.id, "operation without an actor found");
                myself.cast(AppMsg::Resume(Box::new(view), command))?;
            }
        }
        for container in state.ctx.names.below::<ContainerMsg>(&name::containers_of(&state.plan.id)) {
            let _ = container.cast(ContainerMsg::Tell);
        }
        state.show();
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<AppMsg>,
        message: AppMsg,
        state: &mut AppState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AppMsg::Container(service, status) => {
                state.observed_at = now_ms();
                state.backoff.remove(&service);
                // A new incarnation that has not looked yet knows less than what is shown.
                let is_known = status.phase != ContainerPhase::Unknown;
                if is_known || !state.statuses.contains_key(&service) {
                    state.statuses.insert(service, status);
                }
            }
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
            AppMsg::Op(view, hold) => state.op(*view, hold),
            AppMsg::OpGone(id, reason) => state.op_gone(&id, &reason).await?,
            AppMsg::Resume(view, command) => state.resume(*view, command).await,
            AppMsg::Submit(command, key, reply) => {
                let answer = state.submit(command, key).await;
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
            AppMsg::Forgotten(reply) => {
                state.forgotten = true;
                state.ctx.publish(Row::App(Box::new(not_installed(&state.plan.manifest))));
                let _ = reply.send(());
            }
        }
        state.steer();
        state.show();
        Ok(())
    }
}

impl AppState {
    fn fate(&mut self, fate: Fate) {
        match fate {
            Fate::Ended(service) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.health = Health::None;
                    status.started_at = None;
                    if status.phase != ContainerPhase::Exited {
                        status.phase = ContainerPhase::Exited;
                        status.since = now_ms();
                    }
                }
            }
            Fate::Backoff(service, until) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.phase = ContainerPhase::Backoff;
                    status.since = now_ms();
                }
                self.backoff.insert(service, until);
            }
            Fate::Parked(service, retry_at) => {
                if let Some(status) = self.statuses.get_mut(&service) {
                    status.settled = None;
                    status.phase = ContainerPhase::Parked;
                    status.since = now_ms();
                }
                self.parked.insert(service, retry_at);
            }
            Fate::Unparked(service) => {
                self.parked.remove(&service);
                self.statuses.insert(service, Status::unknown());
            }
        }
    }

    /// Gives containers another chance: those that are given up, and those that wait for their next start.
    async fn reset(&mut self) {
        let Some(containers) = self.containers() else { return };
        let children = containers.which_children().await.unwrap_or_default();
        for child in children {
            if matches!(child.state, ChildState::Parked | ChildState::Restarting { until: Some(_), .. }) {
                if let Err(error) = containers.restart_child(child.id.clone()).await {
                    tracing::debug!(app = %self.plan.id, container = %child.id, %error, "container was not waiting");
                }
                if let Ok(service) = child.id.as_str().parse() {
                    self.fate(Fate::Unparked(service));
                }
            }
        }
        self.backoff.clear();
    }

    /// Asks the containers' supervisor who waits or is given up.
    async fn ask_supervisor(&mut self) {
        let Some(containers) = self.containers() else { return };
        for child in containers.which_children().await.unwrap_or_default() {
            let Ok(service) = child.id.as_str().parse::<ServiceName>() else { continue };
            match child.state {
                ChildState::Parked => self.fate(Fate::Parked(service, None)),
                ChildState::Restarting { until: Some(until), .. } => {
                    self.fate(Fate::Backoff(service, millis(until)))
                }
                _ => {}
            }
        }
    }

    fn op(&mut self, view: OpView, hold: Hold) {
        if view.state.is_terminal() {
            self.last_op = Some(view.id.clone());
            if self.op.as_ref().is_none_or(|op| op.id == view.id) {
                self.op = None;
                self.hold = if self.installed { Hold::None } else { Hold::Nothing };
            }
        } else {
            self.op = Some(view);
            self.hold = hold;
        }
    }

    /// An operation's actor ended: where that was not its own end, it failed.
    async fn op_gone(&mut self, id: &OpId, reason: &str) -> Result<(), StoreError> {
        self.ctx.names.forget(&name::operation(&self.plan.id, id));
        if self.op.as_ref().is_some_and(|op| op.id == *id) {
            let error = OpError {
                code: "internal".into(),
                message: format!("the operation failed within the node: {reason}"),
                hint: Some("try again; if it fails again, report it with the node's log".into()),
                retryable: true,
            };
            if !self.installed {
                // What the install made goes; an uninstall takes the rest.
                self.ctx.store.set_desired(&self.plan.id, Desired::Absent).await?;
                self.desired = Desired::Absent;
            }
            self.end_op(OpState::Failed, Some(error)).await?;
            if !self.installed {
                self.hold = Hold::None;
            }
        }
        Ok(())
    }

    /// Ends the running operation on behalf of its actor.
    async fn end_op(&mut self, end: OpState, error: Option<OpError>) -> Result<(), StoreError> {
        if let Some(mut view) = self.op.clone() {
            operation::end(&mut view, end, error);
            self.ctx.store.update_op(&view).await?;
            self.ctx.publish(Row::Op(Box::new(view.clone())));
            self.op(view, Hold::None);
        }
        Ok(())
    }

    async fn resume(&mut self, view: OpView, command: Command) {
        if self.op.is_none() {
            self.start_operation(view, command).await;
        }
    }

    async fn submit(&mut self, command: Command, key: Option<String>) -> Result<OpId, Refusal> {
        let kind = operation::kind(&command);
        if self.forgotten {
            return Err(Refusal::Unavailable("the app is being taken off the node; try again".into()));
        }
        if let Some(running) = &self.op {
            if running.kind == kind {
                return Ok(running.id.clone());
            }
            let gives_way = matches!(running.kind, OpKind::Start | OpKind::Restart);
            if !(gives_way && matches!(kind, OpKind::Stop | OpKind::Uninstall)) {
                return Err(Refusal::OpInProgress(running.id.clone()));
            }
            let id = running.id.clone();
            if let Some(stack) = self.stack() {
                // One that has ended by itself meanwhile is as good.
                let _ = stack.terminate_child(ChildId::from(operation::child_id(&id))).await;
            }
            self.end_op(OpState::Cancelled, None).await?;
        }
        if kind == OpKind::Install && self.installed {
            return Err(Refusal::Conflict(format!("{} is installed already", self.plan.manifest.name)));
        }
        if !self.installed && !matches!(kind, OpKind::Install | OpKind::Uninstall) {
            return Err(Refusal::Conflict(format!("{} is not installed", self.plan.manifest.name)));
        }
        let view = operation::new_view(&self.plan, kind);
        let id = view.id.clone();
        let desired = match kind {
            OpKind::Install | OpKind::Start | OpKind::Restart => Desired::Running,
            OpKind::Stop => Desired::Stopped,
            OpKind::Uninstall => Desired::Absent,
        };
        self.ctx.store.accept(&view, &command, key, desired).await?;
        self.desired = desired;
        self.start_operation(view, command).await;
        Ok(id)
    }

    async fn start_operation(&mut self, view: OpView, command: Command) {
        self.ctx.publish(Row::Op(Box::new(view.clone())));
        // Also for a stop: a container that waits for its restart has no actor, and its neighbours may have none.
        self.reset().await;
        // A new install gets its containers when its images are there; everything else may begin at once.
        self.hold = operation::first_hold(view.kind);
        self.op = Some(view.clone());
        self.show();
        let spec = operation::child_spec(&self.ctx, &self.plan, view, command);
        let started = match self.stack() {
            Some(stack) => stack.start_child(spec).await.map(drop).map_err(|error| error.to_string()),
            None => Err("the stack is being restarted".into()),
        };
        if let Err(message) = started {
            let hint = Some("try again".into());
            let error = OpError { code: "internal".into(), message, hint, retryable: true };
            if let Err(error) = self.end_op(OpState::Failed, Some(error)).await {
                tracing::error!(app = %self.plan.id, %error, "operation's end could not be recorded");
            }
        }
    }

    /// An operation that runs tells the hub and this actor about itself.
    fn ask_operations(&self) {
        for operation in self.ctx.names.below::<OpMsg>(&name::operations_of(&self.plan.id)) {
            let _ = operation.cast(OpMsg::Tell);
        }
    }

    fn stack(&self) -> Option<SupervisorRef> {
        SupervisorRef::from_cell(&self.ctx.names.cell(&name::stack(&self.plan.id))?)
    }

    fn containers(&self) -> Option<SupervisorRef> {
        SupervisorRef::from_cell(&self.ctx.names.cell(&name::containers(&self.plan.id))?)
    }

    /// Tells every container what is wanted of it.
    fn steer(&self) {
        for service in &self.plan.rendered.services {
            let want = self.want(&service.service, &service.depends_on);
            let container = name::container(&self.plan.id, &service.service);
            // One that is not there asks when it is.
            self.ctx.names.cast(&container, ContainerMsg::Want(want));
        }
    }

    fn want(&self, service: &ServiceName, needs: &[(ServiceName, Condition)]) -> Want {
        let desired = match self.hold {
            Hold::Nothing => return Want::Nothing,
            Hold::Stop => Desired::Stopped,
            Hold::None => self.desired,
        };
        let down = match desired {
            Desired::Running => {
                return Want::Run {
                    clear: needs.iter().all(|(on, condition)| self.is_there(on, *condition)),
                };
            }
            Desired::Stopped => Want::Stop,
            // An install that failed leaves what it found as it found it.
            Desired::Absent if !self.installed => Want::GiveBack,
            Desired::Absent => Want::Remove,
        };
        // Those that depend on it end first.
        let dependants =
            self.plan.rendered.services.iter().filter(|s| s.depends_on.iter().any(|(on, _)| on == service));
        let all_down = dependants.into_iter().all(|s| self.is_down(&s.service));
        if all_down { down } else { Want::Nothing }
    }

    /// Whether its containers are told to stop.
    fn is_going_down(&self) -> bool {
        match self.hold {
            Hold::Nothing => false,
            Hold::Stop => true,
            Hold::None => self.desired != Desired::Running,
        }
    }

    fn is_down(&self, service: &ServiceName) -> bool {
        self.statuses.get(service).is_some_and(Status::is_at_rest)
    }

    fn is_there(&self, service: &ServiceName, condition: Condition) -> bool {
        self.statuses.get(service).is_some_and(|status| {
            status.phase == ContainerPhase::Running
                && match condition {
                    Condition::ServiceStarted => true,
                    Condition::ServiceHealthy => matches!(status.health, Health::Healthy | Health::None),
                    // Validation refuses it until containers may end for good.
                    Condition::ServiceCompletedSuccessfully => false,
                }
        })
    }

    /// Publishes the row when something in it has changed.
    fn show(&mut self) {
        if self.forgotten {
            return;
        }
        let view = self.view();
        if self.shown.as_ref() != Some(&view) {
            if let Some(old) = self.shown.as_ref().filter(|old| old.phase != view.phase) {
                let (from, to) = (old.phase, view.phase);
                tracing::info!(app = %view.id, ?from, ?to, reason = view.reason.as_deref(), "phase changed");
            }
            self.ctx.publish(Row::App(Box::new(view.clone())));
            self.shown = Some(view);
        }
    }
}
