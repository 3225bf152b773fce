//! `archy apps`: the apps and how they are.

use crate::{
    fail::Failure,
    out::{Out, Tone, now_ms, span, word},
};
use protocol::{AppView, Confidence, ContainerPhase, Health, Phase, Row, StreamId, client::Client};

pub(crate) async fn run(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let snapshot = client.snapshot(StreamId::Apps).await?;
    let apps = snapshot.items.into_iter().filter_map(|row| match row {
        Row::App(app) => Some(*app),
        _ => None,
    });
    let apps: Vec<AppView> = apps.collect();
    if out.json() {
        return apps.iter().try_for_each(|app| out.object(app));
    }
    table(&apps, now_ms(), out)
}

/// The colour that goes with a phase; the word itself says the same.
pub(crate) fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Running => Tone::Good,
        Phase::NotInstalled | Phase::Stopped => Tone::Faint,
        Phase::Degraded | Phase::Unhealthy | Phase::CrashLooping | Phase::Failed => Tone::Bad,
        Phase::Installing
        | Phase::Starting
        | Phase::Waiting
        | Phase::Restarting
        | Phase::Stopping
        | Phase::Updating
        | Phase::BackingUp
        | Phase::Restoring
        | Phase::Uninstalling => Tone::Busy,
    }
}

const HEAD: [&str; 6] = ["APP", "PHASE", "CONTAINERS", "RESTARTS", "SINCE", "REASON"];

fn table(apps: &[AppView], now_ms: u64, out: &mut Out) -> Result<(), Failure> {
    let rows: Vec<[String; 6]> = apps.iter().map(|app| cells(app, now_ms)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let head = out.paint(Tone::Faint, &joined(&HEAD.map(String::from), &widths));
    out.line(&head)?;
    for (app, row) in apps.iter().zip(rows) {
        let mut row = row;
        // Padded before it is painted: colours have no width.
        let padded = format!("{:1$}", row[1], widths[1]);
        row[1] = out.paint(tone(app.phase), &padded);
        out.line(&joined(&row, &widths))?;
    }
    Ok(())
}

fn joined(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn cells(app: &AppView, now_ms: u64) -> [String; 6] {
    let fine =
        |phase, health| phase == ContainerPhase::Running && matches!(health, Health::None | Health::Healthy);
    let ready = app.containers.iter().filter(|container| fine(container.phase, container.health)).count();
    let containers = match app.containers.len() {
        0 => "-".to_owned(),
        all => format!("{ready}/{all} ready"),
    };
    let mut reason = app.reason.clone().unwrap_or_default();
    if app.confidence == Confidence::LastKnown {
        let age = span(now_ms.saturating_sub(app.observed_at));
        reason = format!("last known {age} ago {reason}").trim_end().to_owned();
    }
    let since = if app.since == 0 { "-".to_owned() } else { span(now_ms.saturating_sub(app.since)) };
    [app.id.to_string(), word(&app.phase), containers, app.restarts.to_string(), since, reason]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{out::tests::Shared, watch::tests::app};

    #[test]
    fn the_table_is_aligned_and_begins_with_id_and_phase() {
        let mut one =
            app(Phase::Running, &[("web", ContainerPhase::Running), ("cache", ContainerPhase::Exited)]);
        one.since = 60_000;
        one.reason = Some("all well".into());
        let mut other = app(Phase::NotInstalled, &[]);
        (other.id, other.confidence) = ("a-long-name".parse().unwrap(), Confidence::LastKnown);
        let shared = Shared::default();
        table(&[one, other], 90_000, &mut shared.out(false, false)).unwrap();
        let expected = "\
APP          PHASE          CONTAINERS  RESTARTS  SINCE  REASON
demo         running        1/2 ready   0         30 s   all well
a-long-name  not_installed  -           0         -      last known 90 s ago
";
        assert_eq!(shared.text(), expected);
    }
}
