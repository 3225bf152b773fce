//! Folders whose owners exist in the user namespace of the containers only.

use crate::{EngineError, Result};
use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// A folder of many files on a slow disk.
const LONG: Duration = Duration::from_secs(30 * 60);

/// Runs a command on a folder as the root of that namespace; nothing in the folder's name is an option.
pub(super) async fn inside(call: &'static str, path: &Path, command: &[&OsStr]) -> Result<()> {
    run(call, path, &[command, &[OsStr::new("--")]].concat()).await
}

/// The same with the folder as its last argument, as it is.
pub(super) async fn run(call: &'static str, path: &Path, command: &[&OsStr]) -> Result<()> {
    let subject = format!("folder {}", path.display());
    let broken = |message: String| EngineError::Broken { subject: subject.clone(), message };
    let mut unshare = Command::new("podman");
    unshare.arg("unshare").args(command).arg(path).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(LONG, unshare.output())
        .await
        .map_err(|_| EngineError::Timeout { call, subject: subject.clone(), after: LONG })?
        .map_err(|error| broken(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(broken(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
