//! What a start function is given and what it gives back.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::{Actor, ActorCell};

use crate::guard::Guarded;
use crate::report::ReportSink;
use crate::shell::Grave;
use crate::{ChildId, ExitReason, StartError};

/// Tells a start function why it is called.
///
/// A retry of a restart that failed has the cause of the restart.
///
/// ```
/// use supervisor::{ExitReason, StartCause};
/// let cause = StartCause::OwnFailure { reason: ExitReason::Killed };
/// assert_eq!(cause.failure().map(ToString::to_string), Some("killed".into()));
/// assert!(StartCause::Initial.failure().is_none());
/// ```
#[derive(Clone, Debug)]
pub enum StartCause {
    /// The child is started for the first time.
    Initial,
    /// Somebody asked for it with `restart_child`.
    Requested,
    /// The child itself had ended.
    OwnFailure {
        /// Why it had ended.
        reason: ExitReason,
    },
    /// The strategy restarts the child because of a sibling.
    SiblingFailure {
        /// The sibling.
        id: ChildId,
        /// Why the sibling had ended.
        reason: ExitReason,
    },
}

impl StartCause {
    /// Returns the reason of the failure that this start repairs.
    pub fn failure(&self) -> Option<&ExitReason> {
        match self {
            Self::Initial | Self::Requested => None,
            Self::OwnFailure { reason } | Self::SiblingFailure { reason, .. } => Some(reason),
        }
    }
}

/// Something that a start function hands to whoever started the child.
///
/// ```
/// use std::sync::Arc;
/// use supervisor::StartInfo;
/// let info: StartInfo = Arc::new(8080_u16);
/// assert_eq!(info.downcast_ref::<u16>(), Some(&8080));
/// ```
pub type StartInfo = Arc<dyn Any + Send + Sync>;

/// The outcome of a start that did not fail.
///
/// ```
/// use supervisor::Started;
/// assert!(Started::ignore().cell().is_none());
/// ```
#[derive(Clone)]
pub enum Started {
    /// The child runs.
    Running {
        /// The child.
        cell: ActorCell,
        /// What the start function says besides.
        info: Option<StartInfo>,
    },
    /// There is nothing to run, as after OTP's `ignore`: the specification is kept (unless temporary) without an actor.
    Ignored,
}

impl Started {
    /// Says that the child runs.
    pub fn new(cell: impl Into<ActorCell>) -> Self {
        Self::Running { cell: cell.into(), info: None }
    }

    /// Says that the child runs, with something for whoever started it.
    pub fn with_info<T: Any + Send + Sync>(cell: impl Into<ActorCell>, info: T) -> Self {
        Self::Running { cell: cell.into(), info: Some(Arc::new(info)) }
    }

    /// Says that there is nothing to run.
    pub fn ignore() -> Self {
        Self::Ignored
    }

    /// Returns the child if one runs.
    pub fn cell(&self) -> Option<&ActorCell> {
        match self {
            Self::Running { cell, .. } => Some(cell),
            Self::Ignored => None,
        }
    }

    /// Returns the start function's information if it is of type `T`.
    pub fn info<T: Any + Send + Sync>(&self) -> Option<&T> {
        match self {
            Self::Running { info: Some(info), .. } => info.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { cell, .. } => {
                f.debug_struct("Running").field("cell", cell).finish_non_exhaustive()
            }
            Self::Ignored => f.write_str("Ignored"),
        }
    }
}

/// What a start function is given.
///
/// ```
/// use ractor::{Actor, ActorProcessingErr, ActorRef};
/// use supervisor::ChildSpec;
///
/// struct Db;
/// impl Actor for Db {
///     type Msg = ();
///     type State = ();
///     type Arguments = ();
///     async fn pre_start(&self, _: ActorRef<()>, _: ()) -> Result<(), ActorProcessingErr> {
///         Ok(())
///     }
/// }
///
/// let spec = ChildSpec::worker("db", |ctx| async move { ctx.spawn(Db, ()).await });
/// # let _ = spec;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct StartCtx {
    /// The supervisor, to which the child must be linked.
    pub supervisor: ActorCell,
    /// The child's id.
    pub id: ChildId,
    /// How many incarnations of the child there have been, this one included.
    pub generation: u64,
    /// Why the child is started.
    pub cause: StartCause,
    pub(crate) path: Arc<str>,
    pub(crate) sink: Option<ReportSink>,
    pub(crate) grave: Option<Arc<Grave>>,
    pub(crate) kill_grace: Duration,
    pub(crate) adopted: Arc<OnceLock<ActorCell>>,
}

impl StartCtx {
    /// Spawns the child's actor, linked to the supervisor, and says that it runs.
    ///
    /// It is the way to spawn that the supervisor knows most of: panics keep apart from errors, also in the synchronous part of `pre_start`,
    /// and the end of an actor that unlinked itself is noticed.
    ///
    /// # Errors
    ///
    /// Fails with the error or the panic of `pre_start`.
    pub async fn spawn<A: Actor>(&self, actor: A, args: A::Arguments) -> Result<Started, StartError> {
        let guarded = Guarded::new(actor, self.supervisor.clone());
        let (child, _) = Actor::spawn_linked(None, guarded, args, self.supervisor.clone()).await?;
        let cell = child.get_cell();
        self.adopt(&cell);
        Ok(Started::new(cell))
    }

    /// Tells the supervisor of the child before the start function returns.
    ///
    /// A start function that spawns the actor itself and then awaits something else calls it in between,
    /// so that a start that is given up leaves no actor behind.
    pub fn adopt(&self, child: &ActorCell) {
        // The first one wins: a start function starts one child.
        let _ = self.adopted.set(child.clone());
    }

    /// Returns the path of the supervisor from the root, such as `node/stacks/demo`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the sink of the supervisor's reports, for supervisors that are started by hand.
    pub fn sink(&self) -> Option<ReportSink> {
        self.sink.clone()
    }
}

impl fmt::Debug for StartCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartCtx")
            .field("path", &self.path)
            .field("id", &self.id)
            .field("generation", &self.generation)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}
