//! What every kind of operation does, and what becomes of it when it fails or is cancelled. Each step can be repeated.

use super::{
    Hold, backup,
    error::{engine_error, store_error, supply_error},
    install,
    progress::{Progress, Verdict},
    purge, restore, update,
};
use crate::{
    calls::GRACE, control::ControlMsg, journal::EventDraft, names::name, places::in_order_of_removal, supply,
};
use apps::{LABEL_APP, LABEL_NODE, LABEL_SERVICE};
use engine::{EngineError, Summary};
use protocol::{
    AppView, Command, ContainerPhase, ContainerView, Desired, EventActor, GateState, Health, OpError, Phase,
    ServiceName, Severity,
};
use std::time::Duration;

/// Longest wait for the containers of an app whose operation is being undone.
pub(super) const UNDONE: Duration = Duration::from_secs(300);

/// Carries a command out, or undoes what was made of it.
pub(super) async fn run(p: &Progress) -> Result<(), OpError> {
    if p.is_resumed() {
        // Right after the node's start the engine may be on its way still. Where it does not come, the step that needs
        // it says so.
        let _ = install::reach_engine(p).await;
    }
    if p.is_cancelling() {
        return undo(p).await;
    }
    let error = match p.course().await?.failed {
        // All of it was done when the node ended.
        None if p.was_all_done() => return finish(p).await,
        None => match go(p).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        },
        Some(error) => error,
    };
    if let Some(stays) = update::stays(p, &error).await? {
        return Err(stays);
    }
    p.failing(&error).await?;
    p.detail(format!("undoing what was made, as it failed: {}", error.message));
    match undo(p).await {
        Ok(()) => Err(update::told(p, error)),
        Err(residue) => Err(OpError {
            message: format!("{}; and not all of it could be undone: {}", error.message, residue.message),
            hint: restore::way_out(&p.command).or(error.hint),
            ..error
        }),
    }
}

/// What is left to do when every stage is done.
async fn finish(p: &Progress) -> Result<(), OpError> {
    match *p.command {
        Command::Update { .. } => update::settle(p).await,
        Command::Restore { .. } => restore::finish(p).await,
        _ => Ok(()),
    }
}

async fn go(p: &Progress) -> Result<(), OpError> {
    match &*p.command {
        Command::Install { .. } => install::run(p).await,
        Command::Start { .. } | Command::StartAnyway { .. } => start_anew(p).await,
        Command::Stop { .. } => p.step("stop", stopped(p)).await,
        Command::Restart { .. } => {
            if !p.was_done("stop") {
                p.hold(Hold::Stop);
                p.step("stop", stopped(p)).await?;
            }
            start_anew(p).await
        }
        Command::Uninstall { purge, .. } => uninstall(p, *purge).await,
        Command::Update { .. } => update::run(p).await,
        Command::Backup { .. } => backup::run(p).await,
        Command::Restore { snapshot, .. } => restore::run(p, snapshot).await,
        // It is answered by the operation that it ends.
        Command::Cancel { .. } => Ok(()),
    }
}

/// Undoes what was made. Each step can be repeated, also by the next life of the node.
async fn undo(p: &Progress) -> Result<(), OpError> {
    match &*p.command {
        Command::Install { .. } => install::undo(p).await,
        Command::Update { .. } => update::undo(p).await,
        Command::Uninstall { .. } if p.is_cancelling() && !p.is_installed().await? => forget(p).await,
        Command::Start { .. }
        | Command::StartAnyway { .. }
        | Command::Restart { .. }
        | Command::Uninstall { .. } => {
            if p.is_cancelling() {
                want_as_before(p).await?;
            }
            p.hold(Hold::None);
            Ok(())
        }
        Command::Backup { .. } => backup::undo(p).await,
        Command::Restore { snapshot, .. } => restore::undo(p, snapshot).await,
        Command::Stop { .. } | Command::Cancel { .. } => Ok(()),
    }
}

/// The user wants of the app again what was wanted before.
async fn want_as_before(p: &Progress) -> Result<(), OpError> {
    let Some(desired) = p.course().await?.desired else { return Ok(()) };
    p.set_desired(desired).await?;
    p.hold(Hold::None);
    if desired == Desired::Stopped { p.within(UNDONE, "the stop", stopped(p)).await } else { Ok(()) }
}

/// Tells the journal what an operation did beyond its end.
pub(super) fn record(
    p: &Progress,
    kind: &'static str,
    severity: Severity,
    words: String,
    why: Option<String>,
) {
    let draft = EventDraft::new(EventActor::Node, kind, words).severity(severity);
    p.ctx.record(draft.app(p.plan.id.clone()).op(p.op.clone()).cause(why));
}

/// What the containers need of the node is there, or made.
pub(super) async fn provide(p: &Progress) -> Result<(), OpError> {
    supply::ensure(&p.ctx, &p.plan).await.map_err(|error| supply_error(&error))
}

/// Networks and volumes are there, or made.
pub(super) async fn connect(p: &Progress) -> Result<(), OpError> {
    let rendered = &p.plan.rendered;
    supply::networks(&p.ctx, &p.plan).await.map_err(|e| engine_error(&e))?;
    for volume in &rendered.volumes {
        p.ctx.engine.ensure_volume(volume, &rendered.labels).await.map_err(|e| engine_error(&e))?;
    }
    Ok(())
}

async fn start_anew(p: &Progress) -> Result<(), OpError> {
    let provided = p.step("files", provide(p)).await;
    // Also where that failed: the app is wanted, and goes on being tried.
    p.hold(Hold::None);
    provided?;
    p.step("start", started(p)).await?;
    p.step("ready", ready(p)).await
}

fn runs(c: &ContainerView) -> bool {
    c.phase == ContainerPhase::Running || c.ended == Some(0)
}

/// Waits until all containers run.
pub(super) async fn started(p: &Progress) -> Result<(), OpError> {
    p.wait(|view| judge_start(view, runs, "is not running yet")).await
}

/// Waits until all containers are ready.
pub(super) async fn ready(p: &Progress) -> Result<(), OpError> {
    let ready = |c: &ContainerView| runs(c) && matches!(c.health, Health::Healthy | Health::None);
    p.wait(|view| judge_start(view, ready, "is not ready yet")).await
}

/// An app that waits for another one is started as far as it can be: the rest happens by itself, maybe in days.
fn judge_start(view: &AppView, good: impl Fn(&ContainerView) -> bool, missing: &str) -> Verdict {
    let others = !view.wait.is_empty() && view.wait.iter().all(|wait| wait.app.is_some());
    let known = view.wait.iter().all(|wait| wait.state != Some(GateState::Unknown));
    let held =
        others && view.containers.iter().all(|c| c.phase == ContainerPhase::Waiting || c.ended == Some(0));
    match (held, known) {
        (true, true) => Verdict::Done,
        (true, false) => Verdict::Pending("asking how far that is which it waits for".into()),
        (false, _) => judge(view, good, missing),
    }
}

/// Waits until no container runs.
pub(super) async fn stopped(p: &Progress) -> Result<(), OpError> {
    stopped_of(p, |_| true).await
}

/// Waits until none of these runs.
pub(super) async fn stopped_of(p: &Progress, these: impl Fn(&ServiceName) -> bool) -> Result<(), OpError> {
    p.wait(|view| {
        use ContainerPhase as P;
        let down = |c: &&ContainerView| {
            these(&c.service)
                && !matches!(c.phase, P::Absent | P::Created | P::Exited | P::Backoff | P::Parked)
        };
        match view.containers.iter().find(down) {
            None => Verdict::Done,
            Some(up) => Verdict::Pending(format!("{} is being stopped", up.service)),
        }
    })
    .await
}

async fn uninstall(p: &Progress, purge: bool) -> Result<(), OpError> {
    p.step("stop", stopped(p)).await?;
    p.hold(Hold::None);
    p.step("remove", async {
        p.leave_behind(removed(p).await?);
        Ok(())
    })
    .await?;
    if purge {
        p.step("purge", purge::run(p)).await?;
    }
    p.step("forget", forget(p)).await
}

/// Takes the app off the node.
pub(super) async fn forget(p: &Progress) -> Result<(), OpError> {
    p.call(name::CONTROL, |reply| ControlMsg::Forget(p.plan.id.clone(), reply)).await?.map_err(store_error)
}

/// The labels of everything that is the app's.
pub(super) fn own(p: &Progress) -> [(&str, &str); 2] {
    [(LABEL_APP, p.plan.id.as_str()), (LABEL_NODE, p.ctx.node_id())]
}

/// Waits until the containers are gone, and takes the networks away. Volumes, data and secrets stay.
///
/// Returns what it could not take, in words.
pub(super) async fn removed(p: &Progress) -> Result<Vec<String>, OpError> {
    p.wait(|view| match view.containers.iter().find(|c| c.phase != ContainerPhase::Absent) {
        None => Verdict::Done,
        Some(there) => Verdict::Pending(format!("{} is being removed", there.service)),
    })
    .await?;
    // Nobody looks after these: doubles, and those of services that the manifest does not know.
    dispose(p, |_| true).await?;
    supply::release_networks(&p.ctx, &p.plan).await.map_err(|error| supply_error(&error))
}

/// Takes away containers of the app that nobody looks after.
pub(super) async fn dispose(p: &Progress, these: impl Fn(&Summary) -> bool) -> Result<(), OpError> {
    let own = own(p);
    let list = async || {
        let list = p.ctx.engine.list(&own).await.map_err(|e| engine_error(&e))?;
        Ok::<_, OpError>(list.into_iter().filter(|it| these(it)).collect::<Vec<_>>())
    };
    let mut left = list().await?;
    in_order_of_removal(&mut left);
    for container in &left {
        p.detail(format!("{} is being removed", container.name));
        let grace = grace_of(p, container);
        let gone = p.ctx.calls.dispose(&p.ctx.engine, &container.name, &container.id, grace).await;
        gone.map_err(|e| engine_error(&e))?;
    }
    let left = if left.is_empty() { left } else { list().await? };
    match left.first() {
        None => Ok(()),
        Some(container) => Err(OpError {
            code: "left_behind".into(),
            message: format!("container {} is still there", container.name),
            hint: Some("try again".into()),
            retryable: true,
        }),
    }
}

/// Removes networks; returns those that it could not take, in words.
pub(super) async fn disconnect(p: &Progress, networks: &[String]) -> Result<Vec<String>, OpError> {
    let mut residue = Vec::new();
    for network in networks {
        match p.ctx.engine.remove_network(network).await {
            Ok(()) => {}
            // All of the app's own containers are gone: a stranger's is on it.
            Err(EngineError::Conflict { .. }) => {
                residue.push(format!("network {network}, which a container of another owner uses"));
            }
            Err(error) => return Err(engine_error(&error)),
        }
    }
    Ok(residue)
}

/// What a container that is left is given to end.
fn grace_of(p: &Progress, container: &Summary) -> Duration {
    let service = container.labels.get(LABEL_SERVICE);
    let known =
        p.plan.rendered.services.iter().find(|it| Some(it.service.as_str()) == service.map(String::as_str));
    known.map_or(GRACE, |it| it.spec.stop_grace)
}

/// Whether all containers are as they should be.
pub(super) fn judge(view: &AppView, good: impl Fn(&ContainerView) -> bool, missing: &str) -> Verdict {
    // Those of its group wait for it.
    let is_culprit = |c: &&ContainerView| c.phase == ContainerPhase::Parked && c.wait.is_empty();
    if let Some(given_up) = view.containers.iter().find(is_culprit) {
        let last = given_up.reason.clone().unwrap_or_else(|| "it keeps failing".into());
        return Verdict::Failed(OpError {
            code: "crash_looping".into(),
            message: format!("{} does not stay up: {last}", given_up.service),
            hint: Some("look at its log".into()),
            retryable: true,
        });
    }
    if let Some(failed) = view.containers.iter().find(|c| c.ended.is_some_and(|code| code != 0)) {
        let why = failed.reason.clone().unwrap_or_default();
        return Verdict::Failed(OpError {
            code: "failed_for_good".into(),
            message: format!("{} {why}", failed.service),
            hint: Some("look at its log".into()),
            retryable: true,
        });
    }
    if view.phase == Phase::Stopped {
        return Verdict::Pending("the app is stopped".into());
    }
    match view.containers.iter().find(|c| !good(c)) {
        None => Verdict::Done,
        Some(c) => {
            let why = c.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Verdict::Pending(format!("{} {missing}{why}", c.service))
        }
    }
}
