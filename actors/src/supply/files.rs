//! Files that the node writes for an app from templates.

use super::SupplyError;
use crate::private;
use apps::{ConfigText, Facts, RenderedConfig, Template, Variable};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Bound of a template that is a file of its own.
const MOST: u64 = 256 * 1024;

/// Writes the file, unless it is there and may not be written anew.
pub(super) fn ensure(
    config: &RenderedConfig,
    manifest_dir: &Path,
    facts: &Facts,
    secrets: &BTreeMap<String, String>,
) -> Result<(), SupplyError> {
    if !config.overwrite && config.path.exists() {
        return Ok(());
    }
    let template = match &config.text {
        ConfigText::Template(template) => template.clone(),
        ConfigText::File(path) => {
            let text = read(path, manifest_dir)
                .map_err(|error| SupplyError::Source { path: path.clone(), reason: error.to_string() })?;
            Template::parse(&text).map_err(SupplyError::template(path.clone()))?
        }
    };
    let known = |variable: &Variable| match variable {
        Variable::Secret(name) => secrets.get(name).cloned(),
        other => facts.get(other),
    };
    let text = template.fill(known).map_err(SupplyError::unknown(&format!("file {}", config.name)))?;
    let wrong = |source| SupplyError::Disk { path: config.path.clone(), source };
    private::write(&config.path, text.as_bytes()).map_err(wrong)
}

/// A file of the app's own folder; a link may not lead out of it.
fn read(path: &Path, dir: &Path) -> io::Result<String> {
    if !fs::canonicalize(path)?.starts_with(fs::canonicalize(dir)?) {
        return Err(io::Error::other("it lies outside of the app's folder"));
    }
    let mut text = String::new();
    File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST) {
        return Err(io::Error::other(format!("it has more than {} KiB", MOST / 1024)));
    }
    Ok(text)
}
