//! What a supervisor tells about its work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ractor::ActorCell;
use tokio::sync::{Notify, mpsc};

use crate::{ChildId, ChildType, ExitReason, Restart, StartCause, StartError, SupFlags};

/// Receives every report of a supervisor and of those below it; it is called in the supervisor, so it must be quick.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use supervisor::{Report, ReportSink};
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let log = seen.clone();
/// let sink: ReportSink = Arc::new(move |report: &Report| log.lock().unwrap().push(report.clone()));
/// # let _ = sink;
/// ```
pub type ReportSink = Arc<dyn Fn(&Report) + Send + Sync>;

/// One event in the life of a supervisor or of one of its children.
///
/// ```
/// use std::sync::Arc;
/// use supervisor::{Report, ReportSink};
/// let sink: ReportSink = Arc::new(|report: &Report| println!("{report}"));
/// # let _ = sink;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The supervisor's path from the root, such as `node/stacks/demo`.
    pub path: Arc<str>,
    /// When it happened.
    pub at: SystemTime,
    /// The child that it is about, if it is about one.
    pub offender: Option<Offender>,
    /// What happened.
    pub event: ReportEvent,
}

/// The child that a report is about.
///
/// ```
/// use supervisor::{Offender, Report};
/// let offender = |report: &Report| report.offender.as_ref().map(|child: &Offender| child.id.to_string());
/// # let _ = offender;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Offender {
    /// Its id.
    pub id: ChildId,
    /// Its present or last actor.
    pub cell: Option<ActorCell>,
    /// How many incarnations there have been.
    pub generation: u64,
    /// What it is.
    pub child_type: ChildType,
    /// When it is restarted; a temporary child that ended is forgotten.
    pub restart: Restart,
}

/// What happened.
///
/// ```
/// use supervisor::{ExitReason, ReportEvent};
/// let event = ReportEvent::ChildTerminated { reason: ExitReason::Killed, restarting: true };
/// assert_eq!(event.to_string(), "child terminated: killed");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReportEvent {
    /// The supervisor and all its children have started.
    SupervisorStarted {
        /// What it was started with.
        flags: SupFlags,
    },
    /// The supervisor and all its children have ended.
    SupervisorEnded {
        /// Why.
        reason: ExitReason,
    },
    /// A child has started (OTP's progress report).
    ChildStarted {
        /// Why it was started.
        cause: StartCause,
    },
    /// A child has ended.
    ChildTerminated {
        /// Why.
        reason: ExitReason,
        /// Whether the supervisor is going to restart it for that.
        restarting: bool,
    },
    /// A child will be restarted after a wait.
    RestartScheduled {
        /// How long the wait is.
        delay: Duration,
        /// How many restarts there were before without a healthy time between.
        attempt: u32,
    },
    /// A child could not be started.
    StartError {
        /// Why.
        error: StartError,
    },
    /// A child that was told to stop ended with another reason than it should.
    ShutdownError {
        /// The reason.
        reason: ExitReason,
    },
    /// The children failed more often than the intensity allows.
    MaxIntensity {
        /// How many restarts were allowed.
        intensity: u32,
        /// In which time.
        period: Duration,
        /// Why the last child failed.
        reason: ExitReason,
    },
    /// A child stays down after it failed too often.
    Parked {
        /// When it will be tried again.
        retry_after: Option<Duration>,
    },
    /// A parked child is tried again.
    Unparked,
    /// A child did not end although it was killed; it will not be started beside itself.
    Unkillable,
    /// A significant child ended, so the supervisor ends.
    AutoShutdown,
}

impl ReportEvent {
    /// Tells whether somebody should look at it.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::ChildTerminated { reason, restarting } => *restarting && reason.is_abnormal(),
            Self::StartError { .. }
            | Self::ShutdownError { .. }
            | Self::MaxIntensity { .. }
            | Self::Parked { .. }
            | Self::Unkillable => true,
            _ => false,
        }
    }
}

impl fmt::Display for ReportEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SupervisorStarted { .. } => f.write_str("supervisor started"),
            Self::SupervisorEnded { reason } => write!(f, "supervisor ended: {reason}"),
            Self::ChildStarted { .. } => f.write_str("child started"),
            Self::ChildTerminated { reason, .. } => write!(f, "child terminated: {reason}"),
            Self::RestartScheduled { delay, .. } => write!(f, "restart scheduled in {delay:?}"),
            Self::StartError { error } => {
                write!(f, "start error: {error}")?;
                let mut source = std::error::Error::source(error);
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
            Self::ShutdownError { reason } => write!(f, "shutdown error: {reason}"),
            Self::MaxIntensity { intensity, period, reason } => {
                write!(f, "more than {intensity} restarts in {period:?}: {reason}")
            }
            Self::Parked { .. } => f.write_str("parked"),
            Self::Unparked => f.write_str("unparked"),
            Self::Unkillable => f.write_str("unkillable"),
            Self::AutoShutdown => f.write_str("automatic shutdown"),
        }
    }
}

impl fmt::Display for Report {
    /// Writes the report on one line of at most 1,000 characters, whatever the child's error says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.offender {
            Some(child) => format!("{}/{} #{}: {}", self.path, child.id, child.generation, self.event),
            None => format!("{}: {}", self.path, self.event),
        };
        let mut line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        for c in line.by_ref().take(1000) {
            fmt::Write::write_char(f, c)?;
        }
        if line.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// One delivery of a [`Subscription`].
///
/// ```
/// use supervisor::Notice;
/// let text = |notice: Notice| match notice {
///     Notice::Report(report) => report.to_string(),
///     Notice::Missed(reports) => format!("{reports} reports missed"),
/// };
/// assert_eq!(text(Notice::Missed(3)), "3 reports missed");
/// ```
#[derive(Clone, Debug)]
pub enum Notice {
    /// The next report.
    Report(Arc<Report>),
    /// That many reports came while the subscription was full; read the state anew.
    Missed(u64),
}

/// The reports of one supervisor, from the moment of [`subscribe`](crate::SupervisorRef::subscribe) on.
///
/// Nothing is dropped without a word: a subscriber that falls behind gets a [`Notice::Missed`].
///
/// ```
/// use supervisor::{ChildSpec, Notice, ReportEvent, SupFlags, Supervisor};
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
/// let mut reports = root.subscribe(64).await?;
/// root.start_child(ChildSpec::worker("db", |ctx| async move { ctx.spawn(Db, ()).await })).await?;
/// let Some(Notice::Report(report)) = reports.recv().await else { return Err("no report".into()) };
/// assert!(matches!(report.event, ReportEvent::ChildStarted { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Subscription {
    reports: mpsc::Receiver<Arc<Report>>,
    gap: Arc<Gap>,
}

/// The reports that found the channel full.
#[derive(Debug, Default)]
struct Gap {
    missed: AtomicU64,
    grown: Notify,
}

impl Gap {
    fn grow(&self) {
        self.missed.fetch_add(1, Ordering::AcqRel);
        self.grown.notify_one();
    }

    fn take(&self) -> Option<Notice> {
        match self.missed.swap(0, Ordering::AcqRel) {
            0 => None,
            missed => Some(Notice::Missed(missed)),
        }
    }
}

impl Subscription {
    /// Waits for the next report; `None` after the supervisor's end.
    pub async fn recv(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.try_recv() {
                return Some(notice);
            }
            tokio::select! {
                biased;
                report = self.reports.recv() => {
                    return report.map(Notice::Report).or_else(|| self.gap.take());
                }
                () = self.gap.grown.notified() => {}
            }
        }
    }

    /// Returns the next report if one is there.
    pub fn try_recv(&mut self) -> Option<Notice> {
        // Those that were in time come first: the gap is behind them.
        self.reports.try_recv().ok().map(Notice::Report).or_else(|| self.gap.take())
    }
}

/// The sending side of a [`Subscription`].
pub(crate) struct Subscriber {
    reports: mpsc::Sender<Arc<Report>>,
    gap: Arc<Gap>,
}

impl Subscriber {
    /// Tells whether anybody still listens.
    pub(crate) fn deliver(&self, report: &Arc<Report>) -> bool {
        if self.gap.missed.load(Ordering::Acquire) > 0 {
            // Behind a gap nothing is queued until the subscriber has been told of it.
            self.gap.grow();
            return !self.reports.is_closed();
        }
        match self.reports.try_send(report.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.gap.grow();
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

pub(crate) fn subscription(capacity: usize) -> (Subscriber, Subscription) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let gap = Arc::new(Gap::default());
    (Subscriber { reports: sender, gap: gap.clone() }, Subscription { reports: receiver, gap })
}
