//! Many children of one kind: OTP's `simple_one_for_one`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use ractor::ActorCell;

use crate::check::check_childspec;
use crate::report::{ReportSink, Subscription};
use crate::shell::{SupMsg, Wanted};
use crate::spec::start_fn;
use crate::supervisor::{start_dynamic, start_nested};
use crate::{
    ChildCounts, ChildId, ChildInfo, ChildSpec, ExitReason, StartCtx, StartError, Started, SupFlags,
    SupervisorError, SupervisorInfo, SupervisorRef,
};

type Template<Args> =
    Arc<dyn Fn(StartCtx, Args) -> BoxFuture<'static, Result<Started, StartError>> + Send + Sync>;

/// What the children of a [`DynamicSupervisor`] have in common: a [`ChildSpec`] and a start function that also takes arguments.
///
/// ```
/// use supervisor::{DynamicSpec, Shutdown, Started};
/// let spec = DynamicSpec::<u16>::new(|_ctx, _port| async { Ok(Started::ignore()) })
///     .configure(|spec| spec.shutdown(Shutdown::BrutalKill));
/// # let _ = spec;
/// ```
pub struct DynamicSpec<Args> {
    spec: ChildSpec,
    template: Template<Args>,
}

impl<Args> Clone for DynamicSpec<Args> {
    fn clone(&self) -> Self {
        Self { spec: self.spec.clone(), template: self.template.clone() }
    }
}

impl<Args> fmt::Debug for DynamicSpec<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynamicSpec").field(&self.spec).finish()
    }
}

impl<Args: Clone + Send + Sync + 'static> DynamicSpec<Args> {
    /// Specifies permanent workers with a shutdown of 5 s, which [`configure`](Self::configure) changes.
    pub fn new<F, Fut>(start: F) -> Self
    where
        F: Fn(StartCtx, Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Started, StartError>> + Send + 'static,
    {
        let spec = ChildSpec::worker("template", |_| async { Err(StartError::Aborted) });
        Self { spec, template: Arc::new(move |ctx, args| Box::pin(start(ctx, args))) }
    }

    /// Changes the common part by the builder methods of [`ChildSpec`].
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(ChildSpec) -> ChildSpec) -> Self {
        self.spec = change(self.spec);
        self
    }

    fn child(&self, id: ChildId, args: Args) -> ChildSpec {
        let template = self.template.clone();
        let start = start_fn(move |ctx| template(ctx, args.clone()));
        ChildSpec { id, start, ..self.spec.clone() }
    }
}

/// A supervisor of any number of children of one kind, named by their actors.
///
/// Its flags' strategy is not used: each child is restarted alone, all share the intensity, and at the end all are stopped at once.
///
/// ```
/// use supervisor::{DynamicSpec, DynamicSupervisor, ExitReason, Restart, SupFlags};
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
/// let spec = DynamicSpec::<()>::new(|ctx, args| async move { ctx.spawn(Db, args).await })
///     .configure(|spec| spec.restart(Restart::Temporary));
/// let sessions = DynamicSupervisor::start_link("sessions", SupFlags::default(), spec, None, None).await?;
/// let session = sessions.start_child(()).await?;
/// assert_eq!(sessions.count_children().await?.active, 1);
/// if let Some(cell) = session.cell() {
///     sessions.terminate_child(cell).await?;
/// }
/// sessions.stop(ExitReason::Shutdown(None)).await;
/// # Ok(())
/// # }
/// ```
pub struct DynamicSupervisor<Args> {
    supervisor: SupervisorRef,
    spec: DynamicSpec<Args>,
    last_id: Arc<AtomicU64>,
}

impl<Args> Clone for DynamicSupervisor<Args> {
    fn clone(&self) -> Self {
        Self { supervisor: self.supervisor.clone(), spec: self.spec.clone(), last_id: self.last_id.clone() }
    }
}

impl<Args> fmt::Debug for DynamicSupervisor<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynamicSupervisor").field(&self.supervisor).finish()
    }
}

impl<Args: Clone + Send + Sync + 'static> DynamicSupervisor<Args> {
    /// Starts a supervisor without children; the arguments are those of [`Supervisor::start_link`](crate::Supervisor::start_link).
    ///
    /// # Errors
    ///
    /// Fails when the specification contradicts itself or the parent is ending.
    pub async fn start_link(
        path: impl Into<Arc<str>>,
        flags: SupFlags,
        spec: DynamicSpec<Args>,
        parent: Option<ActorCell>,
        sink: Option<ReportSink>,
    ) -> Result<Self, StartError> {
        check_childspec(&spec.spec, flags.auto_shutdown)?;
        let supervisor = start_dynamic(path.into(), flags, parent, sink).await?;
        Ok(Self::of(supervisor, spec))
    }

    fn of(supervisor: SupervisorRef, spec: DynamicSpec<Args>) -> Self {
        Self { supervisor, spec, last_id: Arc::new(AtomicU64::new(0)) }
    }

    /// Specifies a supervisor of dynamic children as a child of another; the [`Started::info`] of its start is the `DynamicSupervisor`.
    pub fn child_spec(id: impl Into<ChildId>, flags: SupFlags, spec: DynamicSpec<Args>) -> ChildSpec {
        ChildSpec::supervisor(id, move |ctx| {
            let (flags, spec) = (flags.clone(), spec.clone());
            async move {
                check_childspec(&spec.spec, flags.auto_shutdown)?;
                let started = start_nested(&ctx, flags, true, Vec::new()).await?;
                match (started.cell().cloned(), started.info::<SupervisorRef>().cloned()) {
                    (Some(cell), Some(supervisor)) => {
                        Ok(Started::with_info(cell, Self::of(supervisor, spec)))
                    }
                    _ => Ok(started),
                }
            }
        })
    }

    /// Starts a child with the given arguments, which its restarts use again and which are dropped with it (at once if it is temporary).
    ///
    /// # Errors
    ///
    /// `StartFailed`, after which there is no such child, and `NoProc`.
    pub async fn start_child(&self, args: Args) -> Result<Started, SupervisorError> {
        let number = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.supervisor.start_child(self.spec.child(number.to_string().into(), args)).await
    }

    /// Stops and forgets a child; one that is gone is none to stop.
    ///
    /// # Errors
    ///
    /// `NotFound` for an actor that lives and is no child, `Unkillable`, `NoProc`.
    pub async fn terminate_child(&self, child: &ActorCell) -> Result<(), SupervisorError> {
        let cell = child.clone();
        self.supervisor.call(|reply| SupMsg::TerminateCell(cell, reply)).await.map(drop)
    }

    /// Returns a child's specification.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoProc`.
    pub async fn get_childspec(&self, child: &ActorCell) -> Result<ChildSpec, SupervisorError> {
        self.supervisor.spec_of(Wanted::Cell(child.get_id())).await
    }

    /// Shows all children, in start order.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, SupervisorError> {
        self.supervisor.which_children().await
    }

    /// Counts the children.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn count_children(&self) -> Result<ChildCounts, SupervisorError> {
        self.supervisor.count_children().await
    }

    /// Shows the supervisor itself.
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn info(&self) -> Result<SupervisorInfo, SupervisorError> {
        self.supervisor.info().await
    }

    /// Delivers the supervisor's reports; see [`SupervisorRef::subscribe`].
    ///
    /// # Errors
    ///
    /// `NoProc`.
    pub async fn subscribe(&self, capacity: usize) -> Result<Subscription, SupervisorError> {
        self.supervisor.subscribe(capacity).await
    }

    /// Stops all children at once, ends the supervisor with `reason` and waits for that.
    pub async fn stop(&self, reason: ExitReason) {
        self.supervisor.stop(reason).await;
    }

    /// Returns the supervisor as one that may have any children.
    ///
    /// Calls that name a child by id answer [`SupervisorError::SimpleOneForOne`].
    pub fn as_supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }
}
