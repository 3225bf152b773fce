//! What the steps of an operation have at hand: the node, the app's plan, and a way to tell how far they are.

use super::{
    Course, CrashPoint, Fault, Hold, OpMsg, Position, Update, engine_error, error::store_error, fault,
    internal, stage,
};
use crate::{app::AppMsg, ctx::Ctx, hub::HubMsg, names::name, stack::Plan};
use engine::EngineError;
use protocol::{AppView, Command, Desired, OpError, OpId, OpState, OpView, StageState, StreamId};
use ractor::{ActorRef, RpcReplyPort};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for another actor's answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a step that undoes is tried again while trying again may help.
const PERSISTENCE: Duration = Duration::from_secs(120);
/// Longest time of one attempt: there may be much data to remove.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Pauses between those attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The steps' side of an operation.
#[derive(Clone)]
pub(super) struct Progress {
    operation: (ActorRef<OpMsg>, u32),
    /// The node.
    pub(super) ctx: Ctx,
    /// The app, as its stack knows it.
    pub(super) plan: Arc<Plan>,
    /// What was asked for.
    pub(super) command: Arc<Command>,
    /// The operation.
    pub(super) op: OpId,
    is_cancelling: bool,
    /// Stages that were done, and those that had begun, before this worker.
    done: Arc<BTreeSet<String>>,
    begun: Arc<Mutex<BTreeSet<String>>>,
    all_done: bool,
    /// What the next engine call fails with, where a test wants it to.
    fault: Arc<Mutex<Option<EngineError>>>,
    /// What was told last.
    said: Arc<Mutex<String>>,
}

/// What to make of an app's row while waiting.
pub(super) enum Verdict {
    /// That is it.
    Done,
    /// Not yet; what is missing.
    Pending(String),
    /// It will not come.
    Failed(OpError),
}

impl Progress {
    pub(super) fn new(
        operation: (ActorRef<OpMsg>, u32),
        ctx: Ctx,
        plan: Arc<Plan>,
        command: Arc<Command>,
        view: &OpView,
    ) -> Self {
        let with = |good: fn(StageState) -> bool| {
            view.stages.iter().filter(|it| good(it.state)).map(|it| it.key.clone()).collect()
        };
        Self {
            operation,
            ctx,
            plan,
            command,
            op: view.id.clone(),
            is_cancelling: view.state == OpState::Cancelling,
            done: Arc::new(with(|state| state == StageState::Done)),
            begun: Arc::new(Mutex::new(with(|state| state != StageState::Waiting))),
            all_done: stage::are_done(&view.stages),
            fault: Arc::default(),
            said: Arc::default(),
        }
    }

    /// Whether an earlier worker has begun with it.
    pub(super) fn is_resumed(&self) -> bool {
        !self.begun.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether it is to end without its effect.
    pub(super) fn is_cancelling(&self) -> bool {
        self.is_cancelling
    }

    /// Whether a stage was done before this worker began.
    pub(super) fn was_done(&self, key: &str) -> bool {
        self.done.contains(key)
    }

    /// Whether every stage was.
    pub(super) fn was_all_done(&self) -> bool {
        self.all_done
    }

    /// Whether a stage has begun, now or before.
    pub(super) fn has_begun(&self, key: &str) -> bool {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Carries a stage out: its begin and its end are in the store before anything else happens.
    pub(super) async fn step<T>(
        &self,
        key: &'static str,
        effect: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        self.ask(|reply| Update::Begin(key, reply)).await?;
        self.point(key, false, Position::Before).await?;
        let (_, limit) = stage::patience(&self.command, key, &self.plan);
        let result = self.within(limit, key, effect).await?;
        self.point(key, false, Position::After).await?;
        self.ask(|reply| Update::Done(key, reply)).await?;
        self.point(key, false, Position::Recorded).await?;
        Ok(result)
    }

    /// Waits no longer than this; `what` is not done then.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        effect: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        timeout(limit, effect).await.unwrap_or_else(|_| {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            Err(OpError {
                code: "deadline".into(),
                message: format!("{what} is not done after {} s: {said}", limit.as_secs()),
                hint: Some("look at the container's log, then try again".into()),
                retryable: true,
            })
        })
    }

    /// Carries a step out that undoes something; tried again while that may help.
    pub(super) async fn undo<F: Future<Output = Result<(), OpError>> + Send>(
        &self,
        key: &'static str,
        effect: impl Fn() -> F,
    ) -> Result<(), OpError> {
        let (deadline, mut pause) = (Instant::now() + PERSISTENCE, PAUSES.0);
        loop {
            let attempt = async {
                self.point(key, true, Position::Before).await?;
                self.within(LONGEST, key, effect()).await?;
                self.point(key, true, Position::After).await
            };
            match attempt.await {
                Err(error) if error.retryable && Instant::now() < deadline => {
                    self.detail(format!("undoing: {}", error.message));
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error),
                Ok(()) => return self.point(key, true, Position::Recorded).await,
            }
        }
    }

    /// Where a test may want something to happen.
    async fn point(&self, stage: &'static str, undoing: bool, position: Position) -> Result<(), OpError> {
        let Some(faults) = &self.ctx.faults else { return Ok(()) };
        let kind = fault::word(&self.command);
        match faults(&CrashPoint { kind, stage, undoing, position }) {
            Fault::None => {}
            Fault::Halt => std::future::pending().await,
            #[expect(clippy::panic, reason = "it is what was asked for")]
            Fault::Panic => panic!("{kind} panics {position:?} {stage}, as it was told to"),
            Fault::Fail(error) => {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
        // What is recorded does not fail any more; the next call does.
        let fault = match position {
            Position::Recorded => None,
            Position::Before | Position::After => {
                self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
        };
        fault.map_or(Ok(()), |error| Err(engine_error(&error)))
    }

    /// It has failed: what it made is being undone.
    pub(super) async fn failing(&self, error: &OpError) -> Result<(), OpError> {
        let error = error.clone();
        self.note(move |course| course.failed = Some(error)).await?;
        self.ask(Update::Undoing).await
    }

    /// What has to be remembered.
    pub(super) async fn course(&self) -> Result<Course, OpError> {
        self.ctx.store.course(&self.op).await.map_err(store_error)
    }

    /// Remembers something.
    pub(super) async fn note(
        &self,
        change: impl FnOnce(&mut Course) + Send + 'static,
    ) -> Result<(), OpError> {
        self.ctx.store.note(&self.op, change).await.map(drop).map_err(store_error)
    }

    /// A stage is not needed.
    pub(super) async fn skip(&self, key: &'static str, why: &'static str) -> Result<(), OpError> {
        self.ask(|reply| Update::Skip(key, why, reply)).await
    }

    /// The last thing that happened.
    pub(super) fn detail(&self, text: impl Into<String>) {
        let text = text.into();
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&text);
        self.tell(Update::Detail(text, None));
    }

    /// The last thing that happened, and how much of the whole is done, between 0 and 1.
    pub(super) fn share(&self, text: impl Into<String>, share: f32) {
        self.tell(Update::Detail(text.into(), Some(share)));
    }

    /// Asks something else of the containers.
    pub(super) fn hold(&self, hold: Hold) {
        self.tell(Update::Hold(hold));
    }

    /// This stays on the machine, in words.
    pub(super) fn leave_behind(&self, residue: Vec<String>) {
        self.tell(Update::Residue(residue));
    }

    /// The steps have ended.
    pub(super) fn ended(&self, result: Result<(), OpError>) {
        self.tell(Update::Ended(result));
    }

    fn tell(&self, update: Update) {
        let (operation, attempt) = &self.operation;
        // An operation that is not there any more needs no word.
        let _ = operation.cast(OpMsg::Worker(*attempt, update));
    }

    async fn ask(&self, update: impl FnOnce(RpcReplyPort<()>) -> Update) -> Result<(), OpError> {
        let (answer, answered) = ractor::concurrency::oneshot();
        self.tell(update(answer.into()));
        // Without an answer the operation is ending, and this worker with it.
        answered.await.map_err(|_| internal("its actor has ended"))
    }

    /// Calls an actor of the node, and again while it is being restarted.
    pub(super) async fn call<M: ractor::Message, T: Send + 'static>(
        &self,
        whom: &str,
        message: impl Fn(RpcReplyPort<T>) -> M,
    ) -> Result<T, OpError> {
        let ask = async {
            loop {
                if let Some(actor) = self.ctx.names.find::<M>(whom) {
                    let (answer, answered) = ractor::concurrency::oneshot();
                    if actor.cast(message(answer.into())).is_ok()
                        && let Ok(answer) = answered.await
                    {
                        return answer;
                    }
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(ANSWER, ask).await.map_err(|_| OpError {
            code: "internal".into(),
            message: format!("{whom} does not answer"),
            hint: Some("try again".into()),
            retryable: true,
        })
    }

    /// Waits until the app's published row says what is asked for. The step that it is in has the deadline.
    pub(super) async fn wait(&self, judge: impl Fn(&AppView) -> Verdict) -> Result<(), OpError> {
        // The app knows what this worker asked of its containers last, and its row is on the board, after these.
        self.ask(Update::Sync).await?;
        self.call(&name::app(&self.plan.id), AppMsg::Sync).await?;
        self.call(name::HUB, HubMsg::Heads).await?;
        let mut heads = self.ctx.board.watch(StreamId::Apps);
        let mut missing = String::new();
        loop {
            heads.borrow_and_update();
            let row = self.ctx.board.row(StreamId::Apps, self.plan.id.as_str());
            let view: Option<AppView> = row.and_then(|json| serde_json::from_str(&json).ok());
            match view.as_ref().map_or(Verdict::Pending(String::new()), &judge) {
                Verdict::Done => return Ok(()),
                Verdict::Failed(error) => return Err(error),
                Verdict::Pending(what) => {
                    if what != missing {
                        self.detail(what.clone());
                        missing = what;
                    }
                }
            }
            if heads.changed().await.is_err() {
                return Ok(()); // the board is gone with the node
            }
        }
    }

    /// Whether the app's install has succeeded once.
    pub(super) async fn is_installed(&self) -> Result<bool, OpError> {
        let row = self.ctx.store.app(&self.plan.id).await.map_err(store_error)?;
        Ok(row.is_some_and(|row| row.installed))
    }

    /// Changes the user's intent on the app's behalf.
    pub(super) async fn set_desired(&self, desired: Desired) -> Result<(), OpError> {
        let app = name::app(&self.plan.id);
        self.call(&app, |reply| AppMsg::SetDesired(desired, reply)).await?.map_err(store_error)
    }
}
