//! The row of an operation: how it begins, moves on and ends. Pure.

use super::{stage, stage::stages};
use crate::{clock::now_ms, stack::Plan};
use protocol::{Command, OpError, OpId, OpKind, OpState, OpView, Stage, StageState};
use ulid::Ulid;

/// A stage that is not at its end shows no more than this.
const ALMOST: f32 = 0.99;

/// What an operation does.
pub(crate) fn kind(command: &Command) -> OpKind {
    match command {
        Command::Install { .. } => OpKind::Install,
        Command::Start { .. } | Command::StartAnyway { .. } => OpKind::Start,
        Command::Stop { .. } => OpKind::Stop,
        Command::Restart { .. } => OpKind::Restart,
        Command::Uninstall { .. } => OpKind::Uninstall,
        Command::Update { .. } => OpKind::Update,
        Command::Backup { .. } => OpKind::Backup,
        Command::Restore { .. } => OpKind::Restore,
        // It has no operation of its own.
        Command::Cancel { .. } => OpKind::Stop,
    }
}

/// Whether a running operation does what a command asks for.
pub(crate) fn does(running: &Command, command: &Command) -> bool {
    let starts = |command: &Command| matches!(command, Command::Start { .. } | Command::StartAnyway { .. });
    running == command || starts(running) && starts(command)
}

/// The row of an operation that was just accepted.
pub(crate) fn new_view(plan: &Plan, command: &Command) -> OpView {
    let stage = |key: &str| Stage {
        key: key.into(),
        state: StageState::Waiting,
        progress: None,
        detail: None,
        started_at: None,
        ended_at: None,
    };
    let stages: Vec<Stage> = stages(command).iter().map(|key| stage(key)).collect();
    OpView {
        id: OpId(Ulid::new().to_string().into()),
        kind: kind(command),
        app: plan.id.clone(),
        state: OpState::Queued,
        cancellable: stage::is_cancellable(command, &stages, plan),
        stages,
        started_at: now_ms(),
        ended_at: None,
        error: None,
        residue: vec![],
        late: false,
    }
}

/// Ends an operation's row; one that has ended stays as it is.
pub(crate) fn end(view: &mut OpView, state: OpState, error: Option<OpError>) {
    if view.state.is_terminal() {
        return;
    }
    let now = now_ms();
    for stage in &mut view.stages {
        match (stage.state, state) {
            (StageState::Running, OpState::Succeeded) => close(stage, now),
            (StageState::Running, _) => {
                stage.state = StageState::Failed;
                stage.ended_at = Some(now);
            }
            (StageState::Waiting, _) => stage.state = StageState::Skipped,
            (StageState::Done | StageState::Failed | StageState::Skipped, _) => {}
        }
    }
    view.state = state;
    view.ended_at = Some(now);
    view.error = error;
    view.cancellable = false;
    view.late = false;
}

/// What was shown of the stage that runs stays: the store has its begin only.
pub(crate) fn keep_progress(view: &mut OpView, shown: &OpView) {
    for (stage, shown) in view.stages.iter_mut().zip(&shown.stages) {
        if stage.state == StageState::Running && shown.state == StageState::Running {
            stage.progress = shown.progress;
            stage.detail.clone_from(&shown.detail);
        }
    }
}

/// A stage begins. One that was done in an earlier life of the node stays done: what is shown never goes back.
pub(super) fn begin(view: &mut OpView, key: &str) {
    view.late = false;
    if let Some(stage) = view.stages.iter_mut().find(|stage| stage.key == key)
        && stage.state == StageState::Waiting
    {
        stage.state = StageState::Running;
        stage.started_at = Some(now_ms());
    }
}

/// A stage is done.
pub(super) fn done(view: &mut OpView, key: &str) {
    view.late = false;
    if let Some(stage) = view.stages.iter_mut().find(|stage| stage.key == key)
        && stage.state == StageState::Running
    {
        close(stage, now_ms());
    }
}

/// A stage is not needed.
pub(super) fn skip(view: &mut OpView, key: &str, why: &str) {
    if let Some(stage) = view.stages.iter_mut().find(|stage| stage.key == key) {
        stage.state = StageState::Skipped;
        stage.detail = Some(why.to_owned());
    }
}

fn close(stage: &mut Stage, now: u64) {
    stage.state = StageState::Done;
    stage.detail = None;
    stage.progress = stage.progress.map(|_| 1.0);
    stage.ended_at = Some(now);
}

/// The last thing that happened in the stage that runs.
pub(super) fn detail(view: &mut OpView, text: String, progress: Option<f32>) {
    if let Some(stage) = view.stages.iter_mut().find(|stage| stage.state == StageState::Running) {
        stage.detail = Some(text);
        let old = stage.progress;
        let further = |new: f32| old.map_or(new, |old| old.max(new)).min(ALMOST);
        stage.progress = progress.map(further).or(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(keys: &[&str]) -> OpView {
        let stage = |key: &&str| Stage {
            key: (*key).into(),
            state: StageState::Waiting,
            progress: None,
            detail: None,
            started_at: None,
            ended_at: None,
        };
        OpView {
            id: OpId("01".into()),
            kind: OpKind::Install,
            app: "shop".parse().unwrap(),
            state: OpState::Running,
            stages: keys.iter().map(stage).collect(),
            started_at: 0,
            ended_at: None,
            error: None,
            residue: vec![],
            cancellable: true,
            late: false,
        }
    }

    #[test]
    fn progress_never_goes_back_and_is_whole_only_at_the_end() {
        let mut view = view(&["images", "start"]);
        begin(&mut view, "images");
        for (given, shown) in [(0.3, 0.3), (0.2, 0.3), (1.0, ALMOST)] {
            detail(&mut view, "x".into(), Some(given));
            assert_eq!(view.stages[0].progress, Some(shown));
        }
        detail(&mut view, "y".into(), None);
        assert_eq!((view.stages[0].progress, view.stages[0].detail.as_deref()), (Some(ALMOST), Some("y")));
        done(&mut view, "images");
        assert_eq!((view.stages[0].progress, view.stages[0].state), (Some(1.0), StageState::Done));
        begin(&mut view, "images");
        assert_eq!(view.stages[0].state, StageState::Done, "as when the node takes it up again");
    }

    #[test]
    fn what_did_not_succeed_keeps_its_progress_where_it_was() {
        let mut view = view(&["images", "start"]);
        begin(&mut view, "images");
        detail(&mut view, "x".into(), Some(0.5));
        end(&mut view, OpState::Failed, None);
        assert_eq!((view.stages[0].progress, view.stages[0].state), (Some(0.5), StageState::Failed));
        assert_eq!(view.stages[1].state, StageState::Skipped);
        end(&mut view, OpState::Succeeded, None);
        assert_eq!(view.state, OpState::Failed);
    }
}
