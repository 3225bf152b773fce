//! Secrets of apps: generated once, kept in files of mode 0600, handed to the engine, never changed, never logged.

use apps::RenderedSecret;
use engine::{Engine, EngineError};
use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why a secret cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// Its file cannot be read or written. Remedy: check the disk and the permissions of the data directory.
    #[error("the secret's file {path} cannot be read or written")]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The engine refuses it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
///
/// When the disk refuses.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Sees to it that the secret exists, in its file and in the engine. A value that is there stays.
///
/// # Errors
///
/// When the disk or the engine refuses.
pub(crate) async fn ensure(
    engine: &dyn Engine,
    dir: &Path,
    secret: &RenderedSecret,
) -> Result<(), SecretError> {
    let value = ensure_file(dir, secret)?;
    if !engine.secret_exists(&secret.engine_name).await? {
        match engine.create_secret(&secret.engine_name, value.as_bytes()).await {
            Ok(()) | Err(EngineError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn ensure_file(dir: &Path, secret: &RenderedSecret) -> Result<String, SecretError> {
    let path = dir.join(&secret.name);
    let wrong = |source| SecretError::File { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(value) if !value.is_empty() => return Ok(value),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let mut bytes = vec![0; secret.generate.bytes];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    let value = secret.generate.encoding.encode(&bytes);
    private_dir(dir).map_err(wrong)?;
    // Whole or not at all: a crash leaves the temporary file, which the next attempt replaces.
    let temporary = dir.join(format!(".{}.new", secret.name));
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(value.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(wrong)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apps::manifest::{Encoding, Generate};
    use std::os::unix::fs::PermissionsExt;

    fn secret() -> RenderedSecret {
        RenderedSecret {
            name: "pass".into(),
            engine_name: "shop_pass".into(),
            generate: Generate { bytes: 24, encoding: Encoding::Hex },
        }
    }

    #[test]
    fn a_secret_is_generated_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("shop");
        let first = ensure_file(&dir, &secret()).unwrap();
        assert_eq!(first.len(), 48);
        assert_eq!(ensure_file(&dir, &secret()).unwrap(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("pass"))), (0o700, 0o600));
    }

    #[test]
    fn what_a_crash_left_half_written_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".pass.new"), "half").unwrap();
        fs::write(dir.path().join("pass"), "").unwrap();
        assert_eq!(ensure_file(dir.path(), &secret()).unwrap().len(), 48);
    }
}
