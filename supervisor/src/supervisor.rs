//! Starting supervisors and talking to them.

use std::fmt;
use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorRef, ActorStatus};
use tokio::sync::oneshot;

use crate::check::{check_childspecs, check_flags};
use crate::core::{Op, Target};
use crate::report::{ReportSink, Subscription};
use crate::shell::{CallReply, Grave, SupActor, SupArgs, SupMsg, Wanted};
use crate::{
    ChildCounts, ChildId, ChildInfo, ChildSpec, ExitReason, StartCtx, StartError, Started, SupFlags,
    SupervisorError, SupervisorInfo,
};

/// Starts supervisors; a running one is a [`SupervisorRef`].
///
/// ```
/// use supervisor::{ChildSpec, ExitReason, SupFlags, Supervisor};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use ractor::{Actor, ActorProcessingErr, ActorRef};
/// # #[derive(Clone)]
/// # struct Db;
/// # impl Actor for Db {
/// #     type Msg = ();
/// #     type State = ();
/// #     type Arguments = ();
/// #     async fn pre_start(&self, _: ActorRef<()>, _: ()) -> Result<(), ActorProcessingErr> { Ok(()) }
/// # }
/// let inner = vec![ChildSpec::worker("db", |ctx| async move { ctx.spawn(Db, ()).await })];
/// let nested = Supervisor::child_spec("storage", SupFlags::default(), inner);
/// let root = Supervisor::start_link("root", SupFlags::default(), vec![nested], None, None).await?;
/// assert_eq!(root.count_children().await?.supervisors, 1);
/// root.stop(ExitReason::Shutdown(None)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Supervisor;

impl Supervisor {
    /// Starts a supervisor and its children, in order; it returns when all of them have started.
    ///
    /// `path` names it in reports; `parent` is the actor that it is linked to; `sink` receives its reports and those of the supervisors below.
    ///
    /// # Errors
    ///
    /// Fails when the specifications contradict themselves, and with [`StartError::FailedToStartChild`] when a child did not start;
    /// then those before it have been stopped, in reverse order.
    pub async fn start_link(
        path: impl Into<Arc<str>>,
        flags: SupFlags,
        children: Vec<ChildSpec>,
        parent: Option<ActorCell>,
        sink: Option<ReportSink>,
    ) -> Result<SupervisorRef, StartError> {
        check_childspecs(&children, flags.auto_shutdown)?;
        start(Blueprint { path: path.into(), flags, simple: false, children }, parent, sink, None, |_| {})
            .await
    }

    /// Specifies a supervisor as a child of another; its path is its parent's and its id, its sink its parent's.
    ///
    /// The [`Started::info`] of its start is its [`SupervisorRef`].
    pub fn child_spec(id: impl Into<ChildId>, flags: SupFlags, children: Vec<ChildSpec>) -> ChildSpec {
        Self::child_spec_with(id, flags, move |_| children.clone())
    }

    /// Specifies a supervisor as a child of another, with children that are worked out at each of its starts.
    pub fn child_spec_with(
        id: impl Into<ChildId>,
        flags: SupFlags,
        children: impl Fn(&StartCtx) -> Vec<ChildSpec> + Send + Sync + 'static,
    ) -> ChildSpec {
        ChildSpec::supervisor(id, move |ctx| {
            let (flags, children) = (flags.clone(), children(&ctx));
            async move {
                check_childspecs(&children, flags.auto_shutdown)?;
                start_nested(&ctx, flags, false, children).await
            }
        })
    }
}

struct Blueprint {
    path: Arc<str>,
    flags: SupFlags,
    simple: bool,
    children: Vec<ChildSpec>,
}

pub(crate) async fn start_dynamic(
    path: Arc<str>,
    flags: SupFlags,
    parent: Option<ActorCell>,
    sink: Option<ReportSink>,
) -> Result<SupervisorRef, StartError> {
    start(Blueprint { path, flags, simple: true, children: Vec::new() }, parent, sink, None, |_| {}).await
}

pub(crate) async fn start_nested(
    ctx: &StartCtx,
    flags: SupFlags,
    simple: bool,
    children: Vec<ChildSpec>,
) -> Result<Started, StartError> {
    if let Some(grave) = &ctx.grave {
        grave.clear(ctx.kill_grace).await?;
    }
    let path: Arc<str> = format!("{}/{}", ctx.path, ctx.id).into();
    let blueprint = Blueprint { path, flags, simple, children };
    let parent = Some(ctx.supervisor.clone());
    let supervisor =
        start(blueprint, parent, ctx.sink.clone(), ctx.grave.clone(), |cell| ctx.adopt(cell)).await?;
    Ok(Started::with_info(supervisor.cell(), supervisor))
}

async fn start(
    blueprint: Blueprint,
    parent: Option<ActorCell>,
    sink: Option<ReportSink>,
    grave: Option<Arc<Grave>>,
    adopt: impl FnOnce(&ActorCell),
) -> Result<SupervisorRef, StartError> {
    let Blueprint { path, flags, simple, children } = blueprint;
    check_flags(&flags)?;
    let (booted, result) = oneshot::channel();
    let args = SupArgs { path: path.clone(), flags, simple, children, sink, grave, booted };
    let (actor, _) = match parent {
        Some(parent) => Actor::spawn_linked(None, SupActor, args, parent).await?,
        None => Actor::spawn(None, SupActor, args).await?,
    };
    adopt(&actor);
    match result.await {
        Ok(Ok(())) => Ok(SupervisorRef { actor }),
        Ok(Err(error)) => {
            // Without a limit there is no timeout to fail with.
            let _ = actor.wait(None).await;
            Err(error)
        }
        Err(_) => Err(StartError::Aborted),
    }
}

/// A running supervisor.
///
/// ```
/// use supervisor::{ChildSpec, ChildState, ExitReason, SupFlags, Supervisor, SupervisorError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use ractor::{Actor, ActorProcessingErr, ActorRef};
/// # #[derive(Clone)]
/// # struct Db;
/// # impl Actor for Db {
/// #     type Msg = ();
/// #     type State = ();
/// #     type Arguments = ();
/// #     async fn pre_start(&self, _: ActorRef<()>, _: ()) -> Result<(), ActorProcessingErr> { Ok(()) }
/// # }
/// let root = Supervisor::start_link("root", SupFlags::default(), vec![], None, None).await?;
/// root.start_child(ChildSpec::worker("db", |ctx| async move { ctx.spawn(Db, ()).await })).await?;
/// assert_eq!(root.which_children().await?[0].state, ChildState::Running);
/// root.terminate_child("db").await?;
/// root.restart_child("db").await?;
/// assert!(matches!(root.delete_child("db").await, Err(SupervisorError::Running)));
/// root.stop(ExitReason::Shutdown(None)).await;
/// assert!(matches!(root.info().await, Err(SupervisorError::NoProc)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SupervisorRef {
    actor: ActorRef<SupMsg>,
}

impl SupervisorRef {
    /// Takes an actor, for example a child of [`which_children`](Self::which_children), for a supervisor if it is one.
    pub fn from_cell(cell: &ActorCell) -> Option<Self> {
        let is_supervisor = cell.is_message_type_of::<SupMsg>() == Some(true);
        is_supervisor.then(|| Self { actor: cell.clone().into() })
    }

    /// Returns the supervisor's actor.
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Adds a child after the others and starts it.
    ///
    /// # Errors
    ///
    /// `AlreadyStarted`, `AlreadyPresent`, `Spec`, `NoProc`, and `StartFailed`, after which the child is not known.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Started, SupervisorError> {
        self.call(|reply| SupMsg::Call(Op::Start(spec), reply)).await
    }

    /// Stops a child as its [`Shutdown`](crate::Shutdown) says and keeps its specification, unless it is temporary.
    ///
    /// It ends restarts under way and takes effect on a child that hangs in its start.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Unkillable`, `SimpleOneForOne`, `NoProc`.
    pub async fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let target = Target::Id(id.into());
        self.call(|reply| SupMsg::Call(Op::Terminate(target), reply)).await.map(drop)
    }

    /// Starts a child that is down: terminated, ended, parked, or waiting for its backoff.
    ///
    /// # Errors
    ///
    /// `Running`, `Restarting`, `NotFound`, `Unkillable`, `SimpleOneForOne`, `NoProc`, and `StartFailed`.
    /// After `StartFailed` a child that was down stays down; one that was parked or waiting for its backoff is being restarted again,
    /// which counts for the intensity. Its error is `FailedToStartChild` when a sibling that is restarted with it did not start.
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<Started, SupervisorError> {
        let id = id.into();
        self.call(|reply| SupMsg::Call(Op::Restart(id), reply)).await
    }

    /// Forgets a child that is down.
    ///
    /// # Errors
    ///
    /// `Running`, `Restarting`, `NotFound`, `SimpleOneForOne`, `NoProc`.
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.call(|reply| SupMsg::Call(Op::Delete(id), reply)).await.map(drop)
    }

    /// Changes flags and, if given, specifications at runtime (OTP's `code_change`).
    ///
    /// New children are added and not started, changed specifications apply at the next start, children that are not mentioned stay.
    /// When `one_for_all` or `rest_for_one` gives way to `one_for_one` while a child is parked or waits for its backoff,
    /// those that were stopped with it stay down until `restart_child`, because the child is now restarted alone.
    ///
    /// # Errors
    ///
    /// `Spec`, after which nothing has changed, and `NoProc`.
    pub async fn reconfigure(
        &self,
        flags: SupFlags,
        children: Option<Vec<ChildSpec>>,
    ) -> Result<(), SupervisorError> {
        self.call(|reply| SupMsg::Call(Op::Reconfigure(flags, children), reply)).await.map(drop)
    }

    /// Shows all children, in start order.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, SupervisorError> {
        self.ask(SupMsg::Which).await
    }

    /// Counts the children.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn count_children(&self) -> Result<ChildCounts, SupervisorError> {
        self.ask(SupMsg::Count).await
    }

    /// Shows the supervisor itself.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn info(&self) -> Result<SupervisorInfo, SupervisorError> {
        self.ask(SupMsg::Info).await
    }

    /// Returns a child's specification.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoProc`.
    pub async fn get_childspec(&self, id: impl Into<ChildId>) -> Result<ChildSpec, SupervisorError> {
        self.spec_of(Wanted::Id(id.into())).await
    }

    pub(crate) async fn spec_of(&self, wanted: Wanted) -> Result<ChildSpec, SupervisorError> {
        self.ask(|reply| SupMsg::Spec(wanted, reply)).await?.ok_or(SupervisorError::NotFound)
    }

    /// Delivers the supervisor's reports from now on; `capacity` of them wait for a slow reader before it is told that it missed some.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn subscribe(&self, capacity: usize) -> Result<Subscription, SupervisorError> {
        self.ask(|reply| SupMsg::Subscribe(capacity, reply)).await
    }

    /// Stops all children in reverse order, ends the supervisor with `reason` and waits for that.
    ///
    /// The parent and the links hear the reason as the text of a ractor stop, which knows no error:
    /// [`ExitReason::Failed`] and [`ExitReason::NoProc`] arrive as `shutdown: …`, an end in order, after which a transient supervisor is not restarted.
    pub async fn stop(&self, reason: ExitReason) {
        if self.actor.send_message(SupMsg::Shutdown(reason)).is_err() && !self.is_over() {
            self.actor.stop(Some("shutdown".to_owned()));
        }
        self.wait().await;
    }

    /// Waits for the supervisor's end.
    pub async fn wait(&self) {
        // Without a limit there is no timeout to fail with.
        let _ = self.actor.wait(None).await;
    }

    fn is_over(&self) -> bool {
        self.actor.get_status() == ActorStatus::Stopped
    }

    pub(crate) async fn call(
        &self,
        message: impl FnOnce(CallReply) -> SupMsg,
    ) -> Result<Started, SupervisorError> {
        self.ask(message).await?
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> SupMsg) -> Result<T, SupervisorError> {
        let (sender, receiver) = oneshot::channel();
        self.actor.send_message(message(sender)).map_err(|_| SupervisorError::NoProc)?;
        receiver.await.map_err(|_| SupervisorError::NoProc)
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorRef").field(&self.actor.get_id()).finish()
    }
}
