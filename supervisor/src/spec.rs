//! What a supervisor and its children promise: flags and child specifications, with OTP's words and defaults.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::{Backoff, ChildId, ExitReason, StartCtx, StartError, Started};

/// Says which children are restarted when one fails.
///
/// ```
/// use supervisor::{Strategy, SupFlags};
/// assert_eq!(SupFlags::default().strategy, Strategy::OneForOne);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the failed child.
    #[default]
    OneForOne,
    /// All children: they are stopped in reverse order and started again in order.
    OneForAll,
    /// The failed child and those started after it.
    RestForOne,
}

/// Says when a child is restarted.
///
/// ```
/// use supervisor::Restart;
/// assert_eq!(Restart::default(), Restart::Permanent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal end; see [`ExitReason::is_abnormal`].
    Transient,
    /// Never; its specification is forgotten when it ends.
    Temporary,
}

/// Says how a child is stopped.
///
/// ```
/// use supervisor::{ChildType, Shutdown};
/// use std::time::Duration;
/// assert_eq!(Shutdown::default_for(ChildType::Worker), Shutdown::Timeout(Duration::from_secs(5)));
/// assert_eq!(Shutdown::default_for(ChildType::Supervisor), Shutdown::Infinity);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// It is killed at once; its `post_stop` does not run.
    BrutalKill,
    /// It is asked to stop and killed when it has not ended in that time.
    Timeout(Duration),
    /// It is asked to stop and waited for without end.
    Infinity,
}

impl Shutdown {
    /// Returns OTP's default: 5 s for a worker, no limit for a supervisor.
    pub fn default_for(child_type: ChildType) -> Self {
        match child_type {
            ChildType::Worker => Self::Timeout(Duration::from_secs(5)),
            ChildType::Supervisor => Self::Infinity,
        }
    }
}

/// Tells workers from supervisors in counts and in the tree view.
///
/// ```
/// use supervisor::ChildType;
/// assert_eq!(ChildType::default(), ChildType::Worker);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChildType {
    /// Does the work.
    #[default]
    Worker,
    /// Supervises others.
    Supervisor,
}

/// Says whether a supervisor ends by itself when significant children have ended by themselves.
///
/// ```
/// use supervisor::{AutoShutdown, SupFlags};
/// assert_eq!(SupFlags::default().auto_shutdown, AutoShutdown::Never);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When any significant child has ended.
    AnySignificant,
    /// When the last significant child has ended.
    AllSignificant,
}

/// Says what a supervisor does when its children failed more often than [`SupFlags::intensity`] allows.
///
/// ```
/// use supervisor::{OnExhausted, SupFlags};
/// assert_eq!(SupFlags::default().on_exhausted, OnExhausted::Escalate);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExhausted {
    /// It stops all children and ends with `shutdown`, so that its own supervisor decides (OTP).
    #[default]
    Escalate,
    /// It leaves the failed child (and those that its strategy stops with it) down and keeps the others running.
    ///
    /// `restart_child` un-parks it, and so do the time in `retry_after` and a group restart that it belongs to:
    /// under `one_for_all` the crash of any sibling, under `rest_for_one` that of an earlier one.
    /// While it is parked, its group is down with it; when another child of the group is parked or waits for its backoff,
    /// it is down as part of that one's group.
    Park {
        /// How long the child stays parked when nobody un-parks it; without end when `None`.
        retry_after: Option<Duration>,
    },
}

/// How a supervisor treats its children as a whole.
///
/// ```
/// use std::time::Duration;
/// use supervisor::{Strategy, SupFlags};
/// let flags = SupFlags::new(Strategy::RestForOne).intensity(3, Duration::from_secs(10));
/// assert_eq!((flags.intensity, flags.period), (3, Duration::from_secs(10)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupFlags {
    /// Which children are restarted when one fails.
    pub strategy: Strategy,
    /// How many restarts are allowed within [`period`](Self::period); one more is too many.
    pub intensity: u32,
    /// The time in which restarts are counted together, in steps finer than OTP's whole seconds.
    pub period: Duration,
    /// Whether the supervisor ends by itself when significant children have.
    pub auto_shutdown: AutoShutdown,
    /// What happens when the intensity is exceeded.
    pub on_exhausted: OnExhausted,
    /// How long a killed child may take to be gone before it counts as unkillable.
    pub kill_grace: Duration,
}

impl Default for SupFlags {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            intensity: 1,
            period: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::default(),
            on_exhausted: OnExhausted::default(),
            kill_grace: Duration::from_secs(5),
        }
    }
}

impl SupFlags {
    /// Makes flags with the given strategy and OTP's defaults: one restart in five seconds.
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, ..Self::default() }
    }

    /// Allows `restarts` within `period`.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = restarts;
        self.period = period;
        self
    }

    /// Sets [`SupFlags::auto_shutdown`].
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Sets [`SupFlags::on_exhausted`].
    #[must_use]
    pub fn on_exhausted(mut self, on_exhausted: OnExhausted) -> Self {
        self.on_exhausted = on_exhausted;
        self
    }

    /// Sets [`SupFlags::kill_grace`].
    #[must_use]
    pub fn kill_grace(mut self, kill_grace: Duration) -> Self {
        self.kill_grace = kill_grace;
        self
    }
}

/// The function that starts a child, as stored in a [`ChildSpec`].
///
/// ```
/// use std::sync::Arc;
/// use supervisor::{StartFn, Started};
/// let start: StartFn = Arc::new(|_ctx| Box::pin(async { Ok(Started::ignore()) }));
/// # let _ = start;
/// ```
pub type StartFn = Arc<dyn Fn(StartCtx) -> BoxFuture<'static, Result<Started, StartError>> + Send + Sync>;

/// Reads the text of a child's own `stop(Some(text))`; see [`ChildSpec::exit_classifier`].
///
/// ```
/// use supervisor::{ChildSpec, ExitReason, Started};
/// let spec = ChildSpec::worker("job", |_| async { Ok(Started::ignore()) })
///     .exit_classifier(|text| if text == "done" { ExitReason::shutdown("done") } else { ExitReason::Normal });
/// # let _ = spec;
/// ```
pub type ExitClassifier = Arc<dyn Fn(&str) -> ExitReason + Send + Sync>;

/// How one child is started, restarted and stopped.
///
/// ```
/// use supervisor::{ChildSpec, Restart, Shutdown, StartError};
/// use std::time::Duration;
/// let spec = ChildSpec::worker("db", |_ctx| async { Err(StartError::failed(std::io::Error::other("no disk"))) })
///     .restart(Restart::Transient)
///     .shutdown(Shutdown::Timeout(Duration::from_secs(60)));
/// assert_eq!(spec.id, "db");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ChildSpec {
    /// Its name under its supervisor.
    pub id: ChildId,
    /// Starts it, linked to [`StartCtx::supervisor`].
    pub start: StartFn,
    /// When it is restarted.
    pub restart: Restart,
    /// Whether its own end counts for [`SupFlags::auto_shutdown`].
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// What it is.
    pub child_type: ChildType,
    /// How long restarts wait; not at all when `None`, as in OTP.
    pub backoff: Option<Arc<Backoff>>,
    /// How long a start may take; without end when `None`, as in OTP.
    pub start_timeout: Option<Duration>,
    /// Reads the text of its own stop; without one any text but `shutdown`, `shutdown:…`, `killed` is a normal end.
    pub exit_classifier: Option<ExitClassifier>,
}

impl ChildSpec {
    /// Specifies a permanent worker with a shutdown of 5 s.
    pub fn worker<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn(StartCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Started, StartError>> + Send + 'static,
    {
        Self::new(id, ChildType::Worker, start_fn(start))
    }

    /// Specifies a permanent supervisor with an endless shutdown; [`Supervisor::child_spec`](crate::Supervisor::child_spec) is the shorter way.
    pub fn supervisor<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn(StartCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Started, StartError>> + Send + 'static,
    {
        Self::new(id, ChildType::Supervisor, start_fn(start))
    }

    pub(crate) fn new(id: impl Into<ChildId>, child_type: ChildType, start: StartFn) -> Self {
        Self {
            id: id.into(),
            start,
            restart: Restart::default(),
            significant: false,
            shutdown: Shutdown::default_for(child_type),
            child_type,
            backoff: None,
            start_timeout: None,
            exit_classifier: None,
        }
    }

    /// Sets [`ChildSpec::restart`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets [`ChildSpec::significant`].
    #[must_use]
    pub fn significant(mut self, significant: bool) -> Self {
        self.significant = significant;
        self
    }

    /// Sets [`ChildSpec::shutdown`].
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Sets [`ChildSpec::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(Arc::new(backoff));
        self
    }

    /// Sets [`ChildSpec::start_timeout`].
    #[must_use]
    pub fn start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = Some(start_timeout);
        self
    }

    /// Sets [`ChildSpec::exit_classifier`].
    #[must_use]
    pub fn exit_classifier(mut self, classify: impl Fn(&str) -> ExitReason + Send + Sync + 'static) -> Self {
        self.exit_classifier = Some(Arc::new(classify));
        self
    }
}

pub(crate) fn start_fn<F, Fut>(start: F) -> StartFn
where
    F: Fn(StartCtx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Started, StartError>> + Send + 'static,
{
    Arc::new(move |ctx| Box::pin(start(ctx)))
}

/// Returns the function in the place of one that will not be called again.
pub(crate) fn spent_start_fn() -> StartFn {
    // One for all: children by the hundred thousand share it.
    static SPENT: OnceLock<StartFn> = OnceLock::new();
    SPENT.get_or_init(|| start_fn(|_| async { Err(StartError::Aborted) })).clone()
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("significant", &self.significant)
            .field("shutdown", &self.shutdown)
            .field("child_type", &self.child_type)
            .field("backoff", &self.backoff)
            .field("start_timeout", &self.start_timeout)
            .finish_non_exhaustive()
    }
}
