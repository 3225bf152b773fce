//! What the steps of an operation have at hand: the node, the app's plan, and a way to tell how far they are.

use super::{Hold, OpMsg, Update};
use crate::{app::AppMsg, ctx::Ctx, hub::HubMsg, names::name, stack::Plan};
use protocol::{AppView, OpError, StreamId};
use ractor::{ActorRef, RpcReplyPort};
use std::{sync::Arc, time::Duration};

/// Longest wait for another actor's answer.
const ANSWER: Duration = Duration::from_secs(20);

/// The steps' side of an operation.
#[derive(Clone)]
pub(super) struct Progress {
    operation: ActorRef<OpMsg>,
    /// The node.
    pub(super) ctx: Ctx,
    /// The app.
    pub(super) plan: Arc<Plan>,
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
    pub(super) fn new(operation: ActorRef<OpMsg>, ctx: Ctx, plan: Arc<Plan>) -> Self {
        Self { operation, ctx, plan }
    }

    /// A stage begins.
    pub(super) fn begin(&self, key: &'static str) {
        self.update(Update::Begin(key));
    }

    /// The last thing that happened.
    pub(super) fn detail(&self, text: impl Into<String>) {
        self.update(Update::Detail(text.into(), None));
    }

    /// The last thing that happened, as the `done`th of `total`.
    pub(super) fn count(&self, text: impl Into<String>, done: usize, total: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a share for people; totals are small")]
        let share = if total == 0 { 1.0 } else { done as f32 / total as f32 };
        self.update(Update::Detail(text.into(), Some(share)));
    }

    /// Asks something else of the containers.
    pub(super) fn hold(&self, hold: Hold) {
        self.update(Update::Hold(hold));
    }

    /// This stays on the machine, in words.
    pub(super) fn leave_behind(&self, residue: Vec<String>) {
        self.update(Update::Residue(residue));
    }

    /// The steps have ended.
    pub(super) fn ended(&self, result: Result<(), OpError>) {
        // An operation that was cancelled is not there any more.
        let _ = self.operation.cast(OpMsg::Ended(result));
    }

    fn update(&self, update: Update) {
        let _ = self.operation.cast(OpMsg::Update(update));
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
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(ANSWER, ask).await.map_err(|_| OpError {
            code: "internal".into(),
            message: format!("{whom} does not answer"),
            hint: Some("try again".into()),
            retryable: true,
        })
    }

    /// Waits until the app's published row says what is asked for.
    pub(super) async fn wait(
        &self,
        deadline: Duration,
        judge: impl Fn(&AppView) -> Verdict,
    ) -> Result<(), OpError> {
        // What the app sent before this operation began is on the board after this.
        self.call(name::HUB, HubMsg::Heads).await?;
        let mut heads = self.ctx.board.watch(StreamId::Apps);
        let mut missing = String::new();
        let look = async {
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
        };
        match tokio::time::timeout(deadline, look).await {
            Ok(result) => result,
            Err(_) => Err(OpError {
                code: "deadline".into(),
                message: format!("not done after {} s: {missing}", deadline.as_secs()),
                hint: Some("look at the container's log, then try again".into()),
                retryable: true,
            }),
        }
    }

    /// Changes the user's intent on the app's behalf.
    pub(super) async fn set_desired(&self, desired: protocol::Desired) -> Result<(), OpError> {
        let app = name::app(&self.plan.id);
        self.call(&app, |reply| AppMsg::SetDesired(desired, reply)).await?.map_err(store_error)
    }
}

/// The store's error as people see it.
pub(super) fn store_error(error: crate::store::StoreError) -> OpError {
    OpError {
        code: "store".into(),
        message: error.to_string(),
        hint: Some("check the disk of the node's data directory, then try again".into()),
        retryable: true,
    }
}
