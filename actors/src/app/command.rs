//! Commands on an app, and the one operation that carries a command out.

use super::{AppMsg, AppState, Refusal};
use crate::{
    names::name,
    operation::{self, Course, Hold, OpMsg},
    store::StoreError,
};
use protocol::{Command, Desired, OpError, OpId, OpKind, OpState, OpView, Row};
use ractor::{ActorRef, RpcReplyPort};
use std::{sync::atomic::Ordering, time::Duration};
use supervisor::{ChildId, ExitReason, SupervisorError};

/// Pause before an operation whose stack is away is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// An operation whose actor has ended more often than this is given up.
const DEATHS: u32 = 3;

impl AppState {
    /// Takes up the operation of an earlier incarnation or an earlier life of the node, before anything else is done.
    pub(super) async fn find_operation(&mut self, myself: &ActorRef<AppMsg>) -> Result<(), StoreError> {
        let ops = self.ctx.store.ops().await?.into_iter();
        let mut open = ops.filter(|(view, _)| view.app == self.plan.id && !view.state.is_terminal());
        let Some((view, command)) = open.next() else { return Ok(()) };
        for (mut other, _) in open {
            operation::end(&mut other, OpState::Interrupted, None);
            self.ctx.store.update_op(&other).await?;
            self.ctx.publish(Row::Op(Box::new(other)));
        }
        (self.op, self.command) = (Some(view.clone()), Some(command.clone()));
        if self.is_at_work(&view.id) {
            // What it asks of the containers, it will say.
            self.hold = Hold::Nothing;
            self.ask_operations();
        } else {
            tracing::info!(app = %view.app, op = %view.id, "operation without an actor found");
            self.hold = self.first_hold(&view);
            // Where it does not arrive, the next incarnation finds the operation again.
            let _ = myself.cast(AppMsg::Resume(Box::new(view), command));
        }
        Ok(())
    }

    /// What holds until an operation says otherwise.
    fn first_hold(&self, view: &OpView) -> Hold {
        if self.is_halfway() { Hold::Nothing } else { operation::first_hold(view) }
    }

    /// What holds when no operation runs: an app whose data are being exchanged is not started.
    pub(super) fn released(&self) -> Hold {
        if self.is_halfway() { Hold::Nothing } else { Hold::None }
    }

    fn is_halfway(&self) -> bool {
        operation::restore::is_halfway(&self.ctx, &self.plan.id)
    }

    fn is_at_work(&self, op: &OpId) -> bool {
        self.ctx.names.is_alive(&name::operation(&self.plan.id, op))
    }

    pub(super) async fn submit(
        &mut self,
        myself: &ActorRef<AppMsg>,
        command: Command,
        key: Option<String>,
    ) -> Result<OpId, Refusal> {
        let kind = operation::kind(&command);
        if self.forgotten {
            return Err(Refusal::Unavailable("the app is being taken off the node; try again".into()));
        }
        let anyway = match &command {
            Command::StartAnyway { .. } => self.may_skip()?,
            Command::Start { .. } => self.needs.anyway,
            Command::Install { .. }
            | Command::Stop { .. }
            | Command::Restart { .. }
            | Command::Uninstall { .. }
            | Command::Update { .. }
            | Command::Backup { .. }
            | Command::Restore { .. }
            | Command::Cancel { .. } => false,
        };
        if let Some(running) = &self.op {
            if self.command.as_ref().is_some_and(|running| operation::does(running, &command)) {
                if anyway && !self.needs.anyway {
                    self.ctx.store.set_anyway(&self.plan.id, true).await?;
                    self.needs.anyway = true;
                }
                return Ok(running.id.clone());
            }
            let gives_way = matches!(running.kind, OpKind::Start | OpKind::Restart);
            if !(gives_way && matches!(kind, OpKind::Stop | OpKind::Uninstall)) {
                return Err(Refusal::OpInProgress(running.id.clone()));
            }
            // One that has ended by itself meanwhile is as good.
            let _ = self.stack.terminate_child(ChildId::from(operation::child_id(&running.id))).await;
            self.end_op(OpState::Cancelled, None).await?;
        }
        if kind == OpKind::Install && self.installed {
            return Err(Refusal::Conflict(format!("{} is installed already", self.plan.manifest.name)));
        }
        if !self.installed && !matches!(kind, OpKind::Install | OpKind::Uninstall) {
            return Err(Refusal::Conflict(format!("{} is not installed", self.plan.manifest.name)));
        }
        let starts = matches!(kind, OpKind::Start | OpKind::Restart | OpKind::Update | OpKind::Install);
        if starts && self.is_halfway() {
            let name = &self.plan.manifest.name;
            let what = "its data are half those of a backup: restore a backup first, the same or another one";
            return Err(Refusal::Conflict(format!("{name} cannot be started: {what}")));
        }
        let view = operation::new_view(&self.plan, &command);
        let id = view.id.clone();
        let desired = match kind {
            OpKind::Install | OpKind::Start | OpKind::Restart => Desired::Running,
            OpKind::Stop => Desired::Stopped,
            OpKind::Uninstall => Desired::Absent,
            // What the user wants of it stays as it is.
            OpKind::Update | OpKind::Backup | OpKind::Restore => self.desired,
        };
        let course = Course { desired: Some(self.desired), ..Course::default() };
        self.ctx.store.accept(&view, &command, key, (desired, anyway), &course).await?;
        self.desired = desired;
        self.needs.anyway = anyway;
        self.start_operation(myself, view, command).await;
        Ok(id)
    }

    /// Whether everything that the app waits for may be left out; with nothing to leave out it is an ordinary start.
    fn may_skip(&self) -> Result<bool, Refusal> {
        let waits = self.needs.missing(&self.plan.manifest.requires);
        match waits.iter().find(|wait| !wait.may_skip) {
            None => Ok(!waits.is_empty()),
            Some(wait) => {
                let name = &self.plan.manifest.name;
                Err(Refusal::Conflict(format!("{name} cannot be started without {}", wait.on)))
            }
        }
    }

    /// Begins an operation that was accepted, unless it has ended or is at work.
    pub(super) async fn resume(&mut self, myself: &ActorRef<AppMsg>, view: OpView, command: Command) {
        if self.op.as_ref().is_some_and(|op| op.id == view.id) && !self.is_at_work(&view.id) {
            self.start_operation(myself, view, command).await;
        }
    }

    async fn start_operation(&mut self, myself: &ActorRef<AppMsg>, view: OpView, command: Command) {
        self.ctx.publish(Row::Op(Box::new(view.clone())));
        // Also for a stop: a container that waits for its restart has no actor, and its neighbours may have none.
        self.reset().await;
        // A new install gets its containers when its images are there; everything else may begin at once.
        self.hold = self.first_hold(&view);
        (self.op, self.command) = (Some(view.clone()), Some(command.clone()));
        self.show();
        let spec = operation::child_spec(&self.ctx, &self.plan, view.clone(), command.clone());
        match self.stack.start_child(spec).await {
            Ok(_) | Err(SupervisorError::AlreadyStarted(_)) => {}
            // The stack is being restarted; it may or may not take this actor with it.
            Err(SupervisorError::NoProc) => {
                tracing::info!(app = %view.app, op = %view.id, "operation waits for its stack");
                drop(myself.send_after(AGAIN, move || AppMsg::Resume(Box::new(view), command)));
            }
            Err(error) => {
                if let Err(error) = self.abandon(&error.to_string()).await {
                    tracing::error!(app = %self.plan.id, %error, "operation's end could not be recorded");
                }
            }
        }
    }

    pub(super) fn op(&mut self, view: OpView, hold: Hold) {
        if view.state.is_terminal() {
            self.last_op = Some(view.id.clone());
            if self.op.as_ref().is_none_or(|op| op.id == view.id) {
                (self.op, self.command) = (None, None);
                self.hold = if self.installed { self.released() } else { Hold::Nothing };
            }
            return;
        }
        // A word may be on its way longer than its speaker lives.
        let is_late = self.last_op.as_ref() == Some(&view.id)
            || self.op.as_ref().is_some_and(|running| running.id != view.id);
        if !is_late {
            // Only a restore may start an app whose data it exchanges.
            let must_wait = hold == Hold::None && view.kind != OpKind::Restore && self.is_halfway();
            self.hold = if must_wait { Hold::Nothing } else { hold };
            self.op = Some(view);
        }
    }

    /// Asks the operation to end; it answers by itself.
    pub(super) fn cancel(&self, op: &OpId, reply: RpcReplyPort<Result<OpId, Refusal>>) {
        let answer = if self.op.as_ref().is_none_or(|running| running.id != *op) {
            Err(Refusal::Conflict("the operation has ended".into()))
        } else {
            match self.ctx.names.find::<OpMsg>(&name::operation(&self.plan.id, op)) {
                Some(actor) if self.is_at_work(op) => match actor.cast(OpMsg::Cancel(reply)) {
                    // Where it ends before it answers, whoever waits is told that nobody answered.
                    Ok(()) | Err(_) => return,
                },
                _ => Err(Refusal::Unavailable("the operation is being taken up again; try again".into())),
            }
        };
        // The caller may have given up.
        let _ = reply.send(answer);
    }

    /// An operation's actor ended: where that was not its own end, another one takes it up. What panicked is undone.
    pub(super) async fn op_gone(
        &mut self,
        myself: &ActorRef<AppMsg>,
        id: &OpId,
        reason: &ExitReason,
    ) -> Result<(), StoreError> {
        if self.is_at_work(id) {
            return Ok(()); // the one that ended has a successor by now
        }
        self.ctx.names.forget(&name::operation(&self.plan.id, id));
        // Who ends with the node or the stack is found by the next one.
        if self.leaving || self.ctx.ending.load(Ordering::Acquire) {
            return Ok(());
        }
        let (Some(command), Some(mut view)) = (self.command.clone(), self.ctx.store.op(id).await?) else {
            return Ok(());
        };
        if self.op.as_ref().is_none_or(|op| op.id != *id) || view.state.is_terminal() {
            return Ok(());
        }
        if let Some(shown) = &self.op {
            operation::keep_progress(&mut view, shown);
        }
        let error = operation::internal(&reason.to_string());
        let failed = matches!(reason, ExitReason::Failed(_)) && !operation::are_done(&view.stages);
        let undo = error.clone();
        let change = move |course: &mut Course| {
            course.deaths += 1;
            if failed && course.failed.is_none() {
                course.failed = Some(undo);
            }
        };
        if self.ctx.store.note(id, change).await?.deaths > DEATHS {
            return self.abandon(&error.message).await;
        }
        tracing::warn!(app = %view.app, op = %view.id, %reason, "operation is taken up again");
        self.start_operation(myself, view, command).await;
        Ok(())
    }

    /// Fails the running operation, whose actor is gone or never was.
    async fn abandon(&mut self, reason: &str) -> Result<(), StoreError> {
        let error = operation::internal(reason);
        if !self.installed {
            // What the install made goes; an uninstall takes the rest.
            self.ctx.store.set_desired(&self.plan.id, Desired::Absent).await?;
            self.desired = Desired::Absent;
        }
        self.end_op(OpState::Failed, Some(error)).await?;
        if !self.installed {
            self.hold = Hold::None;
        }
        Ok(())
    }

    /// Ends the running operation on behalf of its actor.
    async fn end_op(&mut self, end: OpState, error: Option<OpError>) -> Result<(), StoreError> {
        if let Some(mut view) = self.op.clone() {
            operation::end(&mut view, end, error);
            if self.ctx.store.update_op(&view).await? {
                self.ctx.publish(Row::Op(Box::new(view.clone())));
            }
            self.op(view, Hold::None);
        }
        Ok(())
    }

    /// An operation that runs tells the hub and this actor about itself.
    pub(super) fn ask_operations(&self) {
        for operation in self.ctx.names.below::<OpMsg>(&name::operations_of(&self.plan.id)) {
            let _ = operation.cast(OpMsg::Tell);
        }
    }
}
