//! Why a child or a supervisor ended.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An error shared between the reports, the history and the restart that it caused.
///
/// ```
/// use std::sync::Arc;
/// use supervisor::{ExitReason, SharedError};
/// let error: SharedError = Arc::new(std::io::Error::other("disk gone"));
/// assert!(ExitReason::Failed(error).is_abnormal());
/// ```
pub type SharedError = Arc<dyn Error + Send + Sync + 'static>;

/// Tells why an actor ended, in OTP's words.
///
/// The typed error of a ractor handler that returned `Err(Box::new(MyError))` survives in [`ExitReason::Failed`]:
///
/// ```
/// use supervisor::ExitReason;
/// let reason = ExitReason::failed(std::io::Error::other("disk gone"));
/// assert!(reason.is_abnormal());
/// assert_eq!(reason.downcast_ref::<std::io::Error>().map(ToString::to_string), Some("disk gone".into()));
/// assert!(!ExitReason::Shutdown(None).is_abnormal());
/// ```
#[derive(Clone, Debug)]
pub enum ExitReason {
    /// The actor stopped by itself without a complaint.
    Normal,
    /// The actor was asked to stop, or says that its end is in order (`shutdown`, `shutdown: detail`).
    Shutdown(Option<Arc<str>>),
    /// The actor was killed.
    Killed,
    /// A handler returned an error or panicked (see [`ExitReason::panic`]).
    Failed(SharedError),
    /// The actor's task was cancelled, for example by `JoinHandle::abort` or by the end of the runtime.
    Cancelled,
    /// The actor was already gone when the supervisor looked, so its reason is unknown.
    NoProc,
}

impl ExitReason {
    /// Makes a [`ExitReason::Failed`] of any error.
    pub fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }

    /// Makes a [`ExitReason::Shutdown`] with a detail.
    pub fn shutdown(detail: impl Into<Arc<str>>) -> Self {
        Self::Shutdown(Some(detail.into()))
    }

    /// Tells whether a transient child is restarted after it.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown(_))
    }

    /// Returns the actor's own error when it is of type `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Returns the panic when the actor, started by [`StartCtx::spawn`](crate::StartCtx::spawn), panicked.
    pub fn panic(&self) -> Option<&Panic> {
        self.downcast_ref()
    }

    /// Reads the reason of ractor's stop, where ractor's own words and `shutdown` are reserved.
    pub(crate) fn of_stop(reason: Option<&str>) -> Self {
        match reason {
            None => Self::Normal,
            Some("shutdown") => Self::Shutdown(None),
            Some("killed") => Self::Killed,
            Some("actor_task_cancelled") => Self::Cancelled,
            Some(text) => match text.strip_prefix("shutdown:") {
                Some(detail) => Self::Shutdown(Some(detail.trim_start().into())),
                None => Self::Normal,
            },
        }
    }

    /// Writes the reason as the text of a ractor stop, the inverse of [`ExitReason::of_stop`] but for errors, which become an end in order.
    pub(crate) fn to_stop(&self) -> Option<String> {
        match self {
            Self::Normal => None,
            Self::Shutdown(None) => Some("shutdown".into()),
            Self::Shutdown(Some(detail)) => Some(format!("shutdown: {detail}")),
            Self::Killed => Some("killed".into()),
            Self::Cancelled => Some("actor_task_cancelled".into()),
            Self::Failed(_) | Self::NoProc => Some(format!("shutdown: {self}")),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown(None) => f.write_str("shutdown"),
            Self::Shutdown(Some(detail)) => write!(f, "shutdown: {detail}"),
            Self::Killed => f.write_str("killed"),
            Self::Failed(error) => fmt::Display::fmt(error, f),
            Self::Cancelled => f.write_str("cancelled"),
            Self::NoProc => f.write_str("noproc"),
        }
    }
}

/// The error that stands for a panic of an actor or of a start function.
///
/// ```
/// use supervisor::{ExitReason, Panic};
/// let reason = ExitReason::failed(Panic::new("index out of bounds"));
/// assert_eq!(reason.panic().map(Panic::message), Some("index out of bounds"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    message: String,
}

impl Panic {
    /// Makes a panic with the given message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Returns the text that the panic was raised with.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn of_payload(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(payload) => {
                    // The payload's own drop may panic again.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(payload)));
                    "payload without text".to_owned()
                }
            },
        };
        Self { message }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panic {}
