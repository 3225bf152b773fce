//! `archy top`: apps, gates and events on the whole screen, from the same streams as everything else.

mod screen;

use crate::fail::Failure;
use protocol::{
    AppView, Entry, Event, GateView, Row, StreamId, StreamName, SubStream,
    client::{Client, StreamEvent},
};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How often keys are looked for, and ages are drawn anew.
const TICK: Duration = Duration::from_millis(100);
/// Events that are kept for the screen.
const EVENTS: usize = 100;

/// What the screen shows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) apps: BTreeMap<String, AppView>,
    pub(crate) gates: BTreeMap<String, GateView>,
    /// Newest first.
    pub(crate) events: VecDeque<Event>,
    /// Why the connection is lost, while it is.
    pub(crate) lost: Option<String>,
}

impl Model {
    fn put(&mut self, row: Row) {
        match row {
            Row::App(app) => drop(self.apps.insert(app.id.to_string(), *app)),
            Row::Gate(gate) => drop(self.gates.insert(gate.id.clone(), *gate)),
            _ => {}
        }
    }

    fn take(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Snapshot { stream, rows, .. } => {
                match stream {
                    StreamId::Apps => self.apps.clear(),
                    StreamId::Gates => self.gates.clear(),
                    _ => {}
                }
                rows.into_iter().for_each(|row| self.put(row));
            }
            StreamEvent::Put { row, .. } => self.put(row),
            StreamEvent::Del { stream: StreamId::Apps, key, .. } => drop(self.apps.remove(&key)),
            StreamEvent::Del { key, .. } => drop(self.gates.remove(&key)),
            StreamEvent::Entries { items, .. } => {
                for item in items {
                    if let Entry::Event(event) = item {
                        self.events.push_front(*event);
                    }
                }
                self.events.truncate(EVENTS);
            }
            StreamEvent::Disconnected { reason } => self.lost = Some(reason),
            StreamEvent::Reconnected => self.lost = None,
        }
    }
}

/// Whether a key that was pressed ends it; none may have been.
fn ends() -> std::io::Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Input::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

pub(crate) async fn run(client: &Client) -> Result<(), Failure> {
    let streams = vec![
        SubStream::new(StreamId::Apps),
        SubStream::new(StreamId::Gates),
        SubStream { tail: Some(50), ..SubStream::new(StreamName::Events) },
    ];
    // Connected before the screen is taken, so that a node that does not answer is told as always.
    let mut rows = client.subscribe_to(streams).await?;
    let mut terminal = ratatui::try_init().map_err(Failure::Output)?;
    let mut model = Model::default();
    let mut tick = tokio::time::interval(TICK);
    let ended = loop {
        tokio::select! {
            event = rows.next() => match event {
                Ok(event) => model.take(event),
                Err(error) => break Err(error.into()),
            },
            _ = tick.tick() => {
                match ends() {
                    Ok(false) => {}
                    Ok(true) => break Ok(()),
                    Err(error) => break Err(Failure::Output(error)),
                }
                let drawn = terminal.draw(|frame| screen::draw(frame, &model, crate::out::now_ms()));
                if let Err(error) = drawn {
                    break Err(Failure::Output(error));
                }
            }
        }
    };
    ratatui::restore();
    ended
}

#[cfg(test)]
mod tests;
