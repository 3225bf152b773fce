//! The places at which an operation can be hurt, for tests of what becomes of it.

use super::stage;
use engine::EngineError;
use protocol::{AppId, Command, OpKind};
use std::sync::Arc;

/// Where in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// It has begun, and nothing is done.
    Before,
    /// It is done, and not yet in the store.
    After,
    /// That it is done is in the store.
    Recorded,
}

/// One place in one kind of operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrashPoint {
    /// What the operation does.
    pub kind: &'static str,
    /// The stage, or the step that undoes it.
    pub stage: &'static str,
    /// Whether what was made is being undone.
    pub undoing: bool,
    /// Where in the step.
    pub position: Position,
}

/// What happens there.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// The operation's worker does not go on: whoever asked for that ends the node.
    Halt,
    /// The worker panics.
    Panic,
    /// The engine's next call fails like this.
    Fail(EngineError),
}

/// Decides what happens at a place. A node that serves people has none.
pub type Faults = Arc<dyn Fn(&CrashPoint) -> Fault + Send + Sync>;

/// The commands whose steps are crash points. A kind that is missing here does not compile.
fn commands(app: &AppId) -> Vec<Command> {
    let of = |kind: OpKind| -> Vec<Command> {
        let app = app.clone();
        match kind {
            OpKind::Install => vec![Command::Install { app }],
            OpKind::Start => vec![Command::Start { app }],
            OpKind::Stop => vec![Command::Stop { app }],
            OpKind::Restart => vec![Command::Restart { app }],
            OpKind::Uninstall => {
                [false, true].map(|purge| Command::Uninstall { app: app.clone(), purge }).into()
            }
            OpKind::Update => vec![Command::Update { app }],
            OpKind::Backup => vec![Command::Backup { app }],
            // Whoever uses it knows which snapshots there are.
            OpKind::Restore => {
                "00000000".parse().map(|snapshot| Command::Restore { app, snapshot }).into_iter().collect()
            }
        }
    };
    let kinds = [
        OpKind::Install,
        OpKind::Start,
        OpKind::Stop,
        OpKind::Restart,
        OpKind::Uninstall,
        OpKind::Update,
        OpKind::Backup,
        OpKind::Restore,
    ];
    kinds.into_iter().flat_map(of).collect()
}

/// The word for what a command does; a purge is told apart from an uninstall that keeps the data.
pub(super) fn word(command: &Command) -> &'static str {
    match command {
        Command::Install { .. } => "install",
        Command::Start { .. } | Command::StartAnyway { .. } => "start",
        Command::Stop { .. } => "stop",
        Command::Restart { .. } => "restart",
        Command::Uninstall { purge: false, .. } => "uninstall",
        Command::Uninstall { purge: true, .. } => "purge",
        Command::Update { .. } => "update",
        Command::Backup { .. } => "backup",
        Command::Restore { .. } => "restore",
        Command::Cancel { .. } => "cancel",
    }
}

/// Every place in every kind of operation, with a command that comes by.
pub fn crash_points(app: &AppId) -> Vec<(Command, CrashPoint)> {
    let mut points = Vec::new();
    for command in commands(app) {
        let steps = stage::stages(&command).iter().map(|stage| (*stage, false));
        let undoing = stage::undoing(&command).iter().map(|stage| (*stage, true));
        for (stage, undoing) in steps.chain(undoing) {
            for position in [Position::Before, Position::After, Position::Recorded] {
                let point = CrashPoint { kind: word(&command), stage, undoing, position };
                points.push((command.clone(), point));
            }
        }
    }
    points
}
