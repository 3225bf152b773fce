//! What supervisors tell, as entries of the journal and as counts.

use super::EventDraft;
use crate::{ContainerExit, ctx::Ctx};
use protocol::{AppId, EventActor, Severity};
use std::error::Error;
use supervisor::{ExitReason, Report, ReportEvent, StartCause};

/// Path of the supervisor of all stacks, with the slash.
const STACKS: &str = "node/stacks/";

/// Records a report, if it is worth it.
pub(crate) fn record(ctx: &Ctx, report: &Report) {
    if let (ReportEvent::ChildStarted { cause }, Some(child)) = (&report.event, &report.offender)
        && let Some(reason) = cause.failure()
    {
        let app = app_of(&report.path, child.id.as_str());
        ctx.counters.restarted(app.as_ref(), cause_word(cause, reason));
    }
    if let Some(draft) = draft(report) {
        ctx.record(draft);
    }
}

/// The machine-readable cause of a restart.
fn cause_word(cause: &StartCause, reason: &ExitReason) -> &'static str {
    if matches!(cause, StartCause::SiblingFailure { .. }) {
        return "sibling";
    }
    match reason.downcast_ref::<ContainerExit>() {
        Some(ContainerExit::OutOfMemory) => "oom",
        Some(ContainerExit::Exited { .. }) => "exited",
        Some(ContainerExit::Vanished) => "vanished",
        Some(ContainerExit::Zombie) => "zombie",
        Some(ContainerExit::Unresponsive { .. }) => "unresponsive",
        Some(ContainerExit::Hook { .. }) => "hook",
        Some(_) => "refused",
        None if reason.panic().is_some() => "panic",
        None => match reason {
            ExitReason::Killed => "killed",
            ExitReason::Normal | ExitReason::Shutdown(_) => "ended",
            ExitReason::Failed(_) | ExitReason::Cancelled | ExitReason::NoProc => "failed",
        },
    }
}

/// The app that a child belongs to.
fn app_of(path: &str, child: &str) -> Option<AppId> {
    let path = format!("{path}/{child}");
    path.strip_prefix(STACKS)?.split('/').next()?.parse().ok()
}

/// A reason and everything behind it, the nearest first.
fn chain(reason: &ExitReason) -> Vec<String> {
    let mut chain = vec![reason.to_string()];
    if let ExitReason::Failed(error) = reason {
        chain.extend(sources(&**error));
    }
    chain
}

fn sources(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        all.push(error.to_string());
        next = error.source();
    }
    all
}

/// Whether it is about a container's actor, and its container has not failed.
fn is_only_actor(report: &Report, reason: &ExitReason) -> bool {
    let is_container = report.path.strip_prefix(STACKS).is_some_and(|path| path.contains('/'));
    is_container && reason.downcast_ref::<ContainerExit>().is_none()
}

fn draft(report: &Report) -> Option<EventDraft> {
    let new = |kind, severity, message: String| {
        EventDraft::new(EventActor::Supervisor, kind, message).severity(severity)
    };
    let Some(child) = &report.offender else {
        let draft = match &report.event {
            ReportEvent::MaxIntensity { intensity, period, reason } => {
                let message =
                    format!("{}: more than {intensity} restarts in {} s", report.path, period.as_secs());
                new("restart_limit", Severity::Error, message).cause(chain(reason))
            }
            ReportEvent::SupervisorEnded { reason } if reason.is_abnormal() => {
                new("supervisor_failed", Severity::Warning, format!("{} failed", report.path))
                    .cause(chain(reason))
            }
            _ => return None,
        };
        return Some(draft.app(app_of(&report.path, "")).subject(&*report.path));
    };
    let id = child.id.as_str();
    let draft = match &report.event {
        ReportEvent::ChildTerminated { reason, restarting: true } if is_only_actor(report, reason) => {
            let message = format!("the actor of {id} ended: {reason}");
            new("actor_died", Severity::Warning, message).cause(chain(reason))
        }
        ReportEvent::ChildTerminated { reason, restarting: true } => {
            new("child_died", Severity::Warning, format!("{id} ended: {reason}")).cause(chain(reason))
        }
        ReportEvent::ChildTerminated { reason, restarting: false } if reason.is_abnormal() => {
            new("child_failed", Severity::Warning, format!("{id} failed and is not restarted: {reason}"))
                .cause(chain(reason))
        }
        ReportEvent::ChildStarted { cause } => {
            let reason = cause.failure()?;
            let mut causes = chain(reason);
            if let StartCause::SiblingFailure { id, .. } = cause {
                causes.insert(0, format!("{id} ended"));
            }
            if is_only_actor(report, reason) {
                let message = format!("the actor of {id} was restarted, its container was left alone");
                new("actor_restarted", Severity::Info, message).cause(causes)
            } else {
                new("child_restarted", Severity::Info, format!("{id} was restarted")).cause(causes)
            }
        }
        ReportEvent::StartError { error } => {
            let mut causes = vec![error.to_string()];
            causes.extend(sources(error));
            new("start_failed", Severity::Warning, format!("{id} could not be started")).cause(causes)
        }
        ReportEvent::ShutdownError { reason } => {
            new("stop_failed", Severity::Warning, format!("{id} did not end as it should"))
                .cause(chain(reason))
        }
        ReportEvent::MaxIntensity { intensity, period, reason } => {
            let message = format!("{id}: more than {intensity} restarts in {} s", period.as_secs());
            new("restart_limit", Severity::Error, message).cause(chain(reason))
        }
        ReportEvent::Parked { retry_after } => {
            let then = match retry_after {
                Some(wait) => format!("tried again in {} s", wait.as_secs()),
                None => "it stays down until somebody starts it".into(),
            };
            new("parked", Severity::Error, format!("{id} failed too often and is given up; {then}"))
        }
        ReportEvent::Unparked => new("unparked", Severity::Info, format!("{id} is tried again")),
        ReportEvent::Unkillable => {
            new("unkillable", Severity::Error, format!("{id} did not end although it was killed"))
        }
        _ => return None,
    };
    Some(draft.app(app_of(&report.path, id)).subject(format!("{}/{id}", report.path)))
}
