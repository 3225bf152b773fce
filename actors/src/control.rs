//! Takes commands, and keeps one stack for every app that is on the node.
//!
//! Parent: node, permanent. Children: none; the stacks are `stacks`'.
//! Invariants: an app is on the node only beside those that it fits; it has a stack exactly while the store has a row of it; a new incarnation finds everything in the
//! store and starts only what is missing.

mod fit;

pub(crate) use fit::{nobody_needs, problems};

use crate::{
    app::{AppMsg, Refusal},
    catalog::{CatalogMsg, FindError},
    clock::now_ms,
    ctx::Ctx,
    gate,
    hub::HubMsg,
    names::name,
    operation,
    stack::{self, Plan},
    store::{AppRow, StoreError},
};
use apps::Manifest;
use protocol::{
    AppId, AppView, Command, Confidence, Desired, OpError, OpId, OpKind, OpState, OpView, Phase, Problem, Row,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message, RpcReplyPort};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use supervisor::{ChildId, SupervisorError, SupervisorRef};

/// Name of the supervisor of all stacks.
pub(crate) const STACKS: &str = "stacks";
/// Longest wait for another actor's answer.
const ANSWER: Duration = Duration::from_secs(15);

/// Why a command is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SubmitError {
    /// There is no such app in the catalog.
    #[error(transparent)]
    Catalog(#[from] FindError),
    /// It is not on the node.
    #[error("{0} is not installed")]
    NotInstalled(AppId),
    /// It does not fit those that are on the node. Remedy: each problem has its own.
    #[error("{0} cannot be installed: {what}", what = messages(.1))]
    Unfit(AppId, Vec<Problem>),
    /// It lacks secrets that its owner has to give. Remedy: each problem has its own.
    #[error("{0} cannot be installed: {what}", what = messages(.1))]
    NotGiven(AppId, Vec<Problem>),
    /// Others cannot run without it. Remedy: uninstall them first.
    #[error("{0} is needed by {who}", who = .1.iter().map(AppId::as_str).collect::<Vec<_>>().join(", "))]
    Needed(AppId, Vec<AppId>),
    /// The catalog has nothing else.
    #[error("{0} is at the catalog's version {1} already")]
    UpToDate(AppId, String),
    /// There is no such operation.
    #[error("there is no operation {0}")]
    NoOperation(OpId),
    /// The operation is another app's.
    #[error("operation {0} is of {1}")]
    NotOf(OpId, AppId),
    /// The operation has ended.
    #[error("operation {0} has ended: it {1}")]
    Ended(OpId, &'static str),
    /// The key was used for another command.
    #[error("the idempotency key was used for another command")]
    KeyReused,
    /// The app refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

fn messages(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn away(what: &str) -> SubmitError {
    SubmitError::Refused(Refusal::Unavailable(format!("{what} is being restarted; try again")))
}

/// Messages of control.
pub(crate) enum ControlMsg {
    /// Cast, own: start what the store has.
    Boot,
    /// Cast: publish the rows of all operations.
    Publish,
    /// Call: do this.
    Submit(Command, Option<String>, RpcReplyPort<Result<OpId, SubmitError>>),
    /// Call, from an operation: the app is off the node.
    Forget(AppId, RpcReplyPort<Result<(), StoreError>>),
    /// Cast: an operation of this app has ended.
    Retire(AppId),
    /// Cast, from an operation: the app has another manifest in the store; its stack has to follow.
    Exchange(AppId),
}

/// The actor.
pub(crate) struct Control;

impl Actor for Control {
    type Msg = ControlMsg;
    type State = Ctx;
    type Arguments = Ctx;

    async fn pre_start(&self, myself: ActorRef<ControlMsg>, ctx: Ctx) -> Result<Ctx, ActorProcessingErr> {
        ctx.set_node_id(ctx.store.node_id().await?);
        ctx.names.register(name::CONTROL, myself.get_cell());
        Ok(ctx)
    }

    async fn post_start(&self, myself: ActorRef<ControlMsg>, _: &mut Ctx) -> Result<(), ActorProcessingErr> {
        Ok(myself.cast(ControlMsg::Boot)?)
    }

    async fn handle(
        &self,
        _: ActorRef<ControlMsg>,
        message: ControlMsg,
        ctx: &mut Ctx,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ControlMsg::Boot => boot(ctx).await?,
            ControlMsg::Publish => publish(ctx).await?,
            ControlMsg::Submit(command, key, reply) => {
                let answer = submit(ctx, command, key).await;
                // The caller may have given up; the operation's row tells the rest.
                let _ = reply.send(answer);
            }
            ControlMsg::Forget(app, reply) => {
                let _ = reply.send(forget(ctx, &app).await);
            }
            ControlMsg::Exchange(app) => exchange(ctx, &app).await?,
            ControlMsg::Retire(app) => {
                if ctx.store.app(&app).await?.is_none() {
                    end_stack(ctx, &app).await;
                }
            }
        }
        Ok(())
    }
}

async fn boot(ctx: &Ctx) -> Result<(), ActorProcessingErr> {
    let unfinished: Vec<(OpView, Command)> =
        ctx.store.ops().await?.into_iter().filter(|(view, _)| !view.state.is_terminal()).collect();
    let mut without_stack = Vec::new();
    for row in ctx.store.apps().await? {
        let begun = row.installed || unfinished.iter().any(|(view, _)| view.app == row.id);
        if !begun && row.desired == Desired::Running {
            // The node ended between writing the app and accepting its install: nothing was made.
            ctx.store.delete_app(&row.id).await?;
            continue;
        }
        if let Err(error) = start_stack(ctx, &row).await {
            tracing::error!(app = %row.id, %error, "stack could not be started");
            ctx.publish(Row::App(Box::new(unusable(&row, &error))));
            without_stack.push((row.id, error.to_string()));
        }
    }
    publish(ctx).await?;
    for (view, _) in unfinished {
        match without_stack.iter().find(|(app, _)| *app == view.app) {
            Some((_, error)) => interrupt(ctx, view, error).await?,
            None => close_orphan(ctx, view).await?,
        }
    }
    ctx.names.cast(name::CATALOG, CatalogMsg::Publish);
    // After this call everything that was published above is on the board.
    call(ctx, name::HUB, HubMsg::Heads).await.map_err(|error| error.to_string())?;
    ctx.ready.store(true, Ordering::Release);
    Ok(())
}

/// The row of an app whose stack cannot be started, as when this node does not accept its manifest.
fn unusable(row: &AppRow, error: &SubmitError) -> AppView {
    let now = now_ms();
    AppView {
        id: row.id.clone(),
        name: row.id.to_string(),
        tagline: String::new(),
        version: String::new(),
        installed: row.installed,
        phase: Phase::Failed,
        reason: Some(format!("it is not supervised: {error}")),
        since: now,
        observed_at: now,
        confidence: Confidence::LastKnown,
        desired: row.desired,
        op: None,
        last_op: None,
        wait: vec![],
        restarts: 0,
        containers: vec![],
        launch: vec![],
        next_retry: None,
        update: None,
        backup: None,
        category: None,
        icon: false,
    }
}

async fn publish(ctx: &Ctx) -> Result<(), StoreError> {
    for (view, _) in ctx.store.ops().await? {
        // The row of one that runs is its own actor's.
        let running = ctx.names.cell(&name::operation(&view.app, &view.id)).is_some();
        if view.state.is_terminal() || !running {
            ctx.publish(Row::Op(Box::new(view)));
        }
    }
    Ok(())
}

/// Gives an app a new stack, from the manifest that the store has of it. What runs is not touched.
async fn exchange(ctx: &Ctx, app: &AppId) -> Result<(), StoreError> {
    let Some(row) = ctx.store.app(app).await? else { return Ok(()) };
    // Else it would take the end of its operation for a failure.
    if call(ctx, &name::app(app), AppMsg::Leave).await.is_err() {
        tracing::warn!(%app, "the app was not told that its stack ends");
    }
    if end_supervisor(ctx, app).await
        && let Ok(plan) = Plan::of(&row, ctx)
    {
        gate::exchange_gates(ctx, &plan).await;
    }
    if let Err(error) = start_stack(ctx, &row).await {
        tracing::error!(%app, %error, "stack could not be started");
        ctx.publish(Row::App(Box::new(unusable(&row, &error))));
    }
    Ok(())
}

/// Ends an operation that nobody can go on with.
async fn interrupt(ctx: &Ctx, mut view: OpView, why: &str) -> Result<(), StoreError> {
    let error = OpError {
        code: "not_supervised".into(),
        message: format!("the node cannot go on with it: {why}"),
        hint: Some("see that the app's manifest fits this version of the node".into()),
        retryable: false,
    };
    operation::end(&mut view, OpState::Interrupted, Some(error));
    close(ctx, view).await
}

async fn close(ctx: &Ctx, view: OpView) -> Result<(), StoreError> {
    ctx.store.update_op(&view).await?;
    crate::journal::rows::record_late_end(ctx, &view);
    ctx.publish(Row::Op(Box::new(view)));
    Ok(())
}

/// Ends an operation whose app is gone; those of other apps are resumed by their apps.
async fn close_orphan(ctx: &Ctx, mut view: OpView) -> Result<(), StoreError> {
    if ctx.store.app(&view.app).await?.is_none() {
        let failed = ctx.store.course(&view.id).await?.failed;
        let end = match (view.kind, view.state, &failed) {
            // An uninstall whose app is gone did what it was to do.
            (OpKind::Uninstall, ..) => OpState::Succeeded,
            (_, OpState::Cancelling, _) => OpState::Cancelled,
            (_, _, Some(_)) => OpState::Failed,
            (_, _, None) => OpState::Interrupted,
        };
        operation::end(&mut view, end, failed);
        close(ctx, view).await?;
    }
    Ok(())
}

async fn submit(ctx: &Ctx, command: Command, key: Option<String>) -> Result<OpId, SubmitError> {
    if let Command::Cancel { app, op } = &command {
        return cancel(ctx, app, op).await;
    }
    if let Some(key) = &key {
        match ctx.store.op_by_key(key.clone()).await? {
            Some((op, earlier)) if earlier == command => return Ok(op),
            Some(_) => return Err(SubmitError::KeyReused),
            None => {}
        }
    }
    let app = command.app().clone();
    let known = ctx.store.app(&app).await?;
    let is_new = known.is_none();
    if matches!(command, Command::Uninstall { .. }) {
        fit::nobody_needs(ctx, &app).await?;
    }
    if let (Command::Install { .. }, Some(row)) = (&command, known.as_ref().filter(|row| !row.installed))
        && let Ok(manifest) = Manifest::parse(&row.manifest)
    {
        fit::is_given(ctx, &manifest)?;
        fit::fits(ctx, manifest).await?;
    }
    if let (Command::Update { .. }, Some(row)) = (&command, known.as_ref().filter(|row| row.installed)) {
        differs(ctx, row).await?;
    }
    if is_new {
        // What an earlier uninstall has kept can still be deleted.
        if !matches!(command, Command::Install { .. } | Command::Uninstall { purge: true, .. }) {
            return Err(SubmitError::NotInstalled(app));
        }
        // A stack whose app was just forgotten makes room.
        end_stack(ctx, &app).await;
        let found = call(ctx, name::CATALOG, |reply| CatalogMsg::Find(app.clone(), reply)).await??;
        if matches!(command, Command::Install { .. }) {
            fit::is_given(ctx, &found.manifest)?;
        }
        if matches!(command, Command::Install { .. }) {
            fit::fits(ctx, found.manifest).await?;
        }
        let row = AppRow {
            id: app.clone(),
            manifest: found.text,
            manifest_dir: found.dir,
            desired: Desired::Running,
            installed: false,
            anyway: false,
            previous: None,
        };
        ctx.store.put_app(row.clone()).await?;
        if let Err(error) = start_stack(ctx, &row).await {
            ctx.store.delete_app(&app).await?;
            end_stack(ctx, &app).await;
            return Err(error);
        }
    } else if let Some(row) = known.filter(|_| !ctx.names.is_alive(&name::app(&app))) {
        // It is being restarted, or its stack never came up: nothing happens where it is there.
        start_stack(ctx, &row).await?;
    }
    let answer =
        call(ctx, &name::app(&app), |reply| AppMsg::Submit(command.clone(), key.clone(), reply)).await?;
    if is_new && answer.is_err() {
        // Nothing was made yet: leave nothing behind.
        forget(ctx, &app).await?;
        end_stack(ctx, &app).await;
    }
    Ok(answer?)
}

/// Ends an operation that runs.
async fn cancel(ctx: &Ctx, app: &AppId, op: &OpId) -> Result<OpId, SubmitError> {
    let found = ctx.store.op(op).await?.ok_or_else(|| SubmitError::NoOperation(op.clone()))?;
    if found.app != *app {
        return Err(SubmitError::NotOf(op.clone(), found.app));
    }
    let ended = match found.state {
        OpState::Queued | OpState::Running | OpState::Cancelling => None,
        OpState::Succeeded => Some("succeeded"),
        OpState::Failed => Some("failed"),
        OpState::Cancelled => Some("was cancelled"),
        OpState::Interrupted => Some("was interrupted"),
    };
    if let Some(ended) = ended {
        return Err(SubmitError::Ended(op.clone(), ended));
    }
    Ok(call(ctx, &name::app(app), |reply| AppMsg::Cancel(op.clone(), reply)).await??)
}

/// Refuses an update to what is there, or to what does not fit the other apps.
async fn differs(ctx: &Ctx, row: &AppRow) -> Result<(), SubmitError> {
    // While one is under way, it is joined or refused by the app.
    if row.previous.is_some() {
        return Ok(());
    }
    let found = call(ctx, name::CATALOG, |reply| CatalogMsg::Find(row.id.clone(), reply)).await??;
    if found.text == row.manifest {
        return Err(SubmitError::UpToDate(row.id.clone(), found.manifest.version));
    }
    let new = AppRow { manifest: found.text, manifest_dir: found.dir, ..row.clone() };
    Plan::of(&new, ctx).map_err(|problems| SubmitError::Catalog(FindError::Invalid(problems)))?;
    fit::is_given(ctx, &found.manifest)?;
    fit::fits(ctx, found.manifest).await
}

async fn forget(ctx: &Ctx, app: &AppId) -> Result<(), StoreError> {
    ctx.store.delete_app(app).await?;
    if call(ctx, &name::app(app), AppMsg::Forgotten).await.is_err() {
        ctx.names.cast(name::CATALOG, CatalogMsg::Publish);
    }
    Ok(())
}

/// Starts an app's stack unless it is there.
async fn start_stack(ctx: &Ctx, row: &AppRow) -> Result<(), SubmitError> {
    let plan = Plan::of(row, ctx).map_err(|problems| SubmitError::Catalog(FindError::Invalid(problems)))?;
    let (stacks, plan) = (stacks(ctx)?, Arc::new(plan));
    ctx.places.set(&plan);
    let spec = stack::child_spec(ctx, &plan);
    let id = spec.id.clone();
    let started = match stacks.start_child(spec).await {
        Err(SupervisorError::AlreadyPresent) => stacks.restart_child(id).await,
        other => other,
    };
    match started {
        Ok(_)
        | Err(SupervisorError::AlreadyStarted(_) | SupervisorError::Running | SupervisorError::Restarting) => {
            gate::start_gates(ctx, &plan).await;
            Ok(())
        }
        Err(error) => Err(SubmitError::Refused(Refusal::Unavailable(error.to_string()))),
    }
}

/// Ends an app's stack, if there is one. Its containers are not touched.
async fn end_stack(ctx: &Ctx, app: &AppId) {
    if end_supervisor(ctx, app).await {
        gate::end_gates(ctx, app).await;
        ctx.places.forget(app);
        ctx.coming.set(ctx, app, 0);
    }
}

/// Ends the supervisor of an app and all that is below it; says whether there was one.
async fn end_supervisor(ctx: &Ctx, app: &AppId) -> bool {
    let Ok(stacks) = stacks(ctx) else { return false };
    let id = ChildId::from(app.as_str());
    if stacks.terminate_child(id.clone()).await.is_err() {
        return false;
    }
    if let Err(error) = stacks.delete_child(id).await {
        tracing::warn!(%app, %error, "ended stack could not be deleted");
    }
    ctx.names.forget(&name::app(app));
    ctx.names.forget(&name::needy(app));
    ctx.names.forget(&name::stack(app));
    ctx.names.forget(&name::containers(app));
    ctx.names.forget_below(&name::containers_of(app));
    ctx.names.forget_below(&name::operations_of(app));
    let gone = ctx.tree.remove(&stack::path(app));
    ctx.names.cast(name::HUB, HubMsg::Tree(vec![], gone));
    true
}

fn stacks(ctx: &Ctx) -> Result<SupervisorRef, SubmitError> {
    ctx.names.cell(STACKS).and_then(|cell| SupervisorRef::from_cell(&cell)).ok_or_else(|| away("the node"))
}

async fn call<M: Message, T: Send + 'static>(
    ctx: &Ctx,
    whom: &str,
    message: impl FnOnce(RpcReplyPort<T>) -> M,
) -> Result<T, SubmitError> {
    let actor = ctx.names.find::<M>(whom).ok_or_else(|| away(whom))?;
    let (answer, answered) = ractor::concurrency::oneshot();
    actor.cast(message(answer.into())).map_err(|_| away(whom))?;
    match tokio::time::timeout(ANSWER, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(away(whom)),
    }
}
