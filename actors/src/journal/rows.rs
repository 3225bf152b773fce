//! What rows tell when they change: operations that begin and end, gates that open and close.

use super::EventDraft;
use crate::ctx::Ctx;
use protocol::{EventActor, GateState, GateView, OpState, OpView, Row, Severity, StreamId};

/// Looks at a row before it replaces the one on the board.
pub(crate) fn record(ctx: &Ctx, row: &Row) {
    let shown = || ctx.board.row(row.stream(), row.key());
    match row {
        Row::Op(new) => {
            let old: Option<OpView> = shown().and_then(|json| serde_json::from_str(&json).ok());
            if let Some(draft) = operation(old.as_ref(), new) {
                if new.state.is_terminal() {
                    ctx.counters.operation(new);
                }
                ctx.record(draft);
            }
        }
        Row::Gate(new) => {
            let old: Option<GateView> = shown().and_then(|json| serde_json::from_str(&json).ok());
            if let Some(draft) = gate(old.as_ref(), new) {
                ctx.record(draft);
            }
        }
        Row::App(_) | Row::Tree(_) | Row::Node(_) | Row::Metrics(_) => {}
    }
}

fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The begin and the end of an operation, each once; rows that are only told again are no news.
fn operation(old: Option<&OpView>, new: &OpView) -> Option<EventDraft> {
    let of = |kind, severity, what: &str| {
        let message = format!("{} of {} {what}", word(new.kind), new.app);
        EventDraft::new(EventActor::Node, kind, message)
            .severity(severity)
            .app(new.app.clone())
            .op(new.id.clone())
            .subject(&*new.id.0)
    };
    let began = !new.state.is_terminal();
    match old {
        None if began => Some(of("op_started", Severity::Info, "began")),
        Some(old) if !old.state.is_terminal() && !began => Some(match new.state {
            OpState::Succeeded if new.residue.is_empty() => of("op_succeeded", Severity::Info, "is done"),
            OpState::Succeeded => {
                let draft = of("op_succeeded", Severity::Warning, "is done and left something behind");
                draft.cause(new.residue.iter().cloned())
            }
            OpState::Cancelled => of("op_cancelled", Severity::Info, "was cancelled"),
            OpState::Interrupted => of("op_interrupted", Severity::Warning, "was interrupted"),
            _ => {
                let draft = of("op_failed", Severity::Error, "failed");
                let error = new.error.iter();
                draft.cause(error.map(|error| format!("{} [{}]", error.message, error.code)))
            }
        }),
        _ => None,
    }
}

fn gate(old: Option<&GateView>, new: &GateView) -> Option<EventDraft> {
    if old.is_some_and(|old| old.state == new.state) {
        return None;
    }
    let (kind, severity, what) = match new.state {
        GateState::Open => ("gate_opened", Severity::Info, "is open"),
        GateState::Stalled => ("gate_stalled", Severity::Warning, "does not move"),
        GateState::Unreachable => ("gate_unreachable", Severity::Warning, "cannot be looked at"),
        GateState::Lost => ("gate_lost", Severity::Warning, "is not open any more"),
        GateState::Progressing => ("gate_waiting", Severity::Info, "is not open yet"),
        GateState::Unknown => return None,
    };
    let draft = EventDraft::new(EventActor::Gate, kind, format!("{} {what}", new.title));
    Some(draft.severity(severity).app(new.app.clone()).subject(new.id.clone()).cause(new.detail.clone()))
}

/// Operations that ended while nobody showed them, as when the node was away.
pub(crate) fn record_late_end(ctx: &Ctx, view: &OpView) {
    if ctx.board.row(StreamId::Ops, &view.id.0).is_none() {
        let began = OpView { state: OpState::Running, ..view.clone() };
        if let Some(draft) = operation(Some(&began), view) {
            ctx.record(draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{OpId, OpKind};

    fn op(state: OpState) -> OpView {
        OpView {
            id: OpId("01".into()),
            kind: OpKind::Install,
            app: "shop".parse().unwrap(),
            state,
            stages: vec![],
            started_at: 0,
            ended_at: None,
            error: None,
            residue: vec![],
            cancellable: false,
            late: false,
        }
    }

    #[test]
    fn an_operation_is_told_when_it_begins_and_when_it_ends() {
        let kind = |old: Option<OpState>, new| {
            let old = old.map(op);
            operation(old.as_ref(), &op(new)).map(|draft| draft.at(0, 0).kind)
        };
        assert_eq!(kind(None, OpState::Queued).as_deref(), Some("op_started"));
        assert_eq!(kind(Some(OpState::Queued), OpState::Running), None);
        assert_eq!(kind(Some(OpState::Running), OpState::Succeeded).as_deref(), Some("op_succeeded"));
        assert_eq!(kind(Some(OpState::Running), OpState::Failed).as_deref(), Some("op_failed"));
        assert_eq!(kind(Some(OpState::Failed), OpState::Failed), None);
        assert_eq!(kind(None, OpState::Succeeded), None, "told again after a restart");
    }
}
