//! The catalog: a folder with one folder per app.

mod cross;

pub use cross::check_catalog;

use crate::{Manifest, rule::Rule};
use protocol::{AppId, Problem};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Why an app of the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file cannot be read. Remedy: check that it exists and its permissions.
    #[error("cannot read {path}")]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The manifest is not valid. Remedy: mend it; `archy app validate` tells the same.
    #[error("{path} is not valid: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
}

/// An app of the catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogApp {
    /// The manifest.
    pub manifest: Manifest,
    /// Its text as it stands on the disk.
    pub text: String,
    /// Its folder.
    pub dir: PathBuf,
}

impl CatalogApp {
    /// Reads the manifest in a folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not valid.
    pub fn load(dir: &Path) -> Result<Self, CatalogError> {
        let path = dir.join("manifest.yml");
        let bytes = read(&path)?;
        let invalid = |problems| CatalogError::Invalid { path: path.clone(), problems };
        let manifest = Manifest::parse_bytes(&bytes).map_err(invalid)?;
        if dir.file_name().is_some_and(|name| name == manifest.id.as_str()) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(Self { manifest, text, dir: dir.to_owned() });
        }
        let message = format!("the id {} is not the name of the folder", manifest.id);
        Err(invalid(vec![Rule::FolderName.problem("id", message, "rename one of the two")]))
    }
}

/// Reads no more of a file than a manifest may have, and one byte that tells that there is more.
fn read(path: &Path) -> Result<Vec<u8>, CatalogError> {
    let wrong = |source| CatalogError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(wrong)?;
    file.take(crate::yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Reads a whole catalog: the apps that can be used, and why the others cannot.
///
/// # Errors
///
/// When the folder itself cannot be read.
pub fn load_catalog(dir: &Path) -> Result<(BTreeMap<AppId, CatalogApp>, Vec<CatalogError>), CatalogError> {
    let wrong = |source| CatalogError::Read { path: dir.to_owned(), source };
    let mut apps = BTreeMap::new();
    let mut errors = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let dir = entry.map_err(wrong)?.path();
        if !dir.join("manifest.yml").exists() {
            continue;
        }
        match CatalogApp::load(&dir) {
            Ok(app) => {
                apps.insert(app.manifest.id.clone(), app);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((apps, errors))
}
