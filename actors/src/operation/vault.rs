//! What backup and restore share: the parts of an app, the repository's errors as people see them, and waiting.

use super::{
    error::{engine_error, store_error},
    progress::Progress,
};
use crate::private;
use engine::vault::{Digest, Part, Sink, VaultError};
use protocol::{Desired, OpError};
use std::sync::Arc;

/// Name of the part with the manifest.
pub(super) const APP: &str = "app";
/// Name of the part with the secrets.
pub(super) const SECRETS: &str = "secrets";
/// Name of the part with the folders of the app; of one of them it is the beginning.
pub(super) const DATA: &str = "data";
/// Folder of the parts that are volumes.
pub(super) const VOLUMES: &str = "volumes";
/// Folder under an app's data in which the node keeps certificates and files.
const NODE: &str = ".archipelago";

/// The repository's error as people see it.
pub(crate) fn vault_error(error: &VaultError) -> OpError {
    let (code, hint, retryable) = match error {
        VaultError::Missing { .. } => (
            "restic_missing",
            "as root: apt-get install -y restic; archy doctor tells whether it is there",
            true,
        ),
        VaultError::NoSpace { .. } => ("no_space", "free some space on the disk and try again", true),
        VaultError::Locked { .. } => (
            "repository_locked",
            "wait until whoever works on the repository has ended, then try again",
            true,
        ),
        VaultError::Damaged { .. } => {
            ("repository_damaged", "look at it with restic check; docs/backups.md says how", false)
        }
        VaultError::WrongPassword { .. } => (
            "repository_password",
            "put the password back with which the repository was made; without it nobody can read it",
            false,
        ),
        VaultError::NotFound(_) => ("no_snapshot", "archy backups lists those that there are", false),
        VaultError::Incomplete { .. } => ("incomplete", "see which files are named, then try again", true),
        _ => ("backup_failed", "see the message and the node's log, then try again", true),
    };
    OpError { code: code.into(), message: error.to_string(), hint: Some(hint.into()), retryable }
}

pub(super) fn fail(code: &str, message: impl Into<String>, hint: &str, retryable: bool) -> OpError {
    OpError { code: code.into(), message: message.into(), hint: Some(hint.into()), retryable }
}

pub(super) fn disk_error(what: &str, error: &std::io::Error) -> OpError {
    let hint = "check the disk and the permissions of the node's data directory";
    fail("disk", format!("{what}: {error}"), hint, true)
}

/// Shows how far a call of the repository is, in bytes; `total` where it does not know it itself.
pub(super) fn meter(p: &Progress, text: &'static str, total: Option<u64>) -> Sink {
    let p = p.clone();
    Arc::new(move |done, told| {
        let text = format!("{text}, {}", amount(done));
        match told.or(total) {
            // More than was thought says nothing about how far it is.
            Some(total) if total > 0 && done <= total => p.share(text, share(done, total)),
            _ => p.detail(text),
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "a bar has no more than some hundred steps")]
fn share(done: u64, total: u64) -> f32 {
    done as f32 / total as f32
}

/// `12.3 MiB`.
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// What of the app is backed up; nothing, where it has no data.
pub(super) async fn parts(p: &Progress) -> Result<Vec<Part>, OpError> {
    let (plan, rendered) = (&p.plan, &p.plan.rendered);
    if rendered.volumes.is_empty() && rendered.directories.is_empty() {
        return Ok(vec![]);
    }
    let include = &plan.manifest.backup.include;
    let wanted = |name: &String| include.is_empty() || include.contains(name);
    let mut parts = Vec::new();
    for (name, volume) in plan.manifest.volumes.keys().zip(&rendered.volumes).filter(|(name, _)| wanted(name))
    {
        let refused = |error| engine_error(&error);
        p.ctx.engine.ensure_volume(volume, &rendered.labels).await.map_err(refused)?;
        let path = p.ctx.engine.volume_dir(volume).await.map_err(refused)?;
        parts.push(Part { name: format!("{VOLUMES}/{name}"), path });
    }
    let data = p.ctx.app_dir(&plan.id);
    let folders: Vec<&String> =
        include.iter().filter(|name| !plan.manifest.volumes.contains_key(*name)).collect();
    if include.is_empty() {
        parts.push(Part { name: DATA.into(), path: data });
    } else {
        let below = |name: &String| folders.iter().any(|other| name.starts_with(&format!("{other}/")));
        let top = folders.iter().filter(|name| !below(name)).map(|name| name.as_str());
        let own = Some(NODE).filter(|own| data.join(own).exists());
        for name in top.chain(own) {
            parts.push(Part { name: format!("{DATA}/{name}"), path: data.join(name) });
        }
    }
    let secrets = p.ctx.secrets_dir(&plan.id);
    if secrets.exists() {
        parts.push(Part { name: SECRETS.into(), path: secrets });
    }
    // What makes the rest an app again, also for whoever restores it by hand.
    let row = p.ctx.store.app(&plan.id).await.map_err(store_error)?;
    let own = p.ctx.dirs.data.join("backups").join(APP).join(plan.id.as_str());
    let manifest = row.map(|row| row.manifest).unwrap_or_default();
    private::write(&own.join("manifest.yml"), manifest.as_bytes())
        .map_err(|error| disk_error("the manifest cannot be written", &error))?;
    parts.push(Part { name: APP.into(), path: own });
    // A folder that was never made holds nothing.
    for part in parts.iter().filter(|part| part.name.starts_with(DATA)) {
        p.ctx.engine.make_folder(&part.path).await.map_err(|error| engine_error(&error))?;
    }
    Ok(parts)
}

/// What the user wants of the app.
pub(super) async fn desired(p: &Progress) -> Result<Desired, OpError> {
    let row = p.ctx.store.app(&p.plan.id).await.map_err(store_error)?;
    Ok(row.map_or(Desired::Absent, |row| row.desired))
}

/// Asks the repository what backups of the app there are, and remembers them.
pub(super) async fn remember(p: &Progress) -> Result<(), OpError> {
    let found = p.ctx.vault.list(Some(&p.plan.id)).await.map_err(|error| vault_error(&error))?;
    let views = found.into_iter().map(|snapshot| snapshot.view).collect();
    p.ctx.store.set_backups(&p.plan.id, views).await.map_err(store_error)
}

/// What two digests that should agree say of each other.
pub(super) fn compare(one: &Digest, other: &Digest, what: &str) -> Result<(), OpError> {
    if one == other {
        return Ok(());
    }
    let message = format!(
        "{what}: {} files and {} against {} files and {}",
        one.files,
        amount(one.bytes),
        other.files,
        amount(other.bytes)
    );
    Err(fail("content_differs", message, "look for a damaged disk, then try again", true))
}
