//! The steps of every operation. Each can be repeated.

use super::{
    Hold, engine_error, images,
    progress::{Progress, Verdict, store_error},
    purge,
};
use crate::{
    app::AppMsg,
    calls::GRACE,
    container::is_adoptable,
    control::ControlMsg,
    names::name,
    places::in_order_of_removal,
    supply::{self, SupplyError},
};
use apps::{LABEL_APP, LABEL_NODE, LABEL_SERVICE, PortMapping, PortProtocol};
use engine::{EngineError, ErrorClass, Summary};
use protocol::{AppView, Command, ContainerPhase, ContainerView, Desired, GateState, Health, OpError, Phase};
use std::time::Duration;
use tokio::{
    net::{TcpListener, UdpSocket},
    time::{Instant, sleep},
};

/// Longest wait for the engine.
const ENGINE: Duration = Duration::from_secs(30);
/// Longest wait until all containers are ready.
const READY: Duration = Duration::from_secs(300);
/// Added to the containers' own graces when waiting for their end.
const STOP_SLACK: Duration = Duration::from_secs(60);

/// The stages of an operation, in order.
pub(super) fn stages(command: &Command) -> &'static [&'static str] {
    match command {
        Command::Install { .. } => &["check", "images", "files", "network", "start", "ready"],
        Command::Start { .. } | Command::StartAnyway { .. } => &["files", "start", "ready"],
        Command::Stop { .. } => &["stop"],
        Command::Restart { .. } => &["stop", "files", "start", "ready"],
        Command::Uninstall { purge: false, .. } => &["stop", "remove", "forget"],
        Command::Uninstall { purge: true, .. } => &["stop", "remove", "purge", "forget"],
        Command::Update { .. } => {
            &["check", "images", "backup", "stop", "replace", "files", "start", "ready"]
        }
        Command::Backup { .. } => &["prepare", "stop", "backup", "verify", "start", "ready"],
        Command::Restore { .. } => &["check", "stop", "restore", "verify", "replace", "start", "ready"],
        Command::Cancel { .. } => &[],
    }
}

/// Carries a command out.
pub(super) async fn run(p: &Progress, command: &Command) -> Result<(), OpError> {
    match command {
        Command::Install { .. } => match install_unless_undone(p).await {
            Ok(()) => Ok(()),
            Err(error) => {
                p.detail("undoing what was made");
                match roll_back(p).await {
                    Ok(()) => Err(error),
                    Err(residue) => Err(OpError {
                        message: format!(
                            "{}; and not all of it could be undone: {}",
                            error.message, residue.message
                        ),
                        ..error
                    }),
                }
            }
        },
        Command::Start { .. } | Command::StartAnyway { .. } => start_anew(p).await,
        Command::Stop { .. } => stop(p).await,
        Command::Restart { .. } => {
            stop(p).await?;
            start_anew(p).await
        }
        Command::Uninstall { purge, .. } => uninstall(p, *purge).await,
        Command::Update { .. }
        | Command::Backup { .. }
        | Command::Restore { .. }
        | Command::Cancel { .. } => Err(OpError {
            code: "unsupported".into(),
            message: "this node cannot do that yet".into(),
            hint: None,
            retryable: false,
        }),
    }
}

/// A node that ended while it undid an install goes on undoing it.
async fn install_unless_undone(p: &Progress) -> Result<(), OpError> {
    let row = p.ctx.store.app(&p.plan.id).await.map_err(store_error)?;
    if row.is_some_and(|row| row.desired == Desired::Absent) {
        return Err(OpError {
            code: "interrupted".into(),
            message: "the node ended while it undid this install".into(),
            hint: Some("install it again".into()),
            retryable: true,
        });
    }
    install(p).await
}

async fn install(p: &Progress) -> Result<(), OpError> {
    p.begin("check");
    check(p).await?;
    p.begin("images");
    images::ensure(p).await?;
    p.begin("files");
    provide(p).await?;
    p.begin("network");
    let rendered = &p.plan.rendered;
    supply::networks(&p.ctx, &p.plan).await.map_err(|e| engine_error(&e))?;
    for volume in &rendered.volumes {
        p.ctx.engine.ensure_volume(volume, &rendered.labels).await.map_err(|e| engine_error(&e))?;
    }
    p.hold(Hold::None);
    start(p).await?;
    p.call(&name::app(&p.plan.id), AppMsg::Installed).await?.map_err(store_error)
}

/// Refuses what cannot work before anything is made.
async fn check(p: &Progress) -> Result<(), OpError> {
    let engine = &p.ctx.engine;
    reach_engine(p).await?;
    let own = [(LABEL_APP, p.plan.id.as_str()), (LABEL_NODE, p.ctx.node_id())];
    if !engine.list(&own).await.map_err(|e| engine_error(&e))?.is_empty() {
        return Ok(()); // an earlier attempt's containers hold the names and ports
    }
    for service in &p.plan.rendered.services {
        match engine.inspect(&service.spec.name).await {
            // It holds its ports itself.
            Ok(found) if service.adopt.is_some() && is_adoptable(&found) => continue,
            Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(engine_error(&error)),
            Ok(_) => return Err(in_the_way(&service.spec.name)),
        }
        if let Some(anchor) = &service.anchor {
            match engine.inspect(&anchor.name).await {
                Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(engine_error(&error)),
                Ok(_) => return Err(in_the_way(&anchor.name)),
            }
        }
        for port in service.published() {
            free(port).await.map_err(|error| {
                engine_error(&EngineError::PortInUse {
                    subject: service.spec.name.clone(),
                    message: format!("{} {error}", port.published),
                })
            })?;
        }
    }
    Ok(())
}

fn in_the_way(name: &str) -> OpError {
    engine_error(&EngineError::Conflict {
        subject: name.to_owned(),
        message: "a container of this name is there that is not this node's".into(),
    })
}

/// Waits for the engine: right after the node's start it may still be on its way.
async fn reach_engine(p: &Progress) -> Result<(), OpError> {
    let deadline = Instant::now() + ENGINE;
    loop {
        match p.ctx.engine.info().await {
            Ok(_) => return Ok(()),
            Err(error) if error.class() == ErrorClass::Transient && Instant::now() < deadline => {
                p.detail(format!("waiting for the container engine: {error}"));
                sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(engine_error(&error)),
        }
    }
}

async fn free(port: &PortMapping) -> std::io::Result<()> {
    let host = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
    match port.protocol {
        PortProtocol::Tcp => TcpListener::bind((host, port.published)).await.map(drop),
        PortProtocol::Udp => UdpSocket::bind((host, port.published)).await.map(drop),
    }
}

/// What the containers need of the node is there, or made.
async fn provide(p: &Progress) -> Result<(), OpError> {
    supply::ensure(&p.ctx, &p.plan).await.map_err(|error| supply_error(&error))
}

async fn start_anew(p: &Progress) -> Result<(), OpError> {
    p.begin("files");
    let provided = provide(p).await;
    p.hold(Hold::None);
    provided?;
    start(p).await
}

async fn start(p: &Progress) -> Result<(), OpError> {
    p.begin("start");
    let runs = |c: &ContainerView| c.phase == ContainerPhase::Running || c.ended == Some(0);
    p.wait(READY, |view| judge_start(view, runs, "is not running yet")).await?;
    p.begin("ready");
    let ready = |c: &ContainerView| runs(c) && matches!(c.health, Health::Healthy | Health::None);
    p.wait(READY, |view| judge_start(view, ready, "is not ready yet")).await
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

async fn stop(p: &Progress) -> Result<(), OpError> {
    p.begin("stop");
    let graces: Duration = p.plan.rendered.services.iter().map(|s| s.spec.stop_grace).sum();
    p.wait(graces + STOP_SLACK, |view| {
        use ContainerPhase as P;
        let down = |c: &&ContainerView| {
            !matches!(c.phase, P::Absent | P::Created | P::Exited | P::Backoff | P::Parked)
        };
        match view.containers.iter().find(down) {
            None => Verdict::Done,
            Some(up) => Verdict::Pending(format!("{} is being stopped", up.service)),
        }
    })
    .await
}

async fn uninstall(p: &Progress, purge: bool) -> Result<(), OpError> {
    stop(p).await?;
    p.begin("remove");
    p.leave_behind(remove(p).await?);
    if purge {
        p.begin("purge");
        purge::run(p).await?;
    }
    p.begin("forget");
    p.call(name::CONTROL, |reply| ControlMsg::Forget(p.plan.id.clone(), reply)).await?.map_err(store_error)
}

/// Waits until the containers are gone, and takes the networks away. Volumes, data and secrets stay.
///
/// Returns what it could not take, in words.
async fn remove(p: &Progress) -> Result<Vec<String>, OpError> {
    let graces: Duration = p.plan.rendered.services.iter().map(|s| s.spec.stop_grace).sum();
    p.wait(graces + STOP_SLACK, |view| {
        match view.containers.iter().find(|c| c.phase != ContainerPhase::Absent) {
            None => Verdict::Done,
            Some(there) => Verdict::Pending(format!("{} is being removed", there.service)),
        }
    })
    .await?;
    let own = [(LABEL_APP, p.plan.id.as_str()), (LABEL_NODE, p.ctx.node_id())];
    let list = async || p.ctx.engine.list(&own).await.map_err(|e| engine_error(&e));
    // Nobody looks after these: doubles, and those of services that the manifest does not know.
    let mut left = list().await?;
    in_order_of_removal(&mut left);
    for container in &left {
        p.detail(format!("{} is being removed", container.name));
        let grace = grace_of(p, container);
        let gone = p.ctx.calls.dispose(&p.ctx.engine, &container.name, &container.id, grace).await;
        gone.map_err(|e| engine_error(&e))?;
    }
    let left = if left.is_empty() { left } else { list().await? };
    if let Some(container) = left.first() {
        return Err(OpError {
            code: "left_behind".into(),
            message: format!("container {} is still there", container.name),
            hint: Some("try again".into()),
            retryable: true,
        });
    }
    supply::release_networks(&p.ctx, &p.plan).await.map_err(|error| supply_error(&error))
}

/// What a container that is left is given to end.
fn grace_of(p: &Progress, container: &Summary) -> Duration {
    let service = container.labels.get(LABEL_SERVICE);
    let known =
        p.plan.rendered.services.iter().find(|it| Some(it.service.as_str()) == service.map(String::as_str));
    known.map_or(GRACE, |it| it.spec.stop_grace)
}

/// Undoes a failed install. Volumes and secrets may be older than it: they stay, a new install finds them.
async fn roll_back(p: &Progress) -> Result<(), OpError> {
    p.set_desired(Desired::Absent).await?;
    p.hold(Hold::None);
    p.leave_behind(remove(p).await?);
    p.call(name::CONTROL, |reply| ControlMsg::Forget(p.plan.id.clone(), reply)).await?.map_err(store_error)
}

/// Whether all containers are as they should be.
fn judge(view: &AppView, good: impl Fn(&ContainerView) -> bool, missing: &str) -> Verdict {
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

fn supply_error(error: &SupplyError) -> OpError {
    let (code, hint) = match error {
        SupplyError::Engine(error) => return engine_error(error),
        SupplyError::Disk { .. } => {
            ("disk", "check the disk and the permissions of the node's data directory")
        }
        SupplyError::Random(_) => ("random", "try again"),
        SupplyError::Store(_) => ("store", "check the disk of the node's data directory, then try again"),
        SupplyError::NotGiven { .. } => ("secret_missing", "give it with `archy secret set`, then try again"),
        SupplyError::Source { .. } | SupplyError::Certificate { .. } => {
            ("manifest", "tell whoever wrote the app's manifest")
        }
        SupplyError::Unknown { .. } => {
            ("unknown_fact", "is the machine in a network? Then tell whoever wrote the app")
        }
    };
    OpError {
        code: code.into(),
        message: error.to_string(),
        hint: Some(hint.into()),
        retryable: !matches!(error, SupplyError::Source { .. } | SupplyError::Certificate { .. }),
    }
}
