//! What changed between two states of a row; pure.

use crate::{
    apps_list,
    out::{Out, Tone, time, word},
};
use protocol::{
    AppView, ContainerPhase, ContainerView, ExitView, GateState, GateView, NodeView, OpView, Row, TreeState,
    TreeView,
};
use serde::Serialize;

/// One change, as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// When, by the node's clock where it says so.
    pub(super) at: u64,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
    /// Its container, where the change is one of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<String>,
    /// The row's key, where it is no app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The stage of an operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<String>,
    /// Null when it was not there before.
    pub(super) from: Option<String>,
    /// Null when it is gone.
    pub(super) to: Option<String>,
    /// Exit code of a container that exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<i32>,
    /// Why, in words.
    pub(super) reason: Option<String>,
    #[serde(skip)]
    tone: Option<Tone>,
}

impl Change {
    fn new(at: u64, from: Option<String>, to: String) -> Self {
        let (to, tone) = (Some(to), None);
        Self {
            at,
            app: None,
            container: None,
            key: None,
            stage: None,
            from,
            to,
            exit_code: None,
            reason: None,
            tone,
        }
    }

    /// `12:00:01.123 demo/cache running -> exited (137): reason`.
    pub(super) fn line(&self, out: &Out) -> String {
        let parts = [&self.app, &self.container, &self.key, &self.stage];
        let label: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        let label = if self.app.is_some() && self.key.is_some() { label.join(" ") } else { label.join("/") };
        let from = self.from.as_deref().unwrap_or("absent");
        let to = self.to.as_deref().unwrap_or("gone");
        let to = self.tone.map_or_else(|| to.to_owned(), |tone| out.paint(tone, to));
        let code = self.exit_code.map(|code| format!(" ({code})")).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} {label} {from} -> {to}{code}{reason}", time(self.at))
    }
}

/// A row that is no more.
pub(super) fn gone(row: &Row, why: &str, now_ms: u64) -> Change {
    let from = match row {
        Row::App(app) => word(&app.phase),
        Row::Op(op) => word(&op.state),
        Row::Tree(process) => word(&process.state),
        Row::Gate(gate) => word(&gate.state),
        Row::Node(part) => works(part).to_owned(),
        Row::Metrics(_) => "measured".into(),
    };
    let (app, key) = match row {
        Row::App(app) => (Some(app.id.to_string()), None),
        other => (None, Some(other.key().to_owned())),
    };
    let mut change = Change::new(now_ms, Some(from), String::new());
    (change.app, change.key, change.to, change.reason) = (app, key, None, Some(why.to_owned()));
    change
}

/// What is different, in the order in which it happened as far as the row tells.
pub(super) fn changes(old: Option<&Row>, new: &Row, now_ms: u64) -> Vec<Change> {
    match (old, new) {
        (Some(Row::App(old)), Row::App(new)) => app_changes(Some(old), new),
        (_, Row::App(new)) => app_changes(None, new),
        (Some(Row::Op(old)), Row::Op(new)) => op_changes(Some(old), new, now_ms),
        (_, Row::Op(new)) => op_changes(None, new, now_ms),
        (Some(Row::Tree(old)), Row::Tree(new)) => tree_change(Some(old), new, now_ms),
        (_, Row::Tree(new)) => tree_change(None, new, now_ms),
        (Some(Row::Node(old)), Row::Node(new)) => node_change(Some(old), new, now_ms),
        (_, Row::Node(new)) => node_change(None, new, now_ms),
        (Some(Row::Gate(old)), Row::Gate(new)) => gate_change(Some(old), new),
        (_, Row::Gate(new)) => gate_change(None, new),
        // Numbers that change every second are no changes to tell.
        (_, Row::Metrics(_)) => Vec::new(),
    }
}

fn app_changes(old: Option<&AppView>, new: &AppView) -> Vec<Change> {
    let mut all = Vec::new();
    for container in &new.containers {
        let find = |app: &'_ AppView| app.containers.iter().find(|c| c.service == container.service).cloned();
        all.extend(container_change(new, old.and_then(find).as_ref(), container));
    }
    let was = old.map(|old| old.phase);
    if was != Some(new.phase) {
        let mut change = Change::new(new.since, was.as_ref().map(word), word(&new.phase));
        change.app = Some(new.id.to_string());
        change.reason.clone_from(&new.reason);
        change.tone = Some(apps_list::tone(new.phase));
        all.push(change);
    }
    // A container's change comes before the app's that follows from it.
    all.sort_by_key(|change| change.at);
    all
}

fn container_change(app: &AppView, old: Option<&ContainerView>, new: &ContainerView) -> Option<Change> {
    let was = old.map(|old| old.phase);
    // Between two frames it may have died and come back.
    let runs = was == Some(ContainerPhase::Running) && new.phase == ContainerPhase::Running;
    let restarted = runs && old.is_some_and(|old| new.restarts > old.restarts);
    if was == Some(new.phase) && !restarted {
        return None;
    }
    let mut change = Change::new(new.since, was.as_ref().map(word), word(&new.phase));
    change.app = Some(app.id.to_string());
    change.container = Some(new.service.to_string());
    change.reason.clone_from(&new.reason);
    if old.is_some_and(|old| new.restarts > old.restarts) && change.reason.is_none() {
        let why = new.last_restart.as_ref().map(|restart| format!(": {}", restart.cause.join(", ")));
        change.reason = Some(format!("restarted, number {}{}", new.restarts, why.unwrap_or_default()));
    }
    if new.phase == ContainerPhase::Exited
        && let Some(ExitView { code, oom, .. }) = &new.last_exit
    {
        change.exit_code = *code;
        if *oom {
            change.reason = Some("out of memory".into());
        }
    }
    change.tone = Some(match new.phase {
        ContainerPhase::Running => Tone::Good,
        ContainerPhase::Exited | ContainerPhase::Parked => Tone::Bad,
        ContainerPhase::Unknown | ContainerPhase::Absent | ContainerPhase::Created => Tone::Faint,
        ContainerPhase::Creating
        | ContainerPhase::Waiting
        | ContainerPhase::Starting
        | ContainerPhase::Stopping
        | ContainerPhase::Backoff => Tone::Busy,
    });
    Some(change)
}

fn op_changes(old: Option<&OpView>, new: &OpView, now_ms: u64) -> Vec<Change> {
    let mut all = Vec::new();
    let named = |mut change: Change| {
        change.app = Some(new.app.to_string());
        change.key = Some(word(&new.kind));
        change
    };
    for stage in &new.stages {
        let was =
            old.and_then(|old| old.stages.iter().find(|other| other.key == stage.key)).map(|was| was.state);
        if was.is_some_and(|was| was != stage.state) {
            let at = stage.ended_at.or(stage.started_at).unwrap_or(now_ms);
            let mut change = named(Change::new(at, was.as_ref().map(word), word(&stage.state)));
            change.stage = Some(stage.key.clone());
            change.reason.clone_from(&stage.detail);
            all.push(change);
        }
    }
    let was = old.map(|old| old.state);
    if was != Some(new.state) {
        let at = new.ended_at.unwrap_or(if was.is_none() { new.started_at } else { now_ms });
        let mut change = named(Change::new(at, was.as_ref().map(word), word(&new.state)));
        change.reason = new.error.as_ref().map(|error| error.message.clone());
        all.push(change);
    }
    all
}

fn tree_change(old: Option<&TreeView>, new: &TreeView, now_ms: u64) -> Vec<Change> {
    let was = old.map(|old| old.state);
    let again = old.is_some_and(|old| old.generation != new.generation);
    if was == Some(new.state) && !again {
        return Vec::new();
    }
    let mut change = Change::new(now_ms, was.as_ref().map(word), word(&new.state));
    change.key = Some(new.path.clone());
    let exit = new.last_exit.as_ref().filter(|_| again || new.state != TreeState::Running);
    change.reason = exit.or(new.cause.as_ref()).cloned();
    vec![change]
}

fn works(part: &NodeView) -> &'static str {
    if part.ok { "ok" } else { "failing" }
}

fn node_change(old: Option<&NodeView>, new: &NodeView, now_ms: u64) -> Vec<Change> {
    let was = old.map(|old| (works(old), &old.detail));
    if was == Some((works(new), &new.detail)) {
        return Vec::new();
    }
    let mut change = Change::new(now_ms, was.map(|(was, _)| was.to_owned()), works(new).into());
    change.key = Some(new.key.clone());
    change.reason = Some(new.detail.clone()).filter(|detail| !detail.is_empty());
    vec![change]
}

/// A gate's state, and each whole percent of its way.
fn gate_change(old: Option<&GateView>, new: &GateView) -> Vec<Change> {
    let percent = |gate: &GateView| gate.progress.map(|part| format!("{:.0} %", (part * 100.0).floor()));
    let was = old.map(|old| (old.state, percent(old)));
    if was == Some((new.state, percent(new))) {
        return Vec::new();
    }
    let mut change = Change::new(new.observed_at, was.map(|(state, _)| word(&state)), word(&new.state));
    change.key = Some(new.id.clone());
    let lost_or_stuck = matches!(new.state, GateState::Unreachable | GateState::Stalled);
    let detail = new.detail.clone();
    change.reason = if lost_or_stuck { detail.or(percent(new)) } else { percent(new).or(detail) };
    change.tone = Some(if new.state == GateState::Open { Tone::Good } else { Tone::Busy });
    vec![change]
}
