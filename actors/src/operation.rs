//! One operation on an app: install, start, stop, restart, uninstall.
//!
//! Parent: the app's stack, temporary. Children: one worker that carries the steps out.
//! Invariants: its row is written before it is shown; it ends exactly once. Every step can be repeated, so that a node
//! that was killed in the middle runs the whole operation again under its old id.

pub(crate) mod backup;
mod halfway;
mod images;
mod progress;
pub(crate) mod purge;
pub(crate) mod restore;
mod steps;
mod vault;

use crate::{app::AppMsg, clock::now_ms, control::ControlMsg, ctx::Ctx, names::name, stack::Plan, worker};
use engine::{EngineError, ErrorClass};
use progress::Progress;
use protocol::{Command, OpError, OpId, OpKind, OpState, OpView, Row, Stage, StageState};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::sync::Arc;
use supervisor::{ChildSpec, Restart, Shutdown};
use ulid::Ulid;

/// What an operation asks of the app's containers, beyond what the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing: what the user wants holds.
    None,
    /// Leave them alone.
    Nothing,
    /// Stop them, although they should run in the end.
    Stop,
}

/// What an operation does.
pub(crate) fn kind(command: &Command) -> OpKind {
    match command {
        Command::Install { .. } => OpKind::Install,
        Command::Start { .. } | Command::StartAnyway { .. } => OpKind::Start,
        Command::Stop { .. } => OpKind::Stop,
        Command::Restart { .. } => OpKind::Restart,
        Command::Uninstall { .. } => OpKind::Uninstall,
        Command::Update { .. } => OpKind::Update,
        Command::Backup { .. } => OpKind::Backup,
        Command::Restore { .. } => OpKind::Restore,
        // It has no operation of its own.
        Command::Cancel { .. } => OpKind::Stop,
    }
}

/// Whether a running operation does what a command asks for.
pub(crate) fn does(running: &OpView, command: &Command) -> bool {
    running.kind == kind(command)
        && running.stages.iter().map(|stage| stage.key.as_str()).eq(steps::stages(command).iter().copied())
}

/// What holds until the operation says otherwise.
pub(crate) fn first_hold(kind: OpKind) -> Hold {
    match kind {
        OpKind::Install | OpKind::Start => Hold::Nothing,
        OpKind::Restart => Hold::Stop,
        // It may go on with one that had begun to exchange data.
        OpKind::Restore => Hold::Nothing,
        OpKind::Stop | OpKind::Uninstall | OpKind::Update | OpKind::Backup => Hold::None,
    }
}

/// The row of an operation that was just accepted.
pub(crate) fn new_view(plan: &Plan, command: &Command) -> OpView {
    let stage = |key: &str| Stage {
        key: key.into(),
        state: StageState::Waiting,
        progress: None,
        detail: None,
        started_at: None,
        ended_at: None,
    };
    OpView {
        id: OpId(Ulid::new().to_string().into()),
        kind: kind(command),
        app: plan.id.clone(),
        state: OpState::Queued,
        stages: steps::stages(command).iter().map(|key| stage(key)).collect(),
        started_at: now_ms(),
        ended_at: None,
        error: None,
        residue: vec![],
        cancellable: false,
        late: false,
    }
}

/// Ends an operation's row; one that has ended stays as it is.
pub(crate) fn end(view: &mut OpView, state: OpState, error: Option<OpError>) {
    if view.state.is_terminal() {
        return;
    }
    let now = now_ms();
    for stage in &mut view.stages {
        let (ended, at) = match (stage.state, state) {
            (StageState::Running, OpState::Succeeded) => (StageState::Done, Some(now)),
            (StageState::Running, _) => (StageState::Failed, Some(now)),
            (StageState::Waiting, _) => (StageState::Skipped, None),
            (StageState::Done | StageState::Failed | StageState::Skipped, _) => continue,
        };
        if ended == StageState::Done {
            stage.detail = None;
        }
        stage.state = ended;
        stage.ended_at = at;
    }
    view.state = state;
    view.ended_at = Some(now);
    view.error = error;
}

/// Id of an operation's actor under its stack.
pub(crate) fn child_id(op: &OpId) -> String {
    format!("op-{op}")
}

/// The other way round.
pub(crate) fn id_of_child(child: &str) -> Option<OpId> {
    child.strip_prefix("op-").map(|id| OpId(id.into()))
}

/// The machine-readable code of an engine's error.
pub(crate) fn error_code(error: &EngineError) -> &'static str {
    match error {
        EngineError::NotFound { .. } => "not_found",
        EngineError::Conflict { .. } => "conflict",
        EngineError::PortInUse { .. } => "port_in_use",
        EngineError::ImageMissing { .. } => "image_missing",
        EngineError::NoSpace { .. } => "no_space",
        EngineError::RegistryUnreachable { .. } => "registry_unreachable",
        EngineError::Timeout { .. } => "engine_timeout",
        EngineError::Unreachable { .. } => "engine_unreachable",
        EngineError::Refused { .. } => "engine_refused",
        EngineError::Broken { .. } => "engine_broken",
        _ => "engine_protocol",
    }
}

/// The engine's error as people see it.
pub(crate) fn engine_error(error: &EngineError) -> OpError {
    let hint = match error {
        EngineError::PortInUse { .. } => {
            "stop what listens on that port, or publish another port in the manifest"
        }
        EngineError::ImageMissing { .. } => {
            "pull or build the image; for a build, see that its base image is there"
        }
        EngineError::RegistryUnreachable { .. } => {
            "check the node's connection to the internet and try again"
        }
        EngineError::NoSpace { .. } => "free some space on the disk and try again",
        EngineError::Timeout { .. } | EngineError::Unreachable { .. } => {
            "wait until the engine answers and try again"
        }
        EngineError::Conflict { .. } => "remove or rename what is in the way",
        _ => "see the message of the engine",
    };
    OpError {
        code: error_code(error).into(),
        message: error.to_string(),
        hint: Some(hint.into()),
        retryable: error.class() == ErrorClass::Transient,
    }
}

/// The operation as a child of its stack.
pub(crate) fn child_spec(ctx: &Ctx, plan: &Arc<Plan>, view: OpView, command: Command) -> ChildSpec {
    let child = child_id(&view.id);
    let args = OpArgs { ctx: ctx.clone(), plan: Arc::clone(plan), view, command };
    ChildSpec::worker(child, move |start| {
        let args = args.clone();
        async move { start.spawn(Operation, args).await }
    })
    .restart(Restart::Temporary)
    .shutdown(Shutdown::BrutalKill)
}

/// How far the steps are.
pub(crate) enum Update {
    /// This stage begins; the ones before it are done.
    Begin(&'static str),
    /// The last thing that happened in the running stage, and its progress where the total is known.
    Detail(String, Option<f32>),
    /// The containers are asked for something else.
    Hold(Hold),
    /// This stays on the machine.
    Residue(Vec<String>),
}

/// Messages of an operation.
pub(crate) enum OpMsg {
    /// Cast: tell the app about you, it is new.
    Tell,
    /// Cast, own: how far the steps are.
    Update(Update),
    /// Cast, own: the steps have ended.
    Ended(Result<(), OpError>),
}

/// Arguments of an operation.
#[derive(Clone)]
pub(crate) struct OpArgs {
    ctx: Ctx,
    plan: Arc<Plan>,
    view: OpView,
    command: Command,
}

/// State of an operation.
pub(crate) struct OpActorState {
    ctx: Ctx,
    view: OpView,
    hold: Hold,
}

/// The actor.
pub(crate) struct Operation;

impl Actor for Operation {
    type Msg = OpMsg;
    type State = OpActorState;
    type Arguments = OpArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<OpMsg>,
        args: OpArgs,
    ) -> Result<OpActorState, ActorProcessingErr> {
        let OpArgs { ctx, plan, mut view, command } = args;
        ctx.names.register(name::operation(&plan.id, &view.id), myself.get_cell());
        view.state = OpState::Running;
        let hold = first_hold(kind(&command));
        let progress = Progress::new(myself.clone(), ctx.clone(), plan);
        worker::run(myself.get_cell(), async move {
            let result = steps::run(&progress, &command).await;
            progress.ended(result);
        })
        .await?;
        Ok(OpActorState { ctx, view, hold })
    }

    async fn handle(
        &self,
        myself: ActorRef<OpMsg>,
        message: OpMsg,
        state: &mut OpActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            OpMsg::Tell => {}
            OpMsg::Update(Update::Begin(key)) => {
                state.begin(key);
                state.ctx.store.update_op(&state.view).await?;
            }
            OpMsg::Update(Update::Detail(text, progress)) => state.detail(text, progress),
            OpMsg::Update(Update::Hold(hold)) => state.hold = hold,
            OpMsg::Update(Update::Residue(residue)) => state.view.residue = residue,
            OpMsg::Ended(result) => {
                let (end_state, error) = match result {
                    Ok(()) => (OpState::Succeeded, None),
                    Err(error) => (OpState::Failed, Some(error)),
                };
                end(&mut state.view, end_state, error);
                state.ctx.store.update_op(&state.view).await?;
                state.tell();
                // Where the app is off the node now, its stack goes too; control knows.
                state.ctx.names.cast(name::CONTROL, ControlMsg::Retire(state.view.app.clone()));
                myself.stop(None);
                return Ok(());
            }
        }
        state.tell();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<OpMsg>,
        event: SupervisionEvent,
        _: &mut OpActorState,
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

impl OpActorState {
    fn begin(&mut self, key: &str) {
        let now = now_ms();
        for stage in &mut self.view.stages {
            if stage.key == key {
                stage.state = StageState::Running;
                stage.started_at = Some(now);
                break;
            }
            if stage.state == StageState::Running {
                stage.state = StageState::Done;
                stage.detail = None;
                stage.progress = stage.progress.map(|_| 1.0);
                stage.ended_at = Some(now);
            } else if stage.state == StageState::Waiting {
                stage.state = StageState::Skipped;
            }
        }
    }

    fn detail(&mut self, text: String, progress: Option<f32>) {
        if let Some(stage) = self.view.stages.iter_mut().find(|stage| stage.state == StageState::Running) {
            stage.detail = Some(text);
            // Never back within an attempt.
            stage.progress =
                progress.map(|new| stage.progress.map_or(new, |old| old.max(new))).or(stage.progress);
        }
    }

    /// Shows the row and tells the app.
    fn tell(&self) {
        self.ctx.publish(Row::Op(Box::new(self.view.clone())));
        let message = AppMsg::Op(Box::new(self.view.clone()), self.hold);
        self.ctx.names.cast(&name::app(&self.view.app), message);
    }
}
