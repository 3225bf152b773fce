//! `archy watch`: every change as a line, in order.

mod change;

use crate::{
    fail::Failure,
    out::{Out, note, now_ms},
};
use change::{Change, changes, gone};
use protocol::{
    Row, StreamId,
    client::{Client, StreamEvent},
};
use std::collections::BTreeMap;

pub(crate) async fn run(client: &Client, stream: StreamId, out: &mut Out) -> Result<(), Failure> {
    let mut events = client.subscribe(&[stream]).await?;
    let mut seen = Seen::default();
    loop {
        match events.next().await? {
            StreamEvent::Disconnected { .. } => note("the connection is lost; what follows comes later"),
            StreamEvent::Reconnected => note("connected again"),
            event => {
                let first = seen.rows.is_none();
                let changes = seen.take(event, now_ms());
                let count = changes.iter().filter(|change| change.container.is_none()).count();
                if first {
                    note(&format!("watching {count} rows of {} at {}", stream.as_str(), client.base_url()));
                }
                for change in changes {
                    tell(&change, first, out)?;
                }
            }
        }
    }
}

/// As JSON what is there at the beginning is told too, with `from: null`: a program needs something to begin with.
fn tell(change: &Change, first: bool, out: &mut Out) -> Result<(), Failure> {
    if out.json() {
        out.object(change)
    } else if first {
        Ok(())
    } else {
        let text = change.line(out);
        out.line(&text)
    }
}

/// The rows as they were told last.
#[derive(Debug, Default)]
struct Seen {
    /// Nothing before the first snapshot.
    rows: Option<BTreeMap<String, Row>>,
}

impl Seen {
    fn take(&mut self, event: StreamEvent, now_ms: u64) -> Vec<Change> {
        let rows = self.rows.get_or_insert_default();
        match event {
            StreamEvent::Snapshot { rows: new, .. } => {
                let new: BTreeMap<String, Row> =
                    new.into_iter().map(|row| (row.key().to_owned(), row)).collect();
                let gone: Vec<Change> = rows
                    .iter()
                    .filter(|(key, _)| !new.contains_key(*key))
                    .map(|(_, row)| gone(row, "gone", now_ms))
                    .collect();
                let changed: Vec<Change> =
                    new.iter().flat_map(|(key, row)| changes(rows.get(key), row, now_ms)).collect();
                *rows = new;
                gone.into_iter().chain(changed).collect()
            }
            StreamEvent::Put { row, .. } => {
                let old = rows.insert(row.key().to_owned(), row.clone());
                changes(old.as_ref(), &row, now_ms)
            }
            StreamEvent::Del { key, why, .. } => {
                rows.remove(&key).map(|row| gone(&row, &why, now_ms)).into_iter().collect()
            }
            StreamEvent::Entries { .. } | StreamEvent::Disconnected { .. } | StreamEvent::Reconnected => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
