//! The owner's token: made once, kept in a file that only the owner can read.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("{0} cannot be read or written")]
    File(PathBuf, #[source] io::Error),
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The token in a data directory, made at the first call.
pub(crate) fn token(data_dir: &Path) -> Result<String, TokenError> {
    let path = data_dir.join("owner-token");
    let wrong = |error| TokenError::File(path.clone(), error);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whole or not at all: a half-written token would lock the owner out.
    let new = data_dir.join(".owner-token.new");
    let write = || {
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(wrong)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_the_token_is_made_once_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = token(dir.path()).unwrap();
        assert_eq!(first.len(), 40);
        assert_eq!(token(dir.path()).unwrap(), first);
        let mode = fs::metadata(dir.path().join("owner-token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
