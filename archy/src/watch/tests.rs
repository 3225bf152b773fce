//! From rows to lines.

use super::*;
use crate::out::tests::Shared;
use protocol::{
    AppView, Confidence, ContainerPhase, ContainerView, Desired, ExitView, Health, Phase, SnapshotReason,
    TreeKind, TreeState, TreeView,
};

pub(crate) fn app(phase: Phase, containers: &[(&str, ContainerPhase)]) -> AppView {
    let container = |(service, phase): &(&str, ContainerPhase)| ContainerView {
        service: service.parse().unwrap(),
        name: format!("demo_{service}"),
        id: None,
        phase: *phase,
        health: Health::None,
        wait: Vec::new(),
        reason: None,
        since: 1_000,
        started_at: None,
        restarts: 0,
        last_restart: None,
        ended: None,
        last_exit: None,
        image: String::new(),
    };
    AppView {
        id: "demo".parse().unwrap(),
        name: "Demo".into(),
        tagline: String::new(),
        version: "1".into(),
        installed: true,
        phase,
        reason: None,
        since: 0,
        observed_at: 0,
        confidence: Confidence::Live,
        desired: Desired::Running,
        op: None,
        last_op: None,
        wait: Vec::new(),
        restarts: 0,
        containers: containers.iter().map(container).collect(),
        launch: Vec::new(),
        next_retry: None,
        update: None,
        backup: None,
        category: None,
        icon: false,
    }
}

pub(crate) fn process(path: &str, parent: Option<&str>) -> TreeView {
    TreeView {
        path: path.into(),
        parent: parent.map(Into::into),
        order: 0,
        kind: TreeKind::Worker,
        strategy: None,
        restart: "permanent".into(),
        intensity: None,
        state: TreeState::Running,
        generation: 1,
        restarts: 0,
        last_exit: None,
        last_exit_at: None,
        cause: None,
    }
}

fn put(row: Row) -> StreamEvent {
    StreamEvent::Put { stream: row.stream(), seq: 0, row }
}

fn snapshot(rows: Vec<Row>) -> StreamEvent {
    StreamEvent::Snapshot { stream: StreamId::Apps, seq: 0, reason: SnapshotReason::Initial, rows }
}

fn lines(changes: &[Change]) -> Vec<String> {
    let out = Shared::default().out(false, false);
    changes.iter().map(|change| change.line(&out)).collect()
}

#[test]
fn a_dying_container_is_told_before_its_app_and_with_its_exit_code() {
    let mut seen = Seen::default();
    let whole = app(Phase::Running, &[("web", ContainerPhase::Running), ("cache", ContainerPhase::Running)]);
    seen.take(snapshot(vec![Row::App(Box::new(whole.clone()))]), 0);
    let mut dead = whole.clone();
    (dead.phase, dead.since) = (Phase::Restarting, 43_201_124);
    let cache = &mut dead.containers[1];
    (cache.phase, cache.since) = (ContainerPhase::Exited, 43_201_123);
    cache.last_exit = Some(ExitView { code: Some(137), oom: false, at: 43_201_123 });
    let changes = seen.take(put(Row::App(Box::new(dead.clone()))), 0);
    assert_eq!(
        lines(&changes),
        ["12:00:01.123 demo/cache running -> exited (137)", "12:00:01.124 demo running -> restarting"]
    );
    let json = serde_json::to_string(&changes[0]).unwrap();
    let expected = r#"{"at":43201123,"app":"demo","container":"cache","from":"running","to":"exited","exit_code":137,"reason":null}"#;
    assert_eq!(json, expected);
    assert!(seen.take(put(Row::App(Box::new(dead))), 0).is_empty(), "the same row is no change");
}

#[test]
fn a_restart_between_two_frames_is_not_lost() {
    let mut seen = Seen::default();
    let before = app(Phase::Running, &[("cache", ContainerPhase::Running)]);
    seen.take(snapshot(vec![Row::App(Box::new(before.clone()))]), 0);
    let mut after = before;
    after.containers[0].restarts = 1;
    let changes = seen.take(put(Row::App(Box::new(after))), 0);
    assert_eq!(lines(&changes), ["00:00:01.000 demo/cache running -> running: restarted, number 1"]);
}

#[test]
fn a_snapshot_after_a_lost_connection_is_told_as_differences() {
    let mut seen = Seen::default();
    let mut other = app(Phase::Stopped, &[]);
    other.id = "other".parse().unwrap();
    let demo = app(Phase::Running, &[("cache", ContainerPhase::Running)]);
    let first = seen.take(snapshot(vec![Row::App(Box::new(demo.clone())), Row::App(Box::new(other))]), 0);
    assert_eq!(first.len(), 3, "what is there at the beginning has no from: {first:?}");
    assert!(first.iter().all(|change| change.from.is_none()));
    let mut new = demo;
    new.phase = Phase::Degraded;
    let changes = seen.take(snapshot(vec![Row::App(Box::new(new))]), 5);
    assert_eq!(
        lines(&changes),
        ["00:00:00.005 other stopped -> gone: gone", "00:00:00.000 demo running -> degraded"]
    );
}

#[test]
fn a_process_that_was_restarted_is_told_with_the_reason() {
    let mut seen = Seen::default();
    let before = process("node/hub", Some("node"));
    seen.take(snapshot(vec![Row::Tree(Box::new(before.clone()))]), 0);
    let mut after = before;
    (after.generation, after.last_exit) = (2, Some("killed".into()));
    let changes = seen.take(put(Row::Tree(Box::new(after))), 0);
    assert_eq!(lines(&changes), ["00:00:00.000 node/hub running -> running: killed"]);
    let del =
        StreamEvent::Del { stream: StreamId::Tree, seq: 0, key: "node/hub".into(), why: "terminated".into() };
    assert_eq!(lines(&seen.take(del, 0)), ["00:00:00.000 node/hub running -> gone: terminated"]);
}

#[test]
fn an_operation_is_told_by_stage_and_state() {
    use protocol::{OpId, OpKind, OpState, OpView, Stage, StageState};
    let stage = |state| Stage {
        key: "images".into(),
        state,
        progress: None,
        detail: None,
        started_at: Some(1),
        ended_at: (state == StageState::Done).then_some(2),
    };
    let mut op = OpView {
        id: OpId("01".into()),
        kind: OpKind::Install,
        app: "demo".parse().unwrap(),
        state: OpState::Running,
        stages: vec![stage(StageState::Running)],
        started_at: 1,
        ended_at: None,
        error: None,
        residue: vec![],
        cancellable: false,
        late: false,
    };
    let mut seen = Seen::default();
    let first = seen.take(put(Row::Op(Box::new(op.clone()))), 0);
    assert_eq!(lines(&first), ["00:00:00.001 demo install absent -> running"]);
    (op.state, op.stages, op.ended_at) = (OpState::Succeeded, vec![stage(StageState::Done)], Some(3));
    let changes = seen.take(put(Row::Op(Box::new(op))), 0);
    assert_eq!(
        lines(&changes),
        [
            "00:00:00.002 demo install images running -> done",
            "00:00:00.003 demo install running -> succeeded"
        ]
    );
}
