//! What the node makes for an app before its containers are started: folders, secrets, certificates, files.
//!
//! Everything is made once and mended where it is missing; what is there is not changed, but for files that the
//! manifest has written anew and certificates that are about to end.

mod certs;
mod facts;
mod files;
pub(crate) mod given;
mod networks;
mod secrets;

pub(crate) use facts::gather;
pub(crate) use networks::{ensure as networks, release as release_networks};

use crate::{ctx::Ctx, private, stack::Plan};
use apps::{Mount, MountSource, Rendered, RenderedCert, TemplateError, Variable};
use engine::{Engine, EngineError};
use protocol::AppId;
use std::{fs, io, path::PathBuf, time::SystemTime};

/// Why something cannot be made for an app.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SupplyError {
    /// A file or folder of the node's cannot be read or written. Remedy: check the disk and the permissions of the
    /// data directory.
    #[error("{path} cannot be read or written: {source}")]
    Disk {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file of the manifest cannot be used. Remedy: mend the app's folder in the catalog.
    #[error("the app's file {path} cannot be used: {reason}")]
    Source {
        /// File.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// A template asks for what nobody knows.
    #[error("{name} asks for {variable}, which this node does not know")]
    Unknown {
        /// What has the template.
        name: String,
        /// What is asked for.
        variable: Variable,
    },
    /// A certificate cannot be made.
    #[error("certificate {name} cannot be made: {source}")]
    Certificate {
        /// Name in the manifest.
        name: String,
        /// Cause.
        source: rcgen::Error,
    },
    /// A secret that the owner gives was not given. Remedy: `archy secret set`.
    #[error("the secret {name} is not given")]
    NotGiven {
        /// Name in the manifest.
        name: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The store refuses.
    #[error(transparent)]
    Store(crate::store::StoreError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl SupplyError {
    fn template(path: PathBuf) -> impl FnOnce(TemplateError) -> Self {
        move |error| Self::Source { path, reason: error.to_string() }
    }

    fn unknown(name: &str) -> impl FnOnce(Variable) -> Self {
        move |variable| Self::Unknown { name: name.to_owned(), variable }
    }
}

/// Sees to it that all is there.
///
/// # Errors
///
/// When the disk or the engine refuses, or a template asks for what nobody knows.
pub(crate) async fn ensure(ctx: &Ctx, plan: &Plan) -> Result<(), SupplyError> {
    let (engine, rendered) = (ctx.engine.as_ref(), &plan.rendered);
    folders(engine, rendered).await?;
    networks(ctx, plan).await?;
    let dir = ctx.secrets_dir(&plan.id);
    let mut secrets = secrets::ensure(engine, &dir, &rendered.secrets).await?;
    for (name, engine_name) in &rendered.external_secrets {
        secrets.insert(name.clone(), given::ensure(engine, &dir, name, engine_name).await?);
    }
    let facts = gather();
    for cert in &rendered.certs {
        certs::ensure(engine, cert, &plan.manifest.name, &facts, SystemTime::now()).await?;
    }
    for config in &rendered.configs {
        files::ensure(config, &plan.manifest_dir, &facts, &secrets)?;
    }
    Ok(())
}

/// Makes a certificate anew that is about to end, while the app runs; says whether that was so.
///
/// One that was never made is left to the app's next start.
///
/// # Errors
///
/// When the disk or the engine refuses, or a name of it is not known any more.
pub(crate) async fn renew(
    ctx: &Ctx,
    plan: &Plan,
    cert: &RenderedCert,
    now: SystemTime,
) -> Result<bool, SupplyError> {
    let engine = ctx.engine.as_ref();
    if !cert.dir.is_dir() || !certs::ensure(engine, cert, &plan.manifest.name, &gather(), now).await? {
        return Ok(false);
    }
    // Its user finds it as it was found at the start.
    let mounts = |mount: &Mount| mount.chown && mount.source == MountSource::Bind(cert.dir.clone());
    let spec = plan.rendered.services.iter().map(|it| &it.spec).find(|spec| spec.mounts.iter().any(mounts));
    if let Some((uid, gid)) = spec.and_then(|spec| owner(spec.user.as_deref()?)) {
        for path in [cert.dir.join("tls.key"), cert.dir.join("tls.crt"), cert.dir.clone()] {
            engine.give_folder(&path, uid, gid).await?;
        }
    }
    Ok(true)
}

/// A text without the app's secrets.
pub(crate) fn redacted(ctx: &Ctx, app: &AppId, text: &str) -> String {
    let files = fs::read_dir(ctx.secrets_dir(app)).into_iter().flatten().flatten();
    let secrets = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    secrets
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(&secret, "***"))
}

/// A user that is given in numbers.
fn owner(user: &str) -> Option<(u32, u32)> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// The folders of the app's data, each whole and with its owner, or not at all.
async fn folders(engine: &dyn Engine, rendered: &Rendered) -> Result<(), SupplyError> {
    for path in &rendered.directories {
        if path.is_dir() {
            continue;
        }
        let wrong = |source| SupplyError::Disk { path: path.clone(), source };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let fresh = parent.join(format!(".{}.new", name.display()));
        engine.remove_folder(&fresh).await?;
        private::folder(&fresh).map_err(wrong)?;
        if let Some(owner) = rendered.owners.get(path) {
            engine.give_folder(&fresh, owner.uid, owner.gid).await?;
        }
        fs::rename(&fresh, path).map_err(wrong)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
