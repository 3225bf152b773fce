//! What is in some folders, as one hash: two that agree hold the same files.
//!
//! A file's name, kind, mode, owner, content, target and attributes of its owner count; times do not, and neither does
//! how it lies on the disk (sparse, linked hard). What is neither file, folder nor symbolic link is left out: sockets and
//! pipes have no content.

use super::Excludes;
use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

/// Attributes of files that count: those that users set, and the rights that a program's file gives.
pub(super) const ATTRIBUTES: [&str; 2] = ["user.*", "security.capability"];
const ATTRIBUTE: &str = "SCHILY.xattr.";
/// Bytes between two reports.
const STEP: u64 = 8 << 20;

/// The hash, and what went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// BLAKE3 in hexadecimal digits.
    pub hash: String,
    /// Files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct Entry<'a> {
    kind: u8,
    mode: u32,
    owner: (u64, u64),
    target: &'a [u8],
    attributes: BTreeMap<String, Vec<u8>>,
}

/// Takes files one after the other, in any order.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    entries: Vec<[u8; 32]>,
    files: u64,
    bytes: u64,
}

impl Hasher {
    fn add(
        &mut self,
        name: &Path,
        entry: &Entry<'_>,
        content: &mut dyn Read,
        seen: &dyn Fn(u64),
    ) -> io::Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: &[u8]| {
            // Each part with its length, so that no two lists of parts look alike.
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        put(name.as_os_str().as_encoded_bytes());
        put(&[entry.kind]);
        // The kernel gives every symbolic link the same.
        put(&if entry.kind == b'l' { 0 } else { entry.mode & 0o7777 }.to_le_bytes());
        put(&entry.owner.0.to_le_bytes());
        put(&entry.owner.1.to_le_bytes());
        put(entry.target);
        for (key, value) in &entry.attributes {
            put(key.as_bytes());
            put(value);
        }
        if entry.kind == b'f' {
            let mut buffer = vec![0; 256 << 10];
            let mut told = 0;
            loop {
                let count = content.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
                told += count as u64;
                self.bytes += count as u64;
                if told >= STEP {
                    seen(std::mem::take(&mut told));
                }
            }
            seen(told);
            self.files += 1;
        }
        self.entries.push(*hasher.finalize().as_bytes());
        Ok(())
    }

    /// Takes everything of a tar stream that is within a part; `prefix` comes before its names.
    pub(crate) fn add_tar(
        &mut self,
        stream: impl Read,
        prefix: &Path,
        wanted: &dyn Fn(&Path) -> bool,
        seen: &dyn Fn(u64),
    ) -> io::Result<()> {
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = plain(&prefix.join(entry.path()?))?;
            let header = entry.header();
            let kind = match header.entry_type() {
                tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => b'f',
                tar::EntryType::Directory => b'd',
                tar::EntryType::Symlink => b'l',
                _ => continue,
            };
            if !wanted(&name) {
                continue;
            }
            let (mode, owner) = (header.mode()?, (header.uid()?, header.gid()?));
            let target = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
            let mut attributes = BTreeMap::new();
            if let Some(records) = entry.pax_extensions()? {
                // The value of one with a line end in it is cut there, which is the same on both sides.
                for record in records.flatten() {
                    let Some(key) = record.key().ok().and_then(|key| key.strip_prefix(ATTRIBUTE)) else {
                        continue;
                    };
                    if key.starts_with("user.") || key == ATTRIBUTES[1] {
                        attributes.insert(key.to_owned(), record.value_bytes().to_vec());
                    }
                }
            }
            let target = if kind == b'l' { &target[..] } else { &[] };
            let known = Entry { kind, mode, owner, target, attributes };
            self.add(&name, &known, &mut entry, seen)?;
        }
        Ok(())
    }

    /// Takes a folder or file of the node that it can read, as the simulation does.
    fn add_path(&mut self, path: &Path, name: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        if !wanted(name) {
            return Ok(());
        }
        let meta = fs::symlink_metadata(path)?;
        let (mode, owner) = (meta.permissions().mode(), (u64::from(meta.uid()), u64::from(meta.gid())));
        let mut entry = Entry { mode, owner, ..Entry::default() };
        if meta.is_symlink() {
            let target = fs::read_link(path)?;
            entry.kind = b'l';
            entry.target = target.as_os_str().as_encoded_bytes();
            self.add(name, &entry, &mut io::empty(), &|_| ())
        } else if meta.is_dir() {
            entry.kind = b'd';
            self.add(name, &entry, &mut io::empty(), &|_| ())?;
            for child in fs::read_dir(path)? {
                let child = child?.file_name();
                self.add_path(&path.join(&child), &name.join(&child), wanted)?;
            }
            Ok(())
        } else if meta.is_file() {
            entry.kind = b'f';
            self.add(name, &entry, &mut fs::File::open(path)?, &|_| ())
        } else {
            Ok(())
        }
    }

    /// The hash of all that was taken.
    pub(crate) fn finish(mut self) -> Digest {
        // Whoever lists them does so in an order of its own.
        self.entries.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for entry in &self.entries {
            hasher.update(entry);
        }
        Digest { hash: hasher.finalize().to_hex().to_string(), files: self.files, bytes: self.bytes }
    }
}

/// A name without the dots that tar begins with. One that leaves its folder is nobody's we know.
fn plain(name: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a name leaves its folder")),
        }
    }
    Ok(plain)
}

/// Which names of a snapshot count: those of the parts and what is below, but for what is left out.
pub(super) fn within<'a>(parts: &'a [PathBuf], excludes: &'a Excludes) -> impl Fn(&Path) -> bool + 'a {
    move |name| {
        let below = parts.iter().find_map(|part| name.strip_prefix(part).ok());
        below.is_some_and(|below| !excludes.matches(below))
    }
}

/// What is in folders or files that this process can read, each under its name.
///
/// # Errors
///
/// When one cannot be read.
pub fn digest_of(parts: &[super::Part], excludes: &Excludes) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    for part in parts {
        let name = [PathBuf::from(&part.name)];
        hasher.add_path(&part.path, &name[0], &within(&name, excludes))?;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::{super::Part, *};
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Vec<Part>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live");
        fs::create_dir_all(path.join("sub/cache")).unwrap();
        fs::write(path.join("a"), "one").unwrap();
        fs::write(path.join("sub/b"), "two").unwrap();
        fs::write(path.join("sub/cache/c"), "no").unwrap();
        symlink("a", path.join("link")).unwrap();
        (dir, vec![Part { name: "volumes/db".into(), path }])
    }

    #[test]
    fn a_tar_stream_and_the_folder_itself_have_the_same_digest() {
        let (_dir, parts) = tree();
        let mut builder = tar::Builder::new(Vec::new());
        builder.follow_symlinks(false);
        builder.append_dir_all("./volumes/db", &parts[0].path).unwrap();
        let tar = builder.into_inner().unwrap();
        for (texts, files, bytes) in [(vec![], 3, 8), (vec!["cache/*".to_owned()], 2, 6)] {
            let excludes = Excludes::parse(&texts).unwrap();
            let mut hasher = Hasher::default();
            let names = [PathBuf::from("volumes/db")];
            hasher.add_tar(&tar[..], Path::new(""), &within(&names, &excludes), &|_| ()).unwrap();
            let digest = hasher.finish();
            assert_eq!((digest.files, digest.bytes), (files, bytes));
            assert_eq!(digest, digest_of(&parts, &excludes).unwrap());
        }
    }

    #[test]
    fn what_makes_a_file_another_one_changes_the_digest() {
        type Change = fn(&Path);
        let changes: [Change; 6] = [
            |path| fs::write(path.join("a"), "onf").unwrap(),
            |path| fs::rename(path.join("a"), path.join("z")).unwrap(),
            |path| fs::set_permissions(path.join("a"), fs::Permissions::from_mode(0o600)).unwrap(),
            |path| fs::remove_file(path.join("link")).and_then(|()| symlink("b", path.join("link"))).unwrap(),
            |path| fs::remove_file(path.join("sub/b")).unwrap(),
            |path| fs::create_dir(path.join("empty")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            let (_dir, parts) = tree();
            let before = digest_of(&parts, &Excludes::default()).unwrap();
            change(&parts[0].path);
            assert_ne!(before.hash, digest_of(&parts, &Excludes::default()).unwrap().hash, "{number}");
        }
    }
}
