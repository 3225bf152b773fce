//! What `archy top` draws; pure but for the terminal.

use super::Model;
use crate::{
    apps_list, events, gates,
    out::{Tone, span, time, word},
};
use protocol::{ContainerPhase, Phase};
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Row, Table},
};
use std::env;

fn style(tone: Tone) -> Style {
    if env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Style::new();
    }
    match tone {
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Busy => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    }
}

fn head(cells: &'static [&'static str]) -> Row<'static> {
    Row::new(cells.iter().copied()).style(Style::new().add_modifier(Modifier::BOLD))
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, now: u64) {
    let gates_height = if model.gates.is_empty() { 0 } else { (model.gates.len() as u16).min(8) + 3 };
    let [title, apps, gates, events] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(2),
        Constraint::Length(gates_height),
        Constraint::Fill(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(model)), title);
    frame.render_widget(apps_table(model, now), apps);
    if gates_height > 0 {
        frame.render_widget(gates_table(model), gates);
    }
    frame.render_widget(events_list(model), events);
}

fn title_line(model: &Model) -> Line<'static> {
    let running = model.apps.values().filter(|app| app.phase == Phase::Running).count();
    let restarts: u32 = model.apps.values().map(|app| app.restarts).sum();
    let live = match &model.lost {
        None => Span::styled("live", style(Tone::Good)),
        Some(reason) => Span::styled(format!("last known, reconnecting: {reason}"), style(Tone::Bad)),
    };
    let text = format!(" {running} running of {}, {restarts} restarts, q ends ", model.apps.len());
    Line::from(vec![Span::raw("Archipelago "), live, Span::raw(text)])
}

fn apps_table(model: &Model, now: u64) -> Table<'static> {
    let mut apps: Vec<_> = model.apps.values().collect();
    // What needs somebody comes first.
    apps.sort_by_key(|app| {
        let order = match apps_list::tone(app.phase) {
            Tone::Bad => 0,
            Tone::Busy => 1,
            Tone::Good => 2,
            Tone::Faint => 3,
        };
        (order, app.id.clone())
    });
    let rows = apps.into_iter().map(|app| {
        let up = app.containers.iter().filter(|container| container.phase == ContainerPhase::Running).count();
        let since = if app.since == 0 { "-".to_owned() } else { span(now.saturating_sub(app.since)) };
        Row::new(vec![
            Span::raw(app.id.to_string()),
            Span::styled(word(&app.phase), style(apps_list::tone(app.phase))),
            Span::raw(format!("{up}/{}", app.containers.len())),
            Span::raw(app.restarts.to_string()),
            Span::raw(since),
            Span::raw(app.reason.clone().unwrap_or_default()),
        ])
    });
    let widths = [
        Constraint::Length(20),
        Constraint::Length(14),
        Constraint::Length(5),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths)
        .header(head(&["APP", "PHASE", "UP", "RESTARTS", "SINCE", "REASON"]))
        .block(Block::bordered().title("Apps"))
}

fn gates_table(model: &Model) -> Table<'static> {
    let rows = model.gates.values().map(|gate| {
        Row::new(vec![
            Span::raw(gate.id.clone()),
            Span::styled(word(&gate.state), style(gates::tone(gate.state))),
            Span::raw(gates::progress(gate)),
            Span::raw(gate.waiters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ])
    });
    let widths =
        [Constraint::Length(24), Constraint::Length(12), Constraint::Length(36), Constraint::Fill(1)];
    Table::new(rows, widths)
        .header(head(&["GATE", "STATE", "PROGRESS", "WAITING"]))
        .block(Block::bordered().title("Gates"))
}

fn events_list(model: &Model) -> Paragraph<'static> {
    let lines = model.events.iter().map(|event| {
        let app = event.app.as_ref().map(|app| format!(" {app}")).unwrap_or_default();
        Line::from(vec![
            Span::raw(format!("{} ", time(event.at))),
            Span::styled(word(&event.severity), style(events::tone(event.severity))),
            Span::raw(format!("{app}: {}", event.message)),
        ])
    });
    Paragraph::new(lines.collect::<Vec<_>>()).block(Block::bordered().title("Events"))
}
