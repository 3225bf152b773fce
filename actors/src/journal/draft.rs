//! An event before it has a number.

use protocol::{AppId, Event, EventActor, OpId, Severity};

/// Longest text that goes into the journal; an error with a whole log in it is cut.
const MAX_TEXT: usize = 1_000;
/// Longest chain of causes.
const MAX_CAUSES: usize = 8;

/// What happened, to be put into the journal.
#[derive(Debug, Clone)]
pub struct EventDraft {
    severity: Severity,
    actor: EventActor,
    kind: &'static str,
    app: Option<AppId>,
    subject: Option<String>,
    op: Option<OpId>,
    message: String,
    cause: Vec<String>,
}

impl EventDraft {
    /// An event as it should be.
    pub fn new(actor: EventActor, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Info,
            actor,
            kind,
            app: None,
            subject: None,
            op: None,
            message: cut(message.into()),
            cause: vec![],
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The app that it is about.
    #[must_use]
    pub fn app(mut self, app: impl Into<Option<AppId>>) -> Self {
        self.app = app.into();
        self
    }

    /// What it is about within the app or the node.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(cut(subject.into()));
        self
    }

    /// The operation that it belongs to.
    #[must_use]
    pub fn op(mut self, op: impl Into<Option<OpId>>) -> Self {
        self.op = op.into();
        self
    }

    /// Why, the nearest cause first.
    #[must_use]
    pub fn cause(mut self, cause: impl IntoIterator<Item = String>) -> Self {
        self.cause = cause.into_iter().take(MAX_CAUSES).map(cut).collect();
        self
    }

    /// The machine-readable kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What counts as the same cause where too many events come.
    pub(super) fn cause_key(&self) -> String {
        let app = self.app.as_ref().map_or("", AppId::as_str);
        format!("{}/{app}/{}", self.kind, self.subject.as_deref().unwrap_or_default())
    }

    /// The event, still without a number.
    pub(super) fn at(self, at: u64, suppressed: u64) -> Event {
        Event {
            seq: 0,
            at,
            severity: self.severity,
            actor: self.actor,
            kind: self.kind.into(),
            app: self.app,
            subject: self.subject,
            op: self.op,
            message: self.message,
            cause: self.cause,
            suppressed,
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let draft = EventDraft::new(EventActor::Node, "test", "ä".repeat(600));
        assert_eq!(draft.message.chars().count(), 501);
        assert!(draft.message.ends_with('…'));
    }
}
