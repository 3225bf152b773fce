//! What is told of one app when somebody looks at it: its manifest in words, whether it fits this machine, its icon.

use super::{ANSWER, NodeHandle, api_error, store_error};
use crate::{catalog::CatalogMsg, control, names::name};
use apps::Manifest;
use protocol::{ApiError, AppFacts, AppId, ErrorCode};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Largest icon.
const MAX_ICON: u64 = 64 * 1024;

/// The picture of an app, from its manifest's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its content type.
    pub kind: &'static str,
}

/// The manifest that counts, whether it is installed, its folder, and the catalog's one where that is another.
struct Found {
    manifest: Manifest,
    installed: bool,
    dir: PathBuf,
    newer: Option<Manifest>,
}

impl NodeHandle {
    /// What is known of an app beside its row.
    ///
    /// # Errors
    ///
    /// When there is no such app, or store or catalog are away.
    pub async fn facts(&self, app: &AppId) -> Result<AppFacts, ApiError> {
        let found = self.find(app).await?;
        let rows = self.ctx.store.apps().await.map_err(store_error)?;
        let catalog = self.call(name::CATALOG, CatalogMsg::All).await?;
        let texts: Vec<String> = rows.into_iter().map(|row| row.manifest).collect();
        let (data, own) = (self.ctx.dirs.data.clone(), self.ctx.app_dir(app));
        let Found { manifest, installed, newer, .. } = found;
        let unfit = manifest.clone();
        let mut facts = blocking(move || {
            let on_node: Vec<Manifest> = texts.iter().filter_map(|text| Manifest::parse(text).ok()).collect();
            let others: Vec<&Manifest> = on_node.iter().chain(&catalog).collect();
            let mut facts = manifest.facts(&others, &own);
            facts.needs.memory_there = memory();
            facts.needs.storage_there = space(&data);
            facts
        })
        .await?;
        facts.installed = installed;
        facts.update = newer.map(|newer| newer.update_fact());
        if !installed {
            facts.problems = control::problems(&self.ctx, unfit).await.map_err(super::submit_error)?;
        }
        Ok(facts)
    }

    /// The icon of an app.
    ///
    /// # Errors
    ///
    /// When there is no such app, or it has none that can be shown.
    pub async fn icon(&self, app: &AppId) -> Result<Icon, ApiError> {
        let found = self.find(app).await?;
        let none = || api_error(ErrorCode::NotFound, format!("{app} has no icon"), "show its name instead");
        let path = found.manifest.metadata.icon.ok_or_else(none)?;
        let kind = match path.rsplit('.').next() {
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            _ => return Err(none()),
        };
        let bytes = blocking(move || read_within(&found.dir, &path)).await?.ok_or_else(none)?;
        Ok(Icon { bytes, kind })
    }

    async fn find(&self, app: &AppId) -> Result<Found, ApiError> {
        let row = self.ctx.store.app(app).await.map_err(store_error)?.filter(|row| row.installed);
        let catalog = self.call(name::CATALOG, CatalogMsg::All).await?;
        let newest = catalog.into_iter().find(|manifest| manifest.id == *app);
        let unknown = || {
            let message = format!("there is no app {app}");
            api_error(ErrorCode::NotFound, message, "`archy apps` shows what there is")
        };
        let Some(row) = row else {
            let manifest = newest.ok_or_else(unknown)?;
            let dir = self.ctx.dirs.catalog.join(app.as_str());
            return Ok(Found { manifest, installed: false, dir, newer: None });
        };
        let manifest = Manifest::parse(&row.manifest).map_err(|problems| ApiError {
            problems,
            ..api_error(
                ErrorCode::Invalid,
                "this node does not accept the installed manifest",
                "update the app",
            )
        })?;
        let newer = newest.filter(|newest| newest.version != manifest.version);
        Ok(Found { manifest, installed: true, dir: row.manifest_dir, newer })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let away = || api_error(ErrorCode::Unavailable, "the machine did not answer", "try again");
    let answer = tokio::time::timeout(ANSWER, tokio::task::spawn_blocking(work)).await;
    answer.ok().and_then(Result::ok).ok_or_else(away)
}

/// A file that really is within the folder, whatever links say, and not larger than an icon may be.
fn read_within(dir: &Path, path: &str) -> Option<Vec<u8>> {
    let dir = dir.canonicalize().ok()?;
    let path = dir.join(path).canonicalize().ok().filter(|path| path.starts_with(&dir))?;
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_ICON + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_ICON).then_some(bytes)
}

/// Memory of this machine in bytes.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1_024)
}

/// Bytes that are free in a folder for whoever is not root.
fn space(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn icon_is_read_only_within_its_folder_and_up_to_its_size() {
        let root = tempfile::tempdir().unwrap();
        let app = root.path().join("app");
        fs::create_dir(&app).unwrap();
        fs::write(root.path().join("secret.svg"), "s").unwrap();
        fs::write(app.join("icon.svg"), "<svg/>").unwrap();
        fs::write(app.join("huge.svg"), vec![b'x'; MAX_ICON as usize + 1]).unwrap();
        symlink("../secret.svg", app.join("link.svg")).unwrap();
        assert_eq!(read_within(&app, "icon.svg").unwrap(), b"<svg/>");
        for bad in ["../secret.svg", "link.svg", "huge.svg", "missing.svg", "."] {
            assert_eq!(read_within(&app, bad), None, "{bad}");
        }
    }

    #[test]
    fn machine_tells_its_memory_and_its_space() {
        assert!(memory().unwrap() > 1 << 20);
        assert!(space(Path::new("/")).is_some());
        assert_eq!(space(Path::new("/no/such/folder")), None);
    }
}
