//! `archy gates`: what apps wait for.

use crate::{
    fail::Failure,
    out::{Out, Tone, now_ms, span, word},
    table,
};
use protocol::{AppId, GateState, GateView, Row, StreamId, client::Client};

pub(crate) async fn run(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let rows = client.snapshot(StreamId::Gates).await?.items;
    let gates: Vec<GateView> = rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Gate(gate) => Some(*gate),
            _ => None,
        })
        .collect();
    if out.json() {
        return gates.iter().try_for_each(|gate| out.object(gate));
    }
    let now = now_ms();
    let cells: Vec<[String; 6]> = gates.iter().map(|gate| cells(gate, now)).collect();
    let head = ["GATE", "STATE", "PROGRESS", "LEFT", "SINCE", "WAITING"];
    table::print(head, &cells, |row, column| (column == 1).then(|| tone(gates[row].state)), out)
}

/// The colour that goes with a state; the word itself says the same.
pub(crate) fn tone(state: GateState) -> Tone {
    match state {
        GateState::Open => Tone::Good,
        GateState::Progressing => Tone::Busy,
        GateState::Stalled | GateState::Unreachable | GateState::Lost => Tone::Bad,
        GateState::Unknown => Tone::Faint,
    }
}

/// How far a gate is, in its own unit and in percent.
pub(crate) fn progress(gate: &GateView) -> String {
    let percent = gate.progress.map(|part| format!("{:.1} %", part.clamp(0.0, 1.0) * 100.0));
    let counted = match (gate.current, gate.target) {
        (Some(current), Some(target)) => {
            Some(format!("{current}/{target} {}", gate.unit.as_deref().unwrap_or_default()))
        }
        _ => None,
    };
    let both: Vec<String> = percent.into_iter().chain(counted).collect();
    if both.is_empty() { "-".into() } else { both.join(", ").trim_end().to_owned() }
}

/// How long it still takes, at the earliest and at the latest.
fn left(gate: &GateView) -> String {
    let words = |seconds: u64| span(seconds.saturating_mul(1_000));
    match (gate.eta_s.map(words), gate.eta_max_s.map(words)) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => "-".into(),
    }
}

fn cells(gate: &GateView, now: u64) -> [String; 6] {
    let waiters: Vec<&str> = gate.waiters.iter().map(AppId::as_str).collect();
    [
        gate.id.clone(),
        word(&gate.state),
        progress(gate),
        left(gate),
        span(now.saturating_sub(gate.since)),
        if waiters.is_empty() { "-".into() } else { waiters.join(", ") },
    ]
}
