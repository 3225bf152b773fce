//! A restore: the data of a snapshot are written beside the live ones, compared with the snapshot, and only then
//! exchanged; the old ones are kept until the app is ready with the new ones, and are back where it is not.

use super::{
    Hold,
    backup::stage,
    error::{engine_error, supply_error},
    halfway::{Direction, Halfway, Slot},
    install::reach_engine,
    progress::Progress,
    steps::{UNDONE, ready, stopped},
    vault::{
        APP, DATA, SECRETS, VOLUMES, amount, compare, desired, disk_error, fail, meter, remember, vault_error,
    },
};
use crate::{calls::GRACE, ctx::Ctx, places::in_order_of_removal, private, supply};
use apps::{LABEL_APP, LABEL_NODE};
use engine::vault::{Part, Snapshot, VaultError};
use protocol::{AppId, Command, Desired, OpError, Plan, SnapshotId};
use std::{
    path::{Component, Path},
    time::Duration,
};

pub(crate) use super::halfway::is_halfway;

/// Pause between two looks at how much is restored.
const LOOK: Duration = Duration::from_secs(3);
/// Bytes that stay free beside what is restored.
const MARGIN: u64 = 64 << 20;
/// Name of the folder beside the live data; no app and no volume is called so.
const BESIDE: &str = ".restore";

/// What a restore would replace, for people.
pub(crate) async fn plan(ctx: &Ctx, app: &AppId, snapshot: &SnapshotId) -> Result<Option<Plan>, OpError> {
    let known = super::backup::known(ctx, Some(app)).await?;
    let Some(view) = known.into_iter().find(|view| view.id == *snapshot) else { return Ok(None) };
    let removes = vec![
        format!(
            "the data that {app} has now: what was written since the backup, and what the backup leaves out"
        ),
        "the secrets that it has now, where the backup has others".to_owned(),
    ];
    let keeps = vec![
        format!("the backup of version {}: {} files, {}", view.version, view.files, amount(view.bytes)),
        "the present data, until the app is ready with those of the backup".to_owned(),
    ];
    Ok(Some(Plan { removes, keeps, dependents: vec![], type_to_confirm: Some(app.to_string()) }))
}

/// What an earlier attempt at the same restore has left.
enum Earlier {
    /// Nothing, or nothing any more.
    Nothing,
    /// It has begun to exchange data.
    Halfway(Halfway),
    /// It was good.
    Done,
}

/// Carries out a restore.
pub(super) async fn run(p: &Progress, snapshot: &SnapshotId) -> Result<(), OpError> {
    let halfway = match resumed(p, snapshot).await? {
        // Only the old data were left to be removed.
        Earlier::Done => return Ok(()),
        Earlier::Halfway(halfway) => halfway,
        Earlier::Nothing => {
            p.hold(Hold::None);
            let prepared = prepare(p, snapshot, true).await?;
            p.hold(Hold::Stop);
            p.step("stop", stopped(p)).await?;
            prepared
        }
    };
    p.step("replace", forward(p, &halfway)).await?;
    p.hold(Hold::None);
    if desired(p).await? == Desired::Running {
        p.step("ready", ready(p)).await?;
    } else {
        p.skip("ready", "the app is stopped: whether it works is seen at its start").await?;
    }
    settle(p, halfway).await
}

/// What is left to do when every stage is done, or was left of an earlier restore whose data are good.
pub(super) async fn finish(p: &Progress) -> Result<(), OpError> {
    let is_done = p.was_all_done();
    match read(p)? {
        Some(halfway) if is_done || halfway.direction == Direction::Settled => settle(p, halfway).await,
        _ => Ok(()),
    }
}

/// Removes what restores have left of an app that goes with its data.
pub(super) async fn forget(p: &Progress) -> Result<(), OpError> {
    let data = &p.ctx.dirs.data;
    let app = &p.plan.id;
    for folder in
        [data.join("data").join(format!("{BESIDE}-{app}")), data.join("backups").join(APP).join(app.as_str())]
    {
        p.ctx.engine.remove_folder(&folder).await.map_err(|error| engine_error(&error))?;
    }
    Halfway::remove(&p.ctx, app)
        .map_err(|error| disk_error("the journal of a restore cannot be removed", &error))
}

/// Goes back to the old data, where they were exchanged already.
pub(super) async fn undo(p: &Progress, snapshot: &SnapshotId) -> Result<(), OpError> {
    p.undo("replace", || async {
        match read(p)? {
            Some(halfway) if halfway.direction == Direction::Settled => {}
            Some(halfway) => {
                p.detail("going back to the data from before");
                back(p, halfway).await?;
            }
            None if p.has_begun("restore") => discard(p, snapshot).await?,
            None => {}
        }
        p.hold(Hold::None);
        Ok(())
    })
    .await
}

/// Removes what was written beside the live data.
async fn discard(p: &Progress, snapshot: &SnapshotId) -> Result<(), OpError> {
    let all = p.ctx.vault.list(Some(&p.plan.id)).await.map_err(|error| vault_error(&error))?;
    match all.into_iter().find(|it| it.view.id == *snapshot) {
        Some(found) => remove_beside(p, &slots(p, &found).await?).await,
        None => Ok(()),
    }
}

/// What to do where a restore could not be undone.
pub(super) fn way_out(command: &Command) -> Option<String> {
    let stuck = "the app is not started like this: restore a backup, the same or another one";
    matches!(command, Command::Restore { .. }).then(|| stuck.to_owned())
}

/// The error of a restore that was undone.
pub(super) fn told(error: OpError) -> OpError {
    OpError { message: format!("{}; the data are those from before the restore", error.message), ..error }
}

fn read(p: &Progress) -> Result<Option<Halfway>, OpError> {
    Halfway::read(&p.ctx, &p.plan.id)
        .map_err(|error| disk_error("the journal of a restore cannot be read", &error))
}

/// Puts the data of a snapshot back as a part of another operation, whose containers are stopped and stay so.
pub(super) async fn put_back(p: &Progress, snapshot: &SnapshotId) -> Result<(), OpError> {
    let halfway = match resumed(p, snapshot).await? {
        Earlier::Done => return Ok(()),
        Earlier::Halfway(halfway) => halfway,
        Earlier::Nothing => prepare(p, snapshot, false).await?,
    };
    p.hold(Hold::Stop);
    p.within(UNDONE, "the stop", stopped(p)).await?;
    match forward(p, &halfway).await {
        Ok(()) => settle(p, halfway).await,
        Err(error) => match back(p, halfway).await {
            Ok(()) => Err(told(error)),
            Err(second) => {
                let message = format!("{}; and not all could be put back: {}", error.message, second.message);
                Err(OpError { message, ..error })
            }
        },
    }
}

/// Ends what an earlier restore has begun, unless it is to be gone on with.
async fn resumed(p: &Progress, snapshot: &SnapshotId) -> Result<Earlier, OpError> {
    reach_engine(p).await?;
    let Some(halfway) = read(p)? else { return Ok(Earlier::Nothing) };
    p.detail("going on with a restore that was interrupted");
    let is_same = halfway.snapshot == *snapshot;
    if halfway.direction == Direction::Settled {
        settle(p, halfway).await?;
        return Ok(if is_same { Earlier::Done } else { Earlier::Nothing });
    }
    p.hold(Hold::Stop);
    p.within(UNDONE, "the stop", stopped(p)).await?;
    if is_same && halfway.direction == Direction::Forward {
        return Ok(Earlier::Halfway(halfway));
    }
    back(p, halfway).await?;
    Ok(Earlier::Nothing)
}

/// Writes the snapshot beside the live data, and compares the two. The app runs on meanwhile.
async fn prepare(p: &Progress, snapshot: &SnapshotId, own: bool) -> Result<Halfway, OpError> {
    let refused = |error| vault_error(&error);
    let (found, slots) = stage(p, own, "check", async {
        p.detail("opening the repository");
        p.ctx.vault.open().await.map_err(refused)?;
        let all = p.ctx.vault.list(Some(&p.plan.id)).await.map_err(refused)?;
        let absent = || vault_error(&VaultError::NotFound(snapshot.clone()));
        let found = all.into_iter().find(|it| it.view.id == *snapshot).ok_or_else(absent)?;
        let slots = slots(p, &found).await?;
        check_space(p, &slots, found.digest.bytes)?;
        remove_beside(p, &slots).await?;
        Ok((found, slots))
    })
    .await?;
    let written = async {
        stage(p, own, "restore", fetch(p, &found, &slots)).await?;
        stage(p, own, "verify", async {
            let parts: Vec<Part> =
                slots.iter().map(|slot| Part { name: slot.part.clone(), path: slot.fresh() }).collect();
            let sink = meter(p, "comparing with the backup", Some(found.digest.bytes));
            let restored = p.ctx.vault.digest(&parts, sink).await.map_err(refused)?;
            compare(&restored, &found.digest, "what was restored is not what was backed up")
        })
        .await
    };
    if let Err(error) = written.await {
        // Nothing was exchanged yet: the app has not noticed.
        if let Err(left) = remove_beside(p, &slots).await {
            p.leave_behind(vec![format!("restored files: {}", left.message)]);
        }
        return Err(error);
    }
    Ok(Halfway { snapshot: snapshot.clone(), direction: Direction::Forward, slots })
}

async fn remove_beside(p: &Progress, slots: &[Slot]) -> Result<(), OpError> {
    for slot in slots {
        p.ctx.engine.remove_folder(&slot.beside).await.map_err(|error| engine_error(&error))?;
    }
    Ok(())
}

/// Where each part of the snapshot goes.
async fn slots(p: &Progress, snapshot: &Snapshot) -> Result<Vec<Slot>, OpError> {
    let (plan, rendered) = (&p.plan, &p.plan.rendered);
    let data = p.ctx.app_dir(&plan.id);
    let own = p.ctx.dirs.data.join("data").join(format!("{BESIDE}-{}", plan.id));
    let mut slots = Vec::new();
    for (number, part) in snapshot.parts.iter().enumerate() {
        let (kind, rest) = part.split_once('/').unwrap_or((part, ""));
        let is_plain = Path::new(part).components().all(|it| matches!(it, Component::Normal(_)));
        let (live, beside) = match (kind, rest) {
            (VOLUMES, name) if is_plain && !name.is_empty() && !name.contains('/') => {
                let named = plan.manifest.volumes.keys().zip(&rendered.volumes).find(|(it, _)| *it == name);
                // One that this version of the app does not have any more comes back all the same.
                let volume =
                    named.map_or_else(|| format!("{}_{name}", plan.id), |(_, volume)| volume.clone());
                let refused = |error| engine_error(&error);
                p.ctx.engine.ensure_volume(&volume, &rendered.labels).await.map_err(refused)?;
                let live = p.ctx.engine.volume_dir(&volume).await.map_err(refused)?;
                let beside = live.parent().unwrap_or(&live).join(BESIDE);
                (Some(live), beside)
            }
            (DATA, "") => (Some(data.clone()), own.clone()),
            (DATA, below) if is_plain => (Some(data.join(below)), own.clone()),
            (SECRETS, "") => (Some(p.ctx.secrets_dir(&plan.id)), own.clone()),
            (APP, "") => (None, own.clone()),
            _ => {
                let hint = "was it written by a newer version of the node?";
                return Err(fail(
                    "unknown_part",
                    format!("nobody knows where {part:?} belongs"),
                    hint,
                    false,
                ));
            }
        };
        slots.push(Slot::new(part.clone(), live, beside, number));
    }
    Ok(slots)
}

fn check_space(p: &Progress, slots: &[Slot], bytes: u64) -> Result<(), OpError> {
    for slot in slots {
        let free = p.ctx.vault.free(&slot.beside).map_err(|error| vault_error(&error))?;
        let needed = bytes.saturating_add(MARGIN);
        if free < needed {
            let message = format!(
                "{} are free in {}, {} are needed: old and new data are there side by side",
                amount(free),
                slot.beside.parent().unwrap_or(&slot.beside).display(),
                amount(needed)
            );
            return Err(fail("no_space", message, "free some space on the disk and try again", true));
        }
    }
    Ok(())
}

/// Writes every part into its place beside the live data.
async fn fetch(p: &Progress, snapshot: &Snapshot, slots: &[Slot]) -> Result<(), OpError> {
    let refused = |error| engine_error(&error);
    let mut before = 0;
    for slot in slots {
        let incoming = slot.incoming();
        private::folder(&incoming)
            .map_err(|error| disk_error("a folder for the restored data cannot be made", &error))?;
        let sink = meter(p, "restoring", Some(snapshot.digest.bytes));
        let restore = p.ctx.vault.restore(&snapshot.view.id, &slot.part, &incoming);
        let look = async {
            // restic does not say how far it is.
            loop {
                tokio::time::sleep(LOOK).await;
                if let Ok(size) = p.ctx.vault.size(&incoming).await {
                    sink(before + size, None);
                }
            }
        };
        tokio::select! {
            restored = restore => restored.map_err(|error| vault_error(&error))?,
            () = look => {}
        }
        before += p.ctx.vault.size(&incoming).await.unwrap_or(0);
        p.ctx.engine.move_folder(&incoming.join(&slot.part), &slot.fresh()).await.map_err(refused)?;
        p.ctx.engine.remove_folder(&incoming).await.map_err(refused)?;
    }
    Ok(())
}

/// The new data take the place of the old ones.
async fn forward(p: &Progress, halfway: &Halfway) -> Result<(), OpError> {
    record(p, halfway)?;
    for slot in &halfway.slots {
        let Some(live) = &slot.live else { continue };
        p.detail(format!("putting {} in place", slot.part));
        let refused = |error| engine_error(&error);
        let engine = &p.ctx.engine;
        if !slot.fresh().exists() {
            continue; // an earlier attempt has done it
        }
        if !slot.old().exists() {
            // Where it has none, an empty one is what comes back.
            engine.make_folder(live).await.map_err(refused)?;
            engine.move_folder(live, &slot.old()).await.map_err(refused)?;
        }
        engine.move_folder(&slot.fresh(), live).await.map_err(refused)?;
    }
    renew_supply(p).await
}

/// The old data come back, and the new ones go.
async fn back(p: &Progress, mut halfway: Halfway) -> Result<(), OpError> {
    p.hold(Hold::Stop);
    p.within(UNDONE, "the stop", stopped(p)).await?;
    halfway.direction = Direction::Back;
    record(p, &halfway)?;
    for slot in &halfway.slots {
        let Some(live) = slot.live.as_ref().filter(|_| slot.old().exists()) else { continue };
        let refused = |error| engine_error(&error);
        if !slot.fresh().exists() {
            p.ctx.engine.move_folder(live, &slot.fresh()).await.map_err(refused)?;
        }
        p.ctx.engine.move_folder(&slot.old(), live).await.map_err(refused)?;
    }
    renew_supply(p).await?;
    clear(p, &halfway).await
}

/// The new data are good: the old ones go.
async fn settle(p: &Progress, mut halfway: Halfway) -> Result<(), OpError> {
    halfway.direction = Direction::Settled;
    record(p, &halfway)?;
    p.detail("removing the data from before the restore");
    if let Err(left) = clear(p, &halfway).await {
        // The next restore or backup of the app takes them away.
        p.leave_behind(vec![format!("the data from before the restore: {}", left.message)]);
    }
    remember(p).await
}

fn record(p: &Progress, halfway: &Halfway) -> Result<(), OpError> {
    halfway
        .write(&p.ctx, &p.plan.id)
        .map_err(|error| disk_error("the journal of the restore cannot be written", &error))
}

async fn clear(p: &Progress, halfway: &Halfway) -> Result<(), OpError> {
    remove_beside(p, &halfway.slots).await?;
    Halfway::remove(&p.ctx, &p.plan.id)
        .map_err(|error| disk_error("the journal of the restore cannot be removed", &error))
}

/// What the node makes for the app fits its data: the engine has its own copies of secrets, and so have containers that
/// were made with them, so both are made anew.
async fn renew_supply(p: &Progress) -> Result<(), OpError> {
    let refused = |error| engine_error(&error);
    let secrets = &p.plan.rendered.secrets;
    for secret in secrets {
        p.ctx.engine.remove_secret(&secret.engine_name).await.map_err(refused)?;
    }
    supply::ensure(&p.ctx, &p.plan).await.map_err(|error| supply_error(&error))?;
    if secrets.is_empty() {
        return Ok(());
    }
    let own = [(LABEL_APP, p.plan.id.as_str()), (LABEL_NODE, p.ctx.node_id())];
    let mut made = p.ctx.engine.list(&own).await.map_err(refused)?;
    in_order_of_removal(&mut made);
    for container in &made {
        let gone = p.ctx.calls.dispose(&p.ctx.engine, &container.name, &container.id, GRACE).await;
        gone.map_err(refused)?;
    }
    Ok(())
}
