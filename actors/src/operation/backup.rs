//! A backup: the app's data as they are, written to the repository, read back, and only then counted.
//!
//! Every stage can be repeated; a snapshot that nobody has confirmed is removed by the next attempt.

use super::{
    Hold,
    error::{engine_error, store_error},
    install::reach_engine,
    progress::{Progress, Verdict},
    restore,
    steps::{ready, stopped},
    vault::{amount, compare, desired, fail, meter, parts, remember, vault_error},
};
use crate::supply;
use apps::manifest::{BackupMode, ServiceExec};
use engine::{
    ExecRequest,
    vault::{Part, Pending, SnapshotRequest},
};
use protocol::{ContainerPhase, Desired, OpError, SnapshotId};
use std::{collections::BTreeMap, time::Duration};

/// Longest time for a command before or after, for instance a dump of a large database.
const HOOK: Duration = Duration::from_secs(60 * 60);
/// Longest wait for a container in which a command shall run.
const RUNNING: Duration = Duration::from_secs(300);
/// Longest wait for the repository when somebody asks for a list.
const ASK: Duration = Duration::from_secs(15);
/// What is told of a failed command's output, in characters.
const TOLD: usize = 300;

/// Carries out a backup.
pub(super) async fn run(p: &Progress) -> Result<(), OpError> {
    if p.was_done("verify") {
        // It counts already: the node ended while the app was being started again.
        p.hold(Hold::None);
        return resumed(p).await;
    }
    let taken = carry_out(p, true).await?;
    let nothing =
        || fail("no_data", "this app has no volumes and no folders", "there is nothing to back up", false);
    taken.ok_or_else(nothing).map(drop)
}

/// A confirmed backup of the app as it is, as a part of another operation; `None` where it has no data.
///
/// An app that is stopped for it stays so, unless commands of its manifest have to be run afterwards: what it would
/// write until the operation goes on would not be in the backup.
pub(super) async fn take(p: &Progress) -> Result<Option<SnapshotId>, OpError> {
    carry_out(p, false).await
}

/// The app is as the user wants it. What was written of a backup that does not count goes with the next one.
pub(super) async fn undo(p: &Progress) -> Result<(), OpError> {
    p.hold(Hold::None);
    p.undo("backup", || clean_up(p)).await
}

/// Runs the commands after a backup that has not come to them.
pub(super) async fn clean_up(p: &Progress) -> Result<(), OpError> {
    if !p.course().await?.hooked {
        return Ok(());
    }
    if let Err(error) = hooks(p, false, "after", &p.plan.manifest.backup.post).await {
        p.leave_behind(vec![format!("what the commands before the backup made: {}", error.message)]);
    }
    p.note(|course| course.hooked = false).await
}

/// A stage, where the backup is an operation of its own.
pub(super) async fn stage<T>(
    p: &Progress,
    own: bool,
    key: &'static str,
    effect: impl Future<Output = Result<T, OpError>>,
) -> Result<T, OpError> {
    if own { p.step(key, effect).await } else { effect.await }
}

/// A stage that is not needed, likewise.
async fn skip(p: &Progress, own: bool, key: &'static str, why: &'static str) -> Result<(), OpError> {
    if own { p.skip(key, why).await } else { Ok(()) }
}

async fn carry_out(p: &Progress, own: bool) -> Result<Option<SnapshotId>, OpError> {
    let parts = stage(p, own, "prepare", prepare(p)).await?;
    if parts.is_empty() {
        return Ok(None);
    }
    let manifest = &p.plan.manifest.backup;
    if !manifest.pre.is_empty() || !manifest.post.is_empty() {
        p.note(|course| course.hooked = true).await?;
    }
    let written = match hooks(p, own, "before", &manifest.pre).await {
        Ok(()) => write(p, own, &parts).await,
        Err(error) => Err(error),
    };
    // Whatever came of it: these take away what those before have made.
    clean_up(p).await?;
    let pending = written?;
    let id = stage(p, own, "verify", verify(p, &pending, &parts)).await?;
    if own {
        resumed(p).await?;
    }
    Ok(Some(id))
}

/// Waits until the app is as before, where it was stopped for the backup.
async fn resumed(p: &Progress) -> Result<(), OpError> {
    if p.plan.manifest.backup.mode == BackupMode::Stop && desired(p).await? == Desired::Running {
        p.step("ready", ready(p)).await
    } else {
        p.skip("ready", "it was not stopped for this").await
    }
}

/// The repository is there, nothing of an earlier attempt is left in it, and it is known what is to be written.
async fn prepare(p: &Progress) -> Result<Vec<Part>, OpError> {
    if restore::is_halfway(&p.ctx, &p.plan.id) {
        let hint = "restore a backup first, the same or another one";
        return Err(fail("restore_unfinished", "a restore of this app was not finished", hint, false));
    }
    reach_engine(p).await?;
    restore::finish(p).await?;
    let parts = parts(p).await?;
    if !parts.is_empty() {
        p.detail("opening the repository");
        let refused = |error| vault_error(&error);
        p.ctx.vault.open().await.map_err(refused)?;
        p.ctx.vault.tidy(&p.plan.id).await.map_err(refused)?;
    }
    Ok(parts)
}

/// Writes the snapshot, while the app is stopped where its manifest says so.
async fn write(p: &Progress, own: bool, parts: &[Part]) -> Result<Pending, OpError> {
    let plan = &p.plan;
    let steady = plan.manifest.backup.mode == BackupMode::Stop;
    let request = SnapshotRequest {
        app: plan.id.clone(),
        version: plan.manifest.version.clone(),
        parts: parts.to_vec(),
        exclude: plan.manifest.backup.exclude.clone(),
        steady,
    };
    let write = async {
        if steady {
            p.hold(Hold::Stop);
            stage(p, own, "stop", stopped(p)).await?;
        } else {
            skip(p, own, "stop", "it is backed up while it runs").await?;
        }
        stage(p, own, "backup", async {
            p.detail("reading the app's files");
            let told = meter(p, "writing", None);
            p.ctx.vault.snapshot(&request, told).await.map_err(|error| vault_error(&error))
        })
        .await
    };
    let written = write.await;
    if steady && (own || !plan.manifest.backup.post.is_empty() || written.is_err()) {
        // As the user wants it again: a snapshot does not change any more.
        p.hold(Hold::None);
    }
    written
}

/// Reads the snapshot back, compares it with what was there, and lets it count.
async fn verify(p: &Progress, pending: &Pending, parts: &[Part]) -> Result<SnapshotId, OpError> {
    let vault = &p.ctx.vault;
    let refused = |error| vault_error(&error);
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    p.detail("checking the repository");
    let total = pending.live.as_ref().map(|live| live.bytes);
    let read = match vault.read_back(&pending.id, &names, meter(p, "reading back", total)).await {
        Ok(read) => match &pending.live {
            Some(live) => {
                let what = "what was read back is not what was written";
                compare(&read, live, what).map(|()| read)
            }
            None => Ok(read),
        },
        Err(error) => Err(refused(error)),
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            if let Err(left) = vault.tidy(&p.plan.id).await {
                tracing::warn!(app = %p.plan.id, error = %left, "failed backup could not be removed");
            }
            return Err(error);
        }
    };
    let snapshot = vault.confirm(pending, &read, &names).await.map_err(refused)?;
    tracing::info!(app = %p.plan.id, snapshot = %snapshot.view.id, files = read.files, bytes = read.bytes, "backup taken");
    // It counts now; what is old can go the next time as well.
    p.detail("removing old snapshots");
    if let Err(error) = vault.prune(&p.plan.id, &p.ctx.retention).await {
        p.leave_behind(vec![format!("snapshots that are not kept any more: {error}")]);
    }
    remember(p).await?;
    p.detail(format!("{} files, {}", read.files, amount(read.bytes)));
    Ok(snapshot.view.id)
}

/// Runs commands in their containers, one after the other.
///
/// As a part of another operation it may be an app that does not run: then there is nothing that they could ask.
async fn hooks(p: &Progress, own: bool, when: &str, commands: &[ServiceExec]) -> Result<(), OpError> {
    if commands.is_empty() {
        return Ok(());
    }
    if desired(p).await? != Desired::Running {
        if !own {
            p.detail(format!("the commands {when} the backup are left out, as the app does not run"));
            return Ok(());
        }
        let message = format!("a command {when} the backup needs the app to run");
        return Err(fail("not_running", message, "start the app, then try again", true));
    }
    for (number, command) in commands.iter().enumerate() {
        let service = &command.service;
        let Some(known) = p.plan.rendered.services.iter().find(|it| it.service == *service) else { continue };
        let there = p.wait(|view| {
            let runs =
                |c: &&protocol::ContainerView| c.service == *service && c.phase == ContainerPhase::Running;
            match view.containers.iter().find(runs) {
                Some(_) => Verdict::Done,
                None => Verdict::Pending(format!("{service} is not running yet")),
            }
        });
        if let Err(error) = p.within(RUNNING, "the start", there).await {
            if own {
                return Err(error);
            }
            p.detail(format!("the commands {when} the backup are left out: {}", error.message));
            return Ok(());
        }
        p.detail(format!("command {} of {} {when} the backup, in {service}", number + 1, commands.len()));
        let request =
            ExecRequest { argv: command.command.clone(), user: command.user.clone(), working_dir: None };
        let ran = p.ctx.engine.run(&known.spec.name, &request, HOOK).await;
        let ran = ran.map_err(|error| engine_error(&error))?;
        if ran.code != 0 {
            let said = supply::redacted(&p.ctx, &p.plan.id, &ran.output);
            let said: String = said.trim().chars().take(TOLD).collect();
            let message = format!("a command {when} the backup ended with {} in {service}: {said}", ran.code);
            return Err(fail(
                "hook",
                message,
                "mend what it says, or tell whoever wrote the app's manifest",
                true,
            ));
        }
    }
    Ok(())
}

/// What the app's actor and the interface ask: the backups that are known of an app, or of all.
///
/// A store that knows of none, as after a move of the repository to a new node, asks the repository.
pub(crate) async fn known(
    ctx: &crate::ctx::Ctx,
    app: Option<&protocol::AppId>,
) -> Result<Vec<protocol::BackupView>, OpError> {
    let known = ctx.store.backups(None).await.map_err(store_error)?;
    if known.is_empty() && ctx.vault.exists().await {
        let busy =
            |_| fail("repository_locked", "the repository is busy", "try again when its work is done", true);
        tokio::time::timeout(ASK, learn(ctx)).await.map_err(busy)??;
    }
    ctx.store.backups(app).await.map_err(store_error)
}

/// Writes to the store what the repository has.
async fn learn(ctx: &crate::ctx::Ctx) -> Result<(), OpError> {
    let refused = |error| vault_error(&error);
    ctx.vault.open().await.map_err(refused)?;
    let mut of_apps: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for snapshot in ctx.vault.list(None).await.map_err(refused)? {
        of_apps.entry(snapshot.view.app.clone()).or_default().push(snapshot.view);
    }
    for (app, views) in of_apps {
        ctx.store.set_backups(&app, views).await.map_err(store_error)?;
    }
    Ok(())
}
