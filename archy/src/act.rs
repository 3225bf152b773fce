//! Commands on an app, followed to the end of their operation.

use crate::{
    fail::Failure,
    out::{Out, Tone, note, span, word},
};
use protocol::{
    Command, CommandAccepted, Confirm, ErrorCode, OpState, OpView, Row, Stage, StageState, StreamId,
    client::{Client, ClientError, StreamEvent},
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

/// `yes` is what the plan of a command that destroys something asks to be typed, where it was given beforehand.
pub(crate) async fn run(
    client: &Client,
    waits: bool,
    command: &Command,
    yes: Option<&str>,
    out: &mut Out,
) -> Result<(), Failure> {
    if !waits {
        let accepted = give(client, command, yes, out).await?;
        if out.json() {
            return out.object(&accepted);
        }
        return out.line(&format!("accepted as {}", accepted.op_id));
    }
    // Subscribed before it is asked for, so that nothing of it is missed.
    let mut rows = client.subscribe(&[StreamId::Ops]).await?;
    let accepted = give(client, command, yes, out).await?;
    let mut told = Told::default();
    loop {
        let changed = match rows.next().await? {
            StreamEvent::Snapshot { rows, .. } => rows,
            StreamEvent::Put { row, .. } => vec![row],
            StreamEvent::Del { key, .. } if key == *accepted.op_id.0 => {
                note("the node has forgotten this operation; `archy apps` shows how the app is");
                return Err(Failure::Told);
            }
            StreamEvent::Del { .. } | StreamEvent::Entries { .. } => Vec::new(),
            StreamEvent::Disconnected { .. } => {
                note("the connection is lost; the operation goes on, waiting for the node");
                Vec::new()
            }
            StreamEvent::Reconnected => {
                note("connected again");
                Vec::new()
            }
        };
        for row in changed {
            let Row::Op(op) = row else { continue };
            if op.id == accepted.op_id {
                told.tell(&op, out)?;
                if op.state.is_terminal() {
                    return if op.state == wished(command) { Ok(()) } else { Err(Failure::Told) };
                }
            }
        }
    }
}

/// The end that was asked for.
fn wished(command: &Command) -> OpState {
    match command {
        Command::Cancel { .. } => OpState::Cancelled,
        _ => OpState::Succeeded,
    }
}

/// Gives the command; where the node wants it confirmed, after the plan was shown and agreed to.
async fn give(
    client: &Client,
    command: &Command,
    yes: Option<&str>,
    out: &mut Out,
) -> Result<CommandAccepted, Failure> {
    let refused = match client.command(command, None).await {
        Err(ClientError::Refused(refused)) if refused.code == ErrorCode::ConfirmRequired => refused,
        answer => return Ok(answer?),
    };
    let Some(Confirm { plan, token }) = refused.confirm.as_deref() else {
        return Err(ClientError::Refused(refused).into());
    };
    let word = plan.type_to_confirm.as_deref().unwrap_or("yes");
    let typed = match yes {
        Some(yes) => yes.to_owned(),
        None if out.terminal() => {
            for (title, list) in [("This goes for good:", &plan.removes), ("This stays:", &plan.keeps)] {
                out.line(title)?;
                for item in list {
                    out.line(&format!("  {item}"))?;
                }
            }
            ask(&format!("Type {word} to go on: "))?
        }
        None => return Err(Failure::Unconfirmed(word.to_owned())),
    };
    if typed.trim() != word {
        return Err(Failure::NotConfirmed(word.to_owned()));
    }
    Ok(client.command_confirmed(command, token).await?)
}

fn ask(question: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(Failure::Output)?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed).map_err(|_| Failure::Nothing)?;
    Ok(typed)
}

/// What has been printed of an operation.
#[derive(Debug, Default)]
struct Told {
    stages: BTreeMap<String, StageState>,
    late: bool,
}

impl Told {
    fn tell(&mut self, op: &OpView, out: &mut Out) -> Result<(), Failure> {
        if out.json() {
            return out.object(op);
        }
        for stage in &op.stages {
            let last = self.stages.insert(stage.key.clone(), stage.state);
            let ended = matches!(stage.state, StageState::Done | StageState::Failed | StageState::Skipped);
            // On a terminal the live line shows what runs.
            let worth = ended || (stage.state == StageState::Running && !out.terminal());
            if last != Some(stage.state) && worth {
                let text = stage_line(stage, out);
                out.line(&text)?;
            }
        }
        let title = format!("{} {}", word(&op.kind), op.app);
        if op.late && !self.late {
            let cancel = format!("wait, or end it with `archy cancel {}`", op.app);
            let way_out = if op.cancellable { cancel.as_str() } else { "wait" };
            let text = out.paint(Tone::Busy, "takes longer than usual");
            out.line(&format!("  {text}: {way_out}"))?;
        }
        self.late = op.late;
        if !op.state.is_terminal() {
            return match op.stages.iter().find(|stage| stage.state == StageState::Running) {
                Some(stage) => out.live(&format!("{title}: {}", progress(stage))),
                None => out.live(&format!("{title}: {}", word(&op.state))),
            };
        }
        let took = op.ended_at.map(|end| format!(" in {}", span(end.saturating_sub(op.started_at))));
        let took = took.unwrap_or_default();
        let tone = if op.state == OpState::Succeeded { Tone::Good } else { Tone::Bad };
        let state = out.paint(tone, &word(&op.state));
        match &op.error {
            None => out.line(&format!("{title}: {state}{took}"))?,
            Some(error) => {
                out.line(&format!("{title}: {state}{took}: {} [{}]", error.message, error.code))?;
                if let Some(hint) = &error.hint {
                    out.line(&format!("  {hint}"))?;
                }
            }
        }
        op.residue.iter().try_for_each(|left| out.line(&format!("  left behind: {left}")))
    }
}

fn progress(stage: &Stage) -> String {
    let percent = stage.progress.map(|part| format!(" {:.0} %", part.clamp(0.0, 1.0) * 100.0));
    let detail = stage.detail.as_ref().map(|detail| format!(" {detail}"));
    format!("{}{}{}", stage.key, percent.unwrap_or_default(), detail.unwrap_or_default())
}

/// `  images: done in 3.1 s, 3 images`.
fn stage_line(stage: &Stage, out: &Out) -> String {
    let tone = match stage.state {
        StageState::Done => Tone::Good,
        StageState::Failed => Tone::Bad,
        StageState::Skipped | StageState::Waiting => Tone::Faint,
        StageState::Running => Tone::Busy,
    };
    let took = match (stage.started_at, stage.ended_at) {
        (Some(start), Some(end)) => format!(" in {}", span(end.saturating_sub(start))),
        _ => String::new(),
    };
    let detail = stage.detail.as_ref().map(|detail| format!(", {detail}")).unwrap_or_default();
    format!("  {}: {}{took}{detail}", stage.key, out.paint(tone, &word(&stage.state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::Shared;
    use protocol::{OpError, OpId, OpKind};

    fn stage(key: &str, state: StageState) -> Stage {
        let ended_at = (state == StageState::Done).then_some(2_500);
        Stage {
            key: key.into(),
            state,
            progress: Some(0.42),
            detail: None,
            started_at: Some(1_000),
            ended_at,
        }
    }

    fn op(state: OpState, stages: Vec<Stage>) -> OpView {
        OpView {
            id: OpId("01".into()),
            kind: OpKind::Install,
            app: "demo".parse().unwrap(),
            state,
            stages,
            started_at: 1_000,
            ended_at: state.is_terminal().then_some(13_000),
            error: None,
            residue: vec![],
            cancellable: false,
            late: false,
        }
    }

    #[test]
    fn in_a_pipe_every_stage_is_a_line_once() {
        let shared = Shared::default();
        let mut out = shared.out(false, false);
        let mut told = Told::default();
        let running = op(OpState::Running, vec![stage("images", StageState::Running)]);
        told.tell(&running, &mut out).unwrap();
        told.tell(&running, &mut out).unwrap();
        let mut failed =
            op(OpState::Failed, vec![stage("images", StageState::Done), stage("start", StageState::Failed)]);
        failed.error = Some(OpError {
            code: "port_in_use".into(),
            message: "port 80 is taken".into(),
            hint: Some("free it".into()),
            retryable: true,
        });
        failed.residue = vec!["network demo_default".into()];
        told.tell(&failed, &mut out).unwrap();
        let expected = [
            "  images: running",
            "  images: done in 1.5 s",
            "  start: failed",
            "install demo: failed in 12 s: port 80 is taken [port_in_use]",
            "  free it",
            "  left behind: network demo_default",
        ];
        assert_eq!(shared.text().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn on_a_terminal_what_runs_is_a_live_line() {
        let shared = Shared::default();
        let mut out = shared.out(false, true);
        let mut told = Told::default();
        told.tell(&op(OpState::Running, vec![stage("images", StageState::Running)]), &mut out).unwrap();
        assert_eq!(shared.text(), "install demo: images 42 %");
        told.tell(&op(OpState::Succeeded, vec![stage("images", StageState::Done)]), &mut out).unwrap();
        let rest = shared.text().replace("install demo: images 42 %", "");
        assert!(rest.starts_with("\r\x1b[2K  images: \x1b[32mdone\x1b[0m in 1.5 s\n"), "{rest:?}");
        assert!(rest.ends_with("install demo: \x1b[32msucceeded\x1b[0m in 12 s\n"), "{rest:?}");
    }

    #[test]
    fn an_operation_that_is_late_is_told_once_with_the_way_out() {
        let shared = Shared::default();
        let mut out = shared.out(false, false);
        let mut told = Told::default();
        let running = op(OpState::Running, vec![stage("images", StageState::Running)]);
        let late = OpView { late: true, cancellable: true, ..running };
        told.tell(&late, &mut out).unwrap();
        told.tell(&late, &mut out).unwrap();
        let expected =
            ["  images: running", "  takes longer than usual: wait, or end it with `archy cancel demo`"];
        assert_eq!(shared.text().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn as_json_every_state_of_the_operation_is_an_object() {
        let shared = Shared::default();
        let op = op(OpState::Queued, Vec::new());
        Told::default().tell(&op, &mut shared.out(true, false)).unwrap();
        assert_eq!(serde_json::from_str::<OpView>(&shared.text()).unwrap(), op);
    }
}
