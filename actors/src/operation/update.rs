//! Update: the catalog's manifest takes the place of the installed one, and goes back by itself where it does not work.
//!
//! The images of the new version are there before anything is touched. Then the containers that are another thing in
//! the new version are stopped, the manifests are exchanged in the store, and control gives the app a new stack: it
//! takes up what runs, as it would after a start of the node, and finds this operation there and goes on with it. So a
//! node that ends in the middle goes the same way. What is the same in both versions is not touched.

use super::{
    Course, Hold, backup,
    course::Exchanged,
    error::store_error,
    images, install, internal,
    progress::Progress,
    restore,
    steps::{self, UNDONE},
};
use crate::{
    catalog::CatalogMsg, control::ControlMsg, names::name, places::claimed, stack::Plan, store::AppRow,
};
use apps::{
    LABEL_DIGEST, PortMapping, RenderedService,
    manifest::{BackupMode, Rollback},
};
use protocol::{Command, Desired, OpError, ServiceName, Severity};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Pause before control is asked again for a new stack: it may have been restarted meanwhile.
const AGAIN: Duration = Duration::from_secs(20);

pub(super) async fn run(p: &Progress) -> Result<(), OpError> {
    if p.course().await?.exchanged == Exchanged::Not {
        p.step("check", check(p)).await?;
        let target = target(p).await?;
        p.step("images", prepare(p, &target)).await?;
        p.step("backup", back_up(p, &target)).await?;
        let course = p.course().await?;
        let changed = course.changed;
        // What is in the snapshot is all that there is until the new version has begun to run.
        let all = course.snapshot.is_some() && p.plan.manifest.backup.mode == BackupMode::Stop;
        p.hold(if all { Hold::Stop } else { Hold::StopThese(Arc::new(changed.clone())) });
        p.step("stop", steps::stopped_of(p, |service| all || changed.contains(service))).await?;
    }
    p.step("replace", forth(p)).await?;
    let wanted = row(p).await?.desired == Desired::Running;
    p.step("files", async {
        steps::provide(p).await?;
        steps::connect(p).await
    })
    .await?;
    if wanted {
        p.hold(Hold::None);
        p.step("start", steps::started(p)).await?;
        p.step("ready", steps::ready(p)).await?;
    } else {
        p.skip("start", "the app is stopped").await?;
        p.skip("ready", "the app is stopped: whether the new version works is seen at its start").await?;
    }
    settle(p).await
}

/// Goes back to the old version.
pub(super) async fn undo(p: &Progress) -> Result<(), OpError> {
    let course = p.course().await?;
    if course.exchanged == Exchanged::Not && course.hooked {
        p.hold(Hold::None);
        backup::clean_up(p).await?;
    }
    if course.exchanged == Exchanged::Forth {
        p.undo("stop", || async {
            same(p).await?;
            // The data that come back are nobody's while they do.
            let all = course.snapshot.is_some();
            let these = course.changed.clone();
            p.hold(if all { Hold::Stop } else { Hold::StopThese(Arc::new(these.clone())) });
            let down = steps::stopped_of(p, |service| all || these.contains(service));
            p.within(UNDONE, "the stop", down).await
        })
        .await?;
        record_back(p, &course.failed);
    }
    if course.exchanged != Exchanged::Not {
        p.undo("replace", || back(p)).await?;
    }
    p.undo("files", || async {
        put_back(p, &course).await?;
        steps::provide(p).await?;
        steps::connect(p).await
    })
    .await?;
    p.hold(Hold::None);
    p.undo("start", || async {
        if row(p).await?.desired == Desired::Running {
            p.within(UNDONE, "the start of the old version", steps::ready(p)).await?;
        }
        p.ctx.store.forget_previous(&p.plan.id).await.map_err(store_error)
    })
    .await
}

/// The data are as they were, where the new version may have changed them.
async fn put_back(p: &Progress, course: &Course) -> Result<(), OpError> {
    let Some(snapshot) = &course.snapshot else { return Ok(()) };
    let untouched = course.exchanged != Exchanged::Back && p.course().await?.exchanged != Exchanged::Back;
    if untouched || !p.has_begun("start") || p.course().await?.restored {
        return Ok(());
    }
    if p.plan.manifest.backup.exclude.is_empty() {
        restore::put_back(p, snapshot).await?;
    } else {
        // Nobody was asked whether what the backup leaves out may go.
        p.leave_behind(vec![format!(
            "the data as the new version left them, since backups of this app leave files out; backup {snapshot} has the old ones"
        )]);
    }
    p.note(|course| course.restored = true).await
}

fn record_back(p: &Progress, failed: &Option<OpError>) {
    let why = failed.as_ref().map_or("it was cancelled".to_owned(), |error| error.message.clone());
    let words = format!("{} goes back from version {}", p.plan.id, p.plan.manifest.version);
    steps::record(p, "update_rolled_back", Severity::Warning, words, Some(why));
}

/// What a failed update says where it has to stay as it is: the old version may not read the new one's data.
pub(super) async fn stays(p: &Progress, error: &OpError) -> Result<Option<OpError>, OpError> {
    let manual = p.plan.manifest.update.rollback == Rollback::Manual;
    if !matches!(*p.command, Command::Update { .. }) || !manual || !p.has_begun("start") {
        return Ok(None);
    }
    if p.course().await?.exchanged != Exchanged::Forth {
        return Ok(None);
    }
    p.ctx.store.forget_previous(&p.plan.id).await.map_err(store_error)?;
    p.hold(Hold::None);
    let version = &p.plan.manifest.version;
    let hint = error.hint.clone().unwrap_or_default();
    Ok(Some(OpError {
        message: format!(
            "{}; it stays at version {version}, as its manifest does not let it go back by itself",
            error.message
        ),
        hint: Some(format!("{hint}; or restore a backup").trim_start_matches("; ").to_owned()),
        ..error.clone()
    }))
}

/// The error of an operation that was undone.
pub(super) fn told(p: &Progress, error: OpError) -> OpError {
    match *p.command {
        Command::Update { .. } => {}
        Command::Restore { .. } => return restore::told(error),
        _ => return error,
    }
    let version = &p.plan.manifest.version;
    OpError { message: format!("{}; it was rolled back to version {version}", error.message), ..error }
}

async fn row(p: &Progress) -> Result<AppRow, OpError> {
    let row = p.ctx.store.app(&p.plan.id).await.map_err(store_error)?;
    row.ok_or_else(|| internal("the app is not in the store"))
}

/// The new version, as it was when the operation began.
async fn target(p: &Progress) -> Result<Plan, OpError> {
    let (manifest, manifest_dir) =
        p.course().await?.target.ok_or_else(|| internal("the new manifest is not in the store"))?;
    plan_of(p, AppRow { manifest, manifest_dir, ..row(p).await? })
}

fn plan_of(p: &Progress, row: AppRow) -> Result<Plan, OpError> {
    Plan::of(&row, &p.ctx).map_err(|problems| OpError {
        code: "manifest".into(),
        message: problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        hint: Some("mend the manifest".into()),
        retryable: false,
    })
}

/// Refuses what cannot work before anything is touched, and notes the new manifest.
async fn check(p: &Progress) -> Result<(), OpError> {
    install::reach_engine(p).await?;
    if p.course().await?.target.is_none() {
        let app = p.plan.id.clone();
        let found = p.call(name::CATALOG, |reply| CatalogMsg::Find(app.clone(), reply)).await?;
        let found = found.map_err(|error| OpError {
            code: "catalog".into(),
            message: error.to_string(),
            hint: Some("mend the app's folder in the catalog".into()),
            retryable: false,
        })?;
        p.note(move |course| course.target = Some((found.text, found.dir))).await?;
    }
    let target = target(p).await?;
    let old = &p.plan.rendered.services;
    let held: Vec<PortMapping> = old.iter().flat_map(|it| it.published().to_vec()).collect();
    let is_up = row(p).await?.desired == Desired::Running;
    for service in &target.rendered.services {
        let known = old.iter().any(|it| it.spec.name == service.spec.name);
        if known {
            // Those that it has are its own only while it runs.
            install::ports_free(service, if is_up { &held } else { &[] }).await?;
        } else {
            install::vacant(p, service, if is_up { &held } else { &[] }).await?;
        }
    }
    let changed = changed(&p.plan, &target);
    p.note(move |course| course.changed.extend(changed)).await
}

/// Services that are another thing in one of the two versions, or in one of them only.
fn changed(old: &Plan, new: &Plan) -> BTreeSet<ServiceName> {
    fn digests(service: &RenderedService) -> Vec<Option<&String>> {
        service.containers().map(|spec| spec.labels.get(LABEL_DIGEST)).collect()
    }
    let of = |plan: &Plan, service: &ServiceName| {
        let found = plan.rendered.services.iter().find(|it| it.service == *service);
        found.map(|it| digests(it).into_iter().map(|digest| digest.cloned()).collect::<Vec<_>>())
    };
    let all = old.rendered.services.iter().chain(&new.rendered.services);
    let differs = |service: &&RenderedService| of(old, &service.service) != of(new, &service.service);
    all.filter(differs).map(|service| service.service.clone()).collect()
}

/// The images of the new version are there, while the old one runs.
async fn prepare(p: &Progress, target: &Plan) -> Result<(), OpError> {
    images::ensure(p, target).await
}

async fn back_up(p: &Progress, target: &Plan) -> Result<(), OpError> {
    let old = &p.plan.rendered;
    let has_data = !old.volumes.is_empty() || !old.directories.is_empty();
    // One of an earlier life of the node is taken anew: the app may have run in between.
    if !target.manifest.update.snapshot || !has_data {
        p.detail("there is nothing to back up");
        return Ok(());
    }
    let snapshot = backup::take(p).await?;
    p.note(|course| course.snapshot = snapshot).await
}

/// Exchanges the manifests, once, and clears away what the new version has no use for.
async fn forth(p: &Progress) -> Result<(), OpError> {
    let course = p.course().await?;
    if course.exchanged == Exchanged::Not {
        let target = course.target.ok_or_else(|| internal("the new manifest is not in the store"))?;
        p.hold(Hold::Nothing);
        let to = |course: &mut Course| (course.exchanged, course.cleared) = (Exchanged::Forth, false);
        p.ctx.store.exchange(&p.plan.id, &p.op, target, to).await.map_err(store_error)?;
    }
    same(p).await?;
    clear(p).await
}

/// Puts the old manifest back, once, and clears away what it has no use for.
async fn back(p: &Progress) -> Result<(), OpError> {
    if p.course().await?.exchanged == Exchanged::Forth {
        let row = row(p).await?;
        let previous = row.previous.ok_or_else(|| internal("the old manifest is not in the store"))?;
        p.hold(Hold::Nothing);
        let to = |course: &mut Course| (course.exchanged, course.cleared) = (Exchanged::Back, false);
        let old = (previous, row.manifest_dir);
        p.ctx.store.exchange(&p.plan.id, &p.op, old, to).await.map_err(store_error)?;
    }
    same(p).await?;
    clear(p).await
}

/// Goes on only in a stack that has the manifest of the store: control makes one, and with it ends this one.
async fn same(p: &Progress) -> Result<(), OpError> {
    while row(p).await?.manifest != p.plan.text {
        p.ctx.names.cast(name::CONTROL, ControlMsg::Exchange(p.plan.id.clone()));
        sleep(AGAIN).await;
    }
    Ok(())
}

/// Removes the containers that are another thing now, and networks that only the other version has. Volumes stay.
async fn clear(p: &Progress) -> Result<(), OpError> {
    let course = p.course().await?;
    if course.cleared {
        return Ok(()); // what carries these names now is this version's
    }
    let here: BTreeSet<_> = p
        .plan
        .rendered
        .services
        .iter()
        .flat_map(RenderedService::containers)
        .map(|it| claimed(&it.labels))
        .collect();
    let other = |it: &engine::Summary| {
        let (service, role) = claimed(&it.labels);
        let changed = course.changed.iter().any(|it| *it.as_str() == service);
        changed || !here.contains(&(service, role))
    };
    steps::dispose(p, other).await?;
    let row = row(p).await?;
    if let Some(manifest) = row.previous.clone() {
        let other = plan_of(p, AppRow { manifest, ..row })?;
        let mut networks = other.rendered.networks;
        networks.retain(|it| !p.plan.rendered.networks.contains(it));
        p.leave_behind(steps::disconnect(p, &networks).await?);
    }
    p.note(|course| course.cleared = true).await
}

/// Every stage is done: the old version is let go of.
pub(super) async fn settle(p: &Progress) -> Result<(), OpError> {
    let row = row(p).await?;
    if let Some(manifest) = row.previous.clone() {
        let was = plan_of(p, AppRow { manifest, ..row });
        let was = was.map_or_else(|_| "an older one".to_owned(), |plan| plan.manifest.version.clone());
        let words = format!("{} is at version {} now, it was at {was}", p.plan.id, p.plan.manifest.version);
        steps::record(p, "app_updated", Severity::Info, words, None);
    }
    p.ctx.store.forget_previous(&p.plan.id).await.map_err(store_error)
}
