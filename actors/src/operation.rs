//! One operation on an app: install, start, stop, restart, update, uninstall.
//!
//! ```text
//! queued -> running -> succeeded | failed
//!              |                     ^
//!              +-> cancelling -> cancelled
//! ```
//!
//! Parent: the app's stack, temporary. Children: one worker that carries the steps out, or undoes them.
//! Invariants: its row is written before it is shown; it ends exactly once. Every step can be repeated, so that a node
//! that was killed in the middle runs the whole operation again under its old id; what has to be remembered is in its
//! [`Course`].

pub(crate) mod backup;
mod course;
mod error;
mod fault;
mod halfway;
mod images;
mod install;
mod progress;
pub(crate) mod purge;
pub(crate) mod restore;
mod stage;
mod steps;
mod update;
mod vault;
mod view;

pub(crate) use course::Course;
pub(crate) use error::{engine_error, error_code, internal};
pub use fault::{CrashPoint, Fault, Faults, Position, crash_points};
pub(crate) use stage::are_done;
pub(crate) use view::{does, end, keep_progress, kind, new_view};

use crate::{
    app::{AppMsg, Refusal},
    control::ControlMsg,
    ctx::Ctx,
    names::name,
    stack::Plan,
    worker,
};
use progress::Progress;
use protocol::{Command, OpError, OpId, OpKind, OpState, OpView, Row, ServiceName, StageState};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use supervisor::{ChildSpec, Restart, Shutdown};
use tokio::time::Instant;

/// Nothing is shown of an operation for no longer than twice this.
const TICK: Duration = Duration::from_secs(5);

/// What an operation asks of the app's containers, beyond what the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing: what the user wants holds.
    None,
    /// Leave them alone.
    Nothing,
    /// Stop them, although they should run in the end.
    Stop,
    /// Stop those of these services; of the others, what the user wants holds.
    StopThese(Arc<BTreeSet<ServiceName>>),
}

/// What holds until the operation says otherwise.
pub(crate) fn first_hold(view: &OpView) -> Hold {
    let is = |key: &str, state: StageState| view.stages.iter().any(|it| it.key == key && it.state == state);
    match view.kind {
        OpKind::Install | OpKind::Start => Hold::Nothing,
        OpKind::Restart if is("stop", StageState::Done) => Hold::Nothing,
        OpKind::Restart => Hold::Stop,
        // Half of the app may be the old version and half of it the new one.
        OpKind::Update if !is("replace", StageState::Waiting) => Hold::Nothing,
        // It may go on with one that had begun to exchange data.
        OpKind::Restore => Hold::Nothing,
        // Nothing is removed before that stage has begun.
        OpKind::Uninstall if is("remove", StageState::Waiting) => Hold::Stop,
        OpKind::Stop | OpKind::Uninstall | OpKind::Update | OpKind::Backup => Hold::None,
    }
}

/// Id of an operation's actor under its stack.
pub(crate) fn child_id(op: &OpId) -> String {
    format!("op-{op}")
}

/// The other way round.
pub(crate) fn id_of_child(child: &str) -> Option<OpId> {
    child.strip_prefix("op-").map(|id| OpId(id.into()))
}

/// The operation as a child of its stack.
pub(crate) fn child_spec(ctx: &Ctx, plan: &Arc<Plan>, view: OpView, command: Command) -> ChildSpec {
    let child = child_id(&view.id);
    let args = OpArgs { ctx: ctx.clone(), plan: Arc::clone(plan), view, command: Arc::new(command) };
    ChildSpec::worker(child, move |start| {
        let args = args.clone();
        async move { start.spawn(Operation, args).await }
    })
    .restart(Restart::Temporary)
    .shutdown(Shutdown::BrutalKill)
}

/// How far the steps are.
pub(crate) enum Update {
    /// Call: this stage begins.
    Begin(&'static str, RpcReplyPort<()>),
    /// Call: this stage is done.
    Done(&'static str, RpcReplyPort<()>),
    /// Call: it has failed, and what it made is being undone.
    Undoing(RpcReplyPort<()>),
    /// Call: this stage is not needed; why.
    Skip(&'static str, &'static str, RpcReplyPort<()>),
    /// Cast: the last thing that happened in the running stage, and its progress where the total is known.
    Detail(String, Option<f32>),
    /// Cast: the containers are asked for something else.
    Hold(Hold),
    /// Call: everything before this was passed on.
    Sync(RpcReplyPort<()>),
    /// Cast: this stays on the machine.
    Residue(Vec<String>),
    /// Cast: the steps have ended.
    Ended(Result<(), OpError>),
}

/// Messages of an operation.
pub(crate) enum OpMsg {
    /// Cast: tell the app about you, it is new.
    Tell,
    /// Cast, own: look whether it is late, and whether there has been no word of it for a while.
    Tick,
    /// From the worker of this number; of an earlier one it is not heard any more.
    Worker(u32, Update),
    /// Call: end, and undo what you have made.
    Cancel(RpcReplyPort<Result<OpId, Refusal>>),
}

/// Arguments of an operation.
#[derive(Clone)]
pub(crate) struct OpArgs {
    ctx: Ctx,
    plan: Arc<Plan>,
    view: OpView,
    command: Arc<Command>,
}

/// State of an operation.
pub(crate) struct OpActorState {
    args: OpArgs,
    view: OpView,
    hold: Hold,
    worker: Option<ActorCell>,
    /// Number of the worker.
    attempt: u32,
    undoing: bool,
    /// When the running stage began, in this life of the node.
    began: Instant,
    /// What was heard last, and when.
    said: (String, Instant),
    told: Instant,
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
        let mut view = args.view.clone();
        args.ctx.names.register(name::operation(&args.plan.id, &view.id), myself.get_cell());
        if view.state == OpState::Queued {
            view.state = OpState::Running;
        }
        let (hold, now) = (first_hold(&view), Instant::now());
        let mut state = OpActorState {
            args,
            view,
            hold,
            worker: None,
            attempt: 0,
            undoing: false,
            began: now,
            said: ("begun".into(), now),
            told: now,
        };
        state.work(&myself).await?;
        drop(myself.send_after(TICK, || OpMsg::Tick));
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<OpMsg>,
        message: OpMsg,
        state: &mut OpActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            OpMsg::Tell => state.tell(),
            OpMsg::Tick => {
                state.tick();
                drop(myself.send_after(TICK, || OpMsg::Tick));
            }
            OpMsg::Worker(attempt, update) if attempt == state.attempt => {
                state.update(&myself, update).await?;
            }
            OpMsg::Worker(..) => {}
            OpMsg::Cancel(reply) => {
                let answer = state.cancel(&myself).await?;
                // The caller may have given up; the row tells the rest.
                let _ = reply.send(answer);
            }
        }
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
    /// Starts the next worker; the one before is not there any more, or will not be heard.
    async fn work(&mut self, myself: &ActorRef<OpMsg>) -> Result<(), SpawnErr> {
        if let Some(worker) = self.worker.take() {
            worker.kill();
        }
        self.attempt += 1;
        let OpArgs { ctx, plan, command, .. } = self.args.clone();
        let progress = Progress::new((myself.clone(), self.attempt), ctx, plan, command, &self.view);
        let work = async move {
            let result = steps::run(&progress).await;
            progress.ended(result);
        };
        self.worker = Some(worker::run(myself.get_cell(), work).await?);
        Ok(())
    }

    async fn update(&mut self, myself: &ActorRef<OpMsg>, update: Update) -> Result<(), ActorProcessingErr> {
        let mut written = None;
        match update {
            Update::Begin(key, reply) => {
                view::begin(&mut self.view, key);
                self.heard(format!("{key} has begun"));
                self.began = Instant::now();
                written = Some(reply);
            }
            Update::Done(key, reply) => {
                view::done(&mut self.view, key);
                self.heard(format!("{key} is done"));
                written = Some(reply);
            }
            Update::Undoing(reply) => {
                self.undoing = true;
                written = Some(reply);
            }
            Update::Skip(key, why, reply) => {
                view::skip(&mut self.view, key, why);
                written = Some(reply);
            }
            Update::Detail(text, progress) => {
                view::detail(&mut self.view, text.clone(), progress);
                self.heard(text);
            }
            Update::Hold(hold) => self.hold = hold,
            Update::Sync(reply) => {
                // A worker that does not wait any more was stopped.
                let _ = reply.send(());
            }
            Update::Residue(mut residue) => {
                residue.retain(|it| !self.view.residue.contains(it));
                self.view.residue.append(&mut residue);
            }
            Update::Ended(result) => return self.ended(myself, result).await,
        }
        self.view.cancellable = self.view.state == OpState::Running
            && !self.undoing
            && stage::is_cancellable(&self.args.command, &self.view.stages, &self.args.plan);
        if let Some(reply) = written {
            self.args.ctx.store.update_op(&self.view).await?;
            // A worker that does not wait any more was stopped.
            let _ = reply.send(());
        }
        self.tell();
        Ok(())
    }

    async fn ended(
        &mut self,
        myself: &ActorRef<OpMsg>,
        result: Result<(), OpError>,
    ) -> Result<(), ActorProcessingErr> {
        let (state, error) = match (self.view.state, result) {
            (OpState::Cancelling, result) => (OpState::Cancelled, result.err()),
            (_, Ok(())) => (OpState::Succeeded, None),
            (_, Err(error)) => (OpState::Failed, Some(error)),
        };
        end(&mut self.view, state, error);
        self.args.ctx.store.update_op(&self.view).await?;
        self.tell();
        // Where the app is off the node now, its stack goes too; control knows.
        self.args.ctx.names.cast(name::CONTROL, ControlMsg::Retire(self.view.app.clone()));
        myself.stop(None);
        Ok(())
    }

    /// Stops the worker, whatever it waits for, and has another one undo what it made.
    async fn cancel(
        &mut self,
        myself: &ActorRef<OpMsg>,
    ) -> Result<Result<OpId, Refusal>, ActorProcessingErr> {
        let id = self.view.id.clone();
        if self.view.state == OpState::Cancelling {
            return Ok(Ok(id));
        }
        if self.undoing {
            return Ok(Err(Refusal::Conflict("it has failed and is being undone already".into())));
        }
        if !self.view.cancellable {
            return Ok(Err(Refusal::Conflict("it cannot be cancelled any more".into())));
        }
        let view =
            OpView { state: OpState::Cancelling, cancellable: false, late: false, ..self.view.clone() };
        self.args.ctx.store.update_op(&view).await?;
        self.view = view;
        self.heard("cancelled, what was made is being undone".into());
        self.began = Instant::now();
        self.work(myself).await?;
        self.tell();
        Ok(Ok(id))
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let running = self.view.stages.iter().find(|stage| stage.state == StageState::Running);
        let Some(stage) = running else { return };
        let usual = stage::patience(&self.args.command, &stage.key, &self.args.plan).0;
        let late = now.duration_since(self.began) >= usual;
        if now.duration_since(self.told) >= TICK || late != self.view.late {
            self.view.late = late;
            let (said, at) = &self.said;
            let text = format!("{said}, {} s ago", now.duration_since(*at).as_secs());
            view::detail(&mut self.view, text, None);
            self.tell();
        }
    }

    fn heard(&mut self, what: String) {
        self.said = (what, Instant::now());
    }

    /// Shows the row and tells the app.
    fn tell(&mut self) {
        self.told = Instant::now();
        self.args.ctx.publish(Row::Op(Box::new(self.view.clone())));
        let message = AppMsg::Op(Box::new(self.view.clone()), self.hold.clone());
        self.args.ctx.names.cast(&name::app(&self.view.app), message);
    }
}
