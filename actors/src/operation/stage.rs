//! The stages of every kind of operation: their order, how long each may take, and where an operation can be cancelled.
//!
//! | stage | taking longer than usual | given up |
//! |---|---|---|
//! | `images` | 10 min | 2 h |
//! | `backup`, `restore`, `verify`, `purge` | 10 min | 6 h |
//! | `start`, `ready` | 5 min | 30 min; of an update or a restore `update.verify_timeout` |
//! | `stop`, `remove` | graces of the containers and 30 s | graces and 10 min |
//! | everything else | 30 s | 5 min |
//!
//! Past the first time the row says that it is late, and goes on: whoever watches may wait or cancel.

use crate::stack::Plan;
use apps::manifest::Rollback;
use protocol::{Command, Stage, StageState};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The stages of an operation, in order.
pub(crate) fn stages(command: &Command) -> &'static [&'static str] {
    match command {
        Command::Install { .. } => &["check", "images", "files", "network", "start", "ready"],
        Command::Start { .. } | Command::StartAnyway { .. } => &["files", "start", "ready"],
        Command::Stop { .. } => &["stop"],
        Command::Restart { .. } => &["stop", "files", "start", "ready"],
        Command::Uninstall { purge: false, .. } => &["stop", "remove", "forget"],
        Command::Uninstall { purge: true, .. } => &["stop", "remove", "purge", "forget"],
        Command::Update { .. } => {
            &["check", "images", "backup", "stop", "replace", "files", "start", "ready"]
        }
        Command::Backup { .. } => &["prepare", "stop", "backup", "verify", "ready"],
        Command::Restore { .. } => &["check", "restore", "verify", "stop", "replace", "ready"],
        Command::Cancel { .. } => &[],
    }
}

/// The steps that undo what an operation has made, in order.
pub(crate) fn undoing(command: &Command) -> &'static [&'static str] {
    match command {
        Command::Install { .. } => &["remove", "forget"],
        Command::Update { .. } => &["stop", "replace", "files", "start"],
        Command::Backup { .. } => &["backup"],
        Command::Restore { .. } => &["replace"],
        _ => &[],
    }
}

/// How long a stage may take before it is late, and before it is given up.
pub(super) fn patience(command: &Command, stage: &str, plan: &Plan) -> (Duration, Duration) {
    let graces: Duration = plan.rendered.services.iter().map(|service| service.spec.stop_grace).sum();
    match stage {
        "images" => (10 * MINUTE, 120 * MINUTE),
        "backup" | "restore" | "verify" | "purge" => (10 * MINUTE, 360 * MINUTE),
        "ready" if matches!(command, Command::Update { .. } | Command::Restore { .. }) => {
            let verify = plan.manifest.update.verify_timeout.0;
            (verify.min(5 * MINUTE), verify)
        }
        "start" | "ready" => (5 * MINUTE, 30 * MINUTE),
        "stop" | "remove" => (graces + MINUTE / 2, graces + 10 * MINUTE),
        _ => (MINUTE / 2, 5 * MINUTE),
    }
}

/// Whether an operation can be cancelled while its stages are like this.
pub(super) fn is_cancellable(command: &Command, stages: &[Stage], plan: &Plan) -> bool {
    let begun = |key: &str| {
        stages
            .iter()
            .any(|stage| stage.key == key && matches!(stage.state, StageState::Running | StageState::Done))
    };
    if are_done(stages) {
        return false;
    }
    match command {
        Command::Install { .. }
        | Command::Start { .. }
        | Command::StartAnyway { .. }
        | Command::Restart { .. }
        | Command::Backup { .. } => true,
        Command::Stop { .. } | Command::Cancel { .. } => false,
        // What is removed is not made anew.
        Command::Uninstall { .. } => !begun("remove"),
        Command::Restore { .. } => !begun("replace"),
        // The old version may not be able to read what the new one has written.
        Command::Update { .. } => !(plan.manifest.update.rollback == Rollback::Manual && begun("start")),
    }
}

/// Whether nothing is left to be done.
pub(crate) fn are_done(stages: &[Stage]) -> bool {
    stages.iter().all(|stage| matches!(stage.state, StageState::Done | StageState::Skipped))
}
