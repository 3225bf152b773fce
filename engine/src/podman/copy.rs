//! What is copied into a container: packed as the engine unpacks it at the container's root.

use crate::{EngineError, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The archive is held in memory while it is sent.
const MOST: u64 = 64 << 20;

/// Packs a file, or a folder with what is in it, under its path in the container.
pub(super) fn pack(from: &Path, to: &str) -> Result<Vec<u8>> {
    let refused = |path: &Path, reason: &dyn std::fmt::Display| EngineError::Refused {
        subject: format!("a copy of {}", from.display()),
        message: format!("{}: {reason}", path.display()),
    };
    let mut archive = tar::Builder::new(Vec::new());
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    let mut total = 0;
    let mut open = vec![(from.to_owned(), PathBuf::from(to.trim_start_matches('/')))];
    while let Some((outer, inner)) = open.pop() {
        let meta = outer.symlink_metadata().map_err(|error| refused(&outer, &error))?;
        if meta.is_dir() {
            let entries = fs::read_dir(&outer).and_then(|entries| {
                entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
            });
            let mut names = entries.map_err(|error| refused(&outer, &error))?;
            names.sort();
            open.extend(names.into_iter().rev().map(|name| (outer.join(&name), inner.join(&name))));
        } else if meta.is_file() {
            total += meta.len();
            if total > MOST {
                return Err(refused(from, &"it is larger than 64 MiB"));
            }
            archive.append_path_with_name(&outer, &inner).map_err(|error| refused(&outer, &error))?;
        } else {
            return Err(refused(&outer, &"neither a file nor a folder"));
        }
    }
    archive.into_inner().map_err(|error| refused(from, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_packed_under_their_path_in_the_container_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/two"), "2").unwrap();
        fs::write(dir.path().join("a/one"), "1").unwrap();
        let names = |packed: Vec<u8>| {
            let mut archive = tar::Archive::new(&packed[..]);
            let path =
                |entry: io::Result<tar::Entry<'_, _>>| entry.unwrap().path().unwrap().display().to_string();
            archive.entries().unwrap().map(path).collect::<Vec<_>>()
        };
        assert_eq!(names(pack(&dir.path().join("a"), "/etc/x").unwrap()), ["etc/x/b/two", "etc/x/one"]);
        assert_eq!(names(pack(&dir.path().join("a/one"), "/etc/y").unwrap()), ["etc/y"]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/link")).unwrap();
        for from in ["a", "a/link"] {
            let result = pack(&dir.path().join(from), "/x");
            assert!(matches!(result, Err(EngineError::Refused { .. })), "{from}");
        }
    }
}
