//! `archy events`: what happened, oldest first.

use crate::{
    fail::Failure,
    out::{Out, Tone, note, time, word},
};
use protocol::{
    AppId, Entry, Event, Severity, StreamName, SubStream,
    client::{Client, StreamEvent},
};

/// Events that the node gives at once.
const PAGE: u32 = 500;

pub(crate) async fn run(
    client: &Client,
    app: Option<&AppId>,
    limit: u32,
    follow: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    // Subscribed before the past is read, so that nothing falls in between.
    let mut coming = if follow {
        Some(
            client
                .subscribe_to(vec![SubStream { tail: Some(0), ..SubStream::new(StreamName::Events) }])
                .await?,
        )
    } else {
        None
    };
    let mut past: Vec<Event> = Vec::new();
    let mut before = None;
    while past.len() < limit as usize {
        let left = limit - u32::try_from(past.len()).unwrap_or(limit);
        let page = client.events(app, before, left.min(PAGE)).await?;
        past.extend(page.items);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let mut last = 0;
    for event in past.iter().rev() {
        last = event.seq;
        tell(event, out)?;
    }
    let Some(coming) = &mut coming else { return Ok(()) };
    loop {
        match coming.next().await? {
            StreamEvent::Entries { items, dropped, .. } => {
                if dropped > 0 {
                    note(&format!("{dropped} events are left out; `archy events` without -f has them"));
                }
                for entry in items {
                    let Entry::Event(event) = entry else { continue };
                    if event.seq > last && app.is_none_or(|app| event.app.as_ref() == Some(app)) {
                        tell(&event, out)?;
                    }
                }
            }
            StreamEvent::Disconnected { .. } => note("the connection is lost; what follows comes later"),
            StreamEvent::Reconnected => note("connected again"),
            _ => {}
        }
    }
}

fn tell(event: &Event, out: &mut Out) -> Result<(), Failure> {
    if out.json() {
        return out.object(event);
    }
    let text = line(event, out);
    out.line(&text)
}

/// The colour that goes with a severity; the word itself says the same.
pub(crate) fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Faint,
        Severity::Warning => Tone::Busy,
        Severity::Error => Tone::Bad,
    }
}

/// `12:00:01.123 warning supervisor demo: cache ended: exited with code 137 <- out of memory`.
fn line(event: &Event, out: &Out) -> String {
    let severity = out.paint(tone(event.severity), &word(&event.severity));
    let app = event.app.as_ref().map(|app| format!(" {app}")).unwrap_or_default();
    let mut text = format!("{} {severity} {}{app}: {}", time(event.at), word(&event.actor), event.message);
    // The first cause is often what the message says already.
    for cause in event.cause.iter().filter(|cause| !event.message.contains(cause.as_str())) {
        text = format!("{text} <- {cause}");
    }
    if event.suppressed > 0 {
        text = format!("{text} (and {} more like it)", event.suppressed);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::Shared;
    use protocol::EventActor;

    #[test]
    fn a_line_has_the_causes_that_the_message_does_not_say() {
        let event = Event {
            seq: 1,
            at: 1_795_240_801_123,
            severity: Severity::Warning,
            actor: EventActor::Supervisor,
            kind: "child_died".into(),
            app: Some("demo".parse().unwrap()),
            subject: None,
            op: None,
            message: "cache ended: exited with code 137".into(),
            cause: vec!["exited with code 137".into(), "out of memory".into()],
            suppressed: 3,
        };
        let expected = "06:00:01.123 warning supervisor demo: cache ended: exited with code 137 <- out of memory \
                        (and 3 more like it)";
        assert_eq!(line(&event, &Shared::default().out(false, false)), expected);
    }
}
