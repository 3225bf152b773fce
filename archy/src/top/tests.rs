use super::*;
use crate::watch::tests::app;
use protocol::{ContainerPhase, EventActor, Phase, Severity, SnapshotReason};
use ratatui::{Terminal, backend::TestBackend};

fn drawn(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
    terminal.draw(|frame| screen::draw(frame, model, 90_000)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..100).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..20).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_screen_follows_the_streams() {
    let mut model = Model::default();
    let row =
        app(Phase::CrashLooping, &[("web", ContainerPhase::Running), ("cache", ContainerPhase::Parked)]);
    model.take(StreamEvent::Snapshot {
        stream: StreamId::Apps,
        seq: 1,
        reason: SnapshotReason::Initial,
        rows: vec![Row::App(Box::new(row))],
    });
    let event = Event {
        seq: 1,
        at: 0,
        severity: Severity::Error,
        actor: EventActor::Supervisor,
        kind: "parked".into(),
        app: None,
        subject: None,
        op: None,
        message: "cache is given up".into(),
        cause: vec![],
        suppressed: 0,
    };
    model.take(StreamEvent::Entries {
        stream: StreamName::Events,
        seq: 1,
        dropped: 0,
        items: vec![Entry::Event(Box::new(event))],
    });
    let text = drawn(&model);
    for expected in ["live 0 running of 1", "crash_looping", "1/2", "cache is given up"] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    assert!(!text.contains("Gates"), "nothing waits");
    model.take(StreamEvent::Disconnected { reason: "refused".into() });
    assert!(drawn(&model).contains("last known, reconnecting: refused"));
    model.take(StreamEvent::Del { stream: StreamId::Apps, seq: 2, key: "demo".into(), why: String::new() });
    assert!(!drawn(&model).contains("crash_looping"));
}
