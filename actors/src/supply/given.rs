//! Secrets that the owner gives: kept like the generated ones, and handed to the engine when they have changed.

use super::SupplyError;
use crate::private;
use engine::{Engine, EngineError};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

fn wrong(path: &Path) -> impl FnOnce(io::Error) -> SupplyError + use<> {
    let path = path.to_owned();
    move |source| SupplyError::Disk { path, source }
}

/// The note of what the engine was handed last.
fn handed(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.handed"))
}

/// Whether it is given.
pub(crate) fn is_given(dir: &Path, name: &str) -> bool {
    fs::metadata(dir.join(name)).is_ok_and(|meta| meta.len() > 0)
}

/// Which value of a secret it is, without a word about the value: the time at which it was written.
pub(crate) fn revision(dir: &Path, name: &str) -> String {
    let written = fs::metadata(dir.join(name)).and_then(|meta| meta.modified()).ok();
    let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map(|since| since.as_nanos().to_string()).unwrap_or_default()
}

/// The revisions of those that a container is made with, in one text.
pub(crate) fn revisions<'a>(
    dir: &Path,
    secrets: &'a BTreeMap<String, String>,
    uses: impl Fn(&'a str) -> bool,
) -> String {
    let used = secrets.iter().filter(|(_, engine_name)| uses(engine_name));
    used.map(|(name, _)| format!("{name}={};", revision(dir, name))).collect()
}

/// Keeps a value.
///
/// # Errors
///
/// When the disk refuses.
pub(crate) fn keep(dir: &Path, name: &str, value: &str) -> Result<(), SupplyError> {
    let path = dir.join(name);
    private::write(&path, value.as_bytes()).map_err(wrong(&path))
}

/// Sees to it that the engine has the present value, and returns it.
///
/// # Errors
///
/// When it is not given, or the disk or the engine refuses.
pub(crate) async fn ensure(
    engine: &dyn Engine,
    dir: &Path,
    name: &str,
    engine_name: &str,
) -> Result<String, SupplyError> {
    let (path, note) = (dir.join(name), handed(dir, name));
    if !is_given(dir, name) {
        return Err(SupplyError::NotGiven { name: name.to_owned() });
    }
    let revision = revision(dir, name);
    let value = fs::read_to_string(&path).map_err(wrong(&path))?;
    let is_there = engine.secret_exists(engine_name).await?;
    if is_there && fs::read_to_string(&note).is_ok_and(|it| it == revision) {
        return Ok(value);
    }
    // Containers that were made with the old one keep it.
    engine.remove_secret(engine_name).await?;
    match engine.create_secret(engine_name, value.as_bytes()).await {
        Ok(()) | Err(EngineError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    private::write(&note, revision.as_bytes()).map_err(wrong(&note))?;
    Ok(value)
}
