//! What start functions, specifications and calls answer when they fail.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, SpawnErr};

use crate::reason::SharedError;
use crate::{ChildId, Panic};

/// Tells why a child, or a supervisor with its children, did not start.
///
/// ```
/// use supervisor::StartError;
/// let error = StartError::failed(std::io::Error::other("port taken"));
/// assert_eq!(error.to_string(), "start failed");
/// assert!(error.downcast_ref::<std::io::Error>().is_some());
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The start function or the actor's `pre_start` returned this error; mend what it names.
    #[error("start failed")]
    Failed(#[source] SharedError),
    /// The start function or the actor's `pre_start` panicked; a bug of the child.
    #[error("start panicked")]
    Panicked(#[source] Panic),
    /// The start took longer than its [`start_timeout`](crate::ChildSpec::start_timeout).
    #[error("start took longer than {0:?}")]
    Timeout(Duration),
    /// The start was given up because the child was terminated or its supervisor is ending.
    #[error("start was given up")]
    Aborted,
    /// A child could not be started, so the supervisor stopped those before it and did not start.
    #[error("failed to start child {id}")]
    FailedToStartChild {
        /// The child.
        id: ChildId,
        /// Why it did not start.
        #[source]
        reason: Box<StartError>,
    },
    /// The specifications contradict themselves; see [`check_childspecs`](crate::check_childspecs).
    #[error("bad specification")]
    Spec(#[from] SpecError),
}

impl StartError {
    /// Makes a [`StartError::Failed`] of any error.
    pub fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }

    /// Returns the start function's own error when it is of type `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            Self::FailedToStartChild { reason, .. } => reason.downcast_ref(),
            _ => None,
        }
    }
}

impl From<SpawnErr> for StartError {
    fn from(error: SpawnErr) -> Self {
        match error {
            SpawnErr::StartupFailed(error) => match error.downcast::<Panic>() {
                Ok(panic) => Self::Panicked(*panic),
                Err(error) => match error.downcast::<StartError>() {
                    Ok(nested) => *nested,
                    Err(error) => Self::Failed(error.into()),
                },
            },
            other => Self::failed(other),
        }
    }
}

/// Tells why specifications or flags are refused.
///
/// ```
/// use supervisor::{check_childspecs, AutoShutdown, ChildSpec, SpecError, Started};
/// let spec = ChildSpec::worker("a", |_| async { Ok(Started::ignore()) });
/// let error = check_childspecs(&[spec.clone(), spec], AutoShutdown::Never).unwrap_err();
/// assert_eq!(error, SpecError::DuplicateChildId("a".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Two children have the same id; rename one.
    #[error("duplicate child id {0}")]
    DuplicateChildId(ChildId),
    /// A significant child is permanent, or its supervisor has no automatic shutdown, so that its significance could never show.
    #[error("bad combination of significant, restart and auto_shutdown at child {0}")]
    BadCombination(ChildId),
    /// The period is zero; restarts would never count.
    #[error("period is zero")]
    ZeroPeriod,
    /// The backoff of this child is no usable sequence: a factor under 1, a jitter outside 0..=1 or a number that is not finite.
    #[error("invalid backoff of child {0}")]
    InvalidBackoff(ChildId),
    /// Static children cannot become dynamic ones at runtime, nor the reverse.
    #[error("supervisor of dynamic children cannot be given static ones")]
    SimpleOneForOne,
}

/// Tells why a supervisor refused a call, under OTP's names.
///
/// ```
/// use supervisor::SupervisorError;
/// assert_eq!(SupervisorError::NotFound.to_string(), "not found");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A child with this id runs.
    #[error("already started")]
    AlreadyStarted(ActorCell),
    /// A child with this id is known and does not run; restart or delete it.
    #[error("already present")]
    AlreadyPresent,
    /// The child runs; terminate it first.
    #[error("running")]
    Running,
    /// The supervisor is restarting the child; terminate it first.
    #[error("restarting")]
    Restarting,
    /// The supervisor has no such child.
    #[error("not found")]
    NotFound,
    /// The child was started by this call and failed.
    #[error("start failed")]
    StartFailed(#[source] StartError),
    /// The specification or the flags are refused.
    #[error("bad specification")]
    Spec(#[from] SpecError),
    /// Dynamic children have no ids.
    #[error("simple_one_for_one: children are named by their cell")]
    SimpleOneForOne,
    /// The child did not end although it was killed; most likely it blocks a thread.
    #[error("unkillable")]
    Unkillable,
    /// The supervisor is ending or gone.
    #[error("noproc")]
    NoProc,
}
