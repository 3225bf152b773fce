//! The supervision tree as people see it, kept from the supervisors' reports.

use crate::clock::millis;
use protocol::{ExitView, Intensity, RestartView, TreeKind, TreeState, TreeView};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use supervisor::{ChildType, ExitReason, Report, ReportEvent, Restart, StartCause, Strategy};

use crate::container::ContainerExit;

/// What a report says about one child, in addition to its row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// How its container ended last.
    pub(crate) last_exit: Option<ExitView>,
    /// Why it ended last, in words.
    pub(crate) reason: Option<String>,
    /// Restarts of its container since the node started.
    pub(crate) restarts: u32,
    /// The last of them.
    pub(crate) last_restart: Option<RestartView>,
    /// When it is tried again, where it is given up until then.
    pub(crate) retry_at: Option<u64>,
    /// Somebody has asked for its next start, whatever failed before.
    asked_for: bool,
}

#[derive(Default)]
struct Inner {
    rows: HashMap<String, TreeView>,
    records: HashMap<String, Record>,
    /// Restarts within the window, per supervisor.
    windows: HashMap<String, VecDeque<Instant>>,
    orders: HashMap<String, u32>,
}

/// The tree of one node. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tree(Arc<Mutex<Inner>>);

impl Tree {
    /// Takes a report and returns the paths of the rows that it changed, and of those that are gone.
    pub(crate) fn report(&self, report: &Report) -> (Vec<String>, Vec<String>) {
        let mut inner = self.lock();
        let at = millis(report.at);
        let Some(child) = &report.offender else {
            return inner.supervisor_report(&report.path, &report.event, at);
        };
        let path = format!("{}/{}", report.path, child.id);
        let kind = match child.child_type {
            ChildType::Supervisor => TreeKind::Supervisor,
            ChildType::Worker => TreeKind::Worker,
        };
        let row = inner.row(&path, kind);
        row.kind = kind;
        row.restart = restart(child.restart).into();
        row.generation = row.generation.max(child.generation);
        let mut changed = vec![path.clone()];
        match &report.event {
            ReportEvent::ChildStarted { cause } => {
                row.state = TreeState::Running;
                row.cause = Some(cause_text(cause));
                row.restarts += u32::from(cause.failure().is_some());
                inner.restarted(&path, cause, at);
            }
            ReportEvent::ChildTerminated { reason, restarting } => {
                row.state = if *restarting { TreeState::Restarting } else { TreeState::Undefined };
                row.last_exit = Some(reason.to_string());
                row.last_exit_at = Some(at);
                let gone = !restarting && child.restart == Restart::Temporary;
                if *restarting {
                    inner.used(&report.path);
                    changed.push(report.path.to_string());
                }
                inner.record(&path, reason, at);
                if gone {
                    return (vec![], inner.remove(&path));
                }
            }
            ReportEvent::RestartScheduled { .. } => row.state = TreeState::Restarting,
            ReportEvent::StartError { error } => {
                row.state = TreeState::Undefined;
                row.last_exit = Some(error.to_string());
                row.last_exit_at = Some(at);
            }
            ReportEvent::Parked { retry_after } => {
                row.state = TreeState::Parked;
                let retry_at = retry_after.map(|wait| millis(report.at + wait));
                inner.records.entry(path).or_default().retry_at = retry_at;
                // The supervisor begins its count anew for the others.
                inner.forget_window(&report.path);
                changed.push(report.path.to_string());
            }
            ReportEvent::Unparked => row.state = TreeState::Starting,
            ReportEvent::Unkillable => row.state = TreeState::Unkillable,
            _ => {}
        }
        (changed, vec![])
    }

    /// What is known of the child at `path`.
    pub(crate) fn record(&self, path: &str) -> Record {
        self.lock().records.get(path).cloned().unwrap_or_default()
    }

    /// Somebody asks for the next start of the child at `path`.
    pub(crate) fn ask_for(&self, path: &str) {
        self.lock().records.entry(path.to_owned()).or_default().asked_for = true;
    }

    /// Whether somebody has asked for this start of the child at `path`; the next is another matter.
    pub(crate) fn was_asked_for(&self, path: &str) -> bool {
        self.lock().records.get_mut(path).is_some_and(|record| std::mem::take(&mut record.asked_for))
    }

    /// One row.
    pub(crate) fn view(&self, path: &str) -> Option<TreeView> {
        self.lock().rows.get(path).cloned()
    }

    /// All rows.
    pub(crate) fn all(&self) -> Vec<TreeView> {
        self.lock().rows.values().cloned().collect()
    }

    /// Forgets a path and everything below it, and returns what that was.
    pub(crate) fn remove(&self, path: &str) -> Vec<String> {
        self.lock().remove(path)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn row(&mut self, path: &str, kind: TreeKind) -> &mut TreeView {
        let Self { rows, orders, .. } = self;
        rows.entry(path.to_owned()).or_insert_with(|| {
            let parent = path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
            let next = orders.entry(parent.clone().unwrap_or_default()).or_default();
            let order = *next;
            *next += 1;
            TreeView {
                path: path.to_owned(),
                parent,
                order,
                kind,
                strategy: None,
                restart: "permanent".into(),
                intensity: None,
                state: TreeState::Starting,
                generation: 0,
                restarts: 0,
                last_exit: None,
                last_exit_at: None,
                cause: None,
            }
        })
    }

    fn supervisor_report(&mut self, path: &str, event: &ReportEvent, at: u64) -> (Vec<String>, Vec<String>) {
        let row = self.row(path, TreeKind::Supervisor);
        row.kind = TreeKind::Supervisor;
        match event {
            ReportEvent::SupervisorStarted { flags } => {
                row.state = TreeState::Running;
                row.generation = row.generation.max(1);
                row.strategy = Some(strategy(flags.strategy).into());
                let window_ms = u64::try_from(flags.period.as_millis()).unwrap_or(u64::MAX);
                row.intensity = Some(Intensity { max: flags.intensity, window_ms, used: 0 });
                self.windows.remove(path);
            }
            ReportEvent::SupervisorEnded { reason } => {
                row.state = TreeState::Undefined;
                row.last_exit = Some(reason.to_string());
                row.last_exit_at = Some(at);
            }
            ReportEvent::MaxIntensity { reason, .. } => {
                row.last_exit = Some(reason.to_string());
                row.last_exit_at = Some(at);
            }
            _ => {}
        }
        (vec![path.to_owned()], vec![])
    }

    fn forget_window(&mut self, path: &str) {
        self.windows.remove(path);
        if let Some(intensity) = self.rows.get_mut(path).and_then(|row| row.intensity.as_mut()) {
            intensity.used = 0;
        }
    }

    /// Counts a restart in its supervisor's window.
    fn used(&mut self, path: &str) {
        let window = self.windows.entry(path.to_owned()).or_default();
        let now = Instant::now();
        window.push_back(now);
        let Some(intensity) = self.rows.get_mut(path).and_then(|row| row.intensity.as_mut()) else { return };
        let length = std::time::Duration::from_millis(intensity.window_ms);
        while window.front().is_some_and(|at| now.duration_since(*at) > length) {
            window.pop_front();
        }
        intensity.used = u32::try_from(window.len()).unwrap_or(u32::MAX);
    }

    /// Counts a restart. An actor that failed has restarted no container.
    fn restarted(&mut self, path: &str, cause: &StartCause, at: u64) {
        let Some(exit) = cause.failure().and_then(|reason| reason.downcast_ref::<ContainerExit>()) else {
            return;
        };
        let cause = match cause {
            StartCause::SiblingFailure { id, .. } => format!("{id} {exit}"),
            _ => exit.to_string(),
        };
        let record = self.records.entry(path.to_owned()).or_default();
        record.restarts += 1;
        record.last_restart = Some(RestartView { cause: vec![cause], at });
    }

    fn record(&mut self, path: &str, reason: &ExitReason, at: u64) {
        let record = self.records.entry(path.to_owned()).or_default();
        record.reason = Some(reason.to_string());
        if let Some(exit) = reason.downcast_ref::<ContainerExit>() {
            record.last_exit = Some(ExitView { code: exit.code(), oom: exit.oom(), at });
        }
    }

    fn remove(&mut self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let gone: Vec<String> =
            self.rows.keys().filter(|row| *row == path || row.starts_with(&below)).cloned().collect();
        for path in &gone {
            self.rows.remove(path);
            self.records.remove(path);
            self.windows.remove(path);
            self.orders.remove(path);
        }
        gone
    }
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
    }
}

fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    }
}

fn cause_text(cause: &StartCause) -> String {
    match cause {
        StartCause::Initial => "initial".into(),
        StartCause::Requested => "requested".into(),
        StartCause::OwnFailure { .. } => "own_failure".into(),
        StartCause::SiblingFailure { id, .. } => format!("sibling_failure {id}"),
    }
}
