//! `archy app import`.

use super::write;
use crate::{
    fail::Failure,
    out::{Out, Tone, note},
};
use apps::{
    Manifest,
    import::{Fate, Import, Source, import},
};
use protocol::AppId;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
};

/// Largest file beside a compose file that is read, in bytes.
const MAX_BESIDE: u64 = 64 * 1024;
/// One byte more than a compose file may have.
const MAX_FILE: u64 = 64 * 1024 + 1;

pub(super) fn run(
    file: &Path,
    id: Option<&AppId>,
    set: &[String],
    to: Option<&Path>,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.json() {
        let result = imported(file, id, set)?;
        let notes: Vec<_> = result
            .notes
            .iter()
            .map(|note| json!({"fate": note.fate.as_str(), "field": note.field, "line": note.line, "why": note.why}))
            .collect();
        let manifest = result.manifest.as_ref().map(Manifest::to_yaml);
        if let (Some(to), Some(manifest)) = (to, &manifest) {
            write(to, manifest)?;
        }
        let convention = result.convention.as_str();
        let said = json!({"convention": convention, "translated": result.translated, "notes": notes, "manifest": manifest});
        out.object(&said)?;
        return if manifest.is_some() { Ok(()) } else { Err(Failure::Told) };
    }
    let manifest = read(file, id, set, out)?;
    match to {
        Some(to) => {
            write(to, &manifest.to_yaml())?;
            out.line(&to.display().to_string())
        }
        None => out.bytes(manifest.to_yaml().as_bytes()),
    }
}

/// The manifest; what became of the rest is told beside the output.
pub(super) fn read(file: &Path, id: Option<&AppId>, set: &[String], out: &Out) -> Result<Manifest, Failure> {
    let result = imported(file, id, set)?;
    for one in &result.notes {
        let tone = if one.fate == Fate::Refused { Tone::Bad } else { Tone::Busy };
        let fate = out.paint(tone, one.fate.as_str());
        let line = one.line.map_or_else(String::new, |line| format!(":{line}"));
        note(&format!("{fate} {}{line}: {}: {}", file.display(), one.field, one.why));
    }
    let count = |fate| result.notes.iter().filter(|note| note.fate == fate).count();
    note(&format!(
        "read as {}: {} keys translated, {} changed, {} dropped, {} refused",
        result.convention.as_str(),
        result.translated,
        count(Fate::Changed),
        count(Fate::Dropped),
        count(Fate::Refused),
    ));
    result.manifest.ok_or(Failure::Told)
}

fn imported(file: &Path, id: Option<&AppId>, set: &[String]) -> Result<Import, Failure> {
    let text = bounded(file, MAX_FILE).map_err(|error| Failure::Unreadable(file.to_owned(), error))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let wanted = name.ends_with(".env") || matches!(name.as_str(), "umbrel-app.yml" | "config.json");
        if wanted && path != file && path.is_file() {
            beside.extend(bounded(&path, MAX_BESIDE).ok().map(|text| (name, text)));
        }
    }
    let variables = set.iter().filter_map(|one| one.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let named =
        folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let id = id.map(ToString::to_string).or(named).unwrap_or_default();
    Ok(import(&Source { text: &text, beside, variables, id: &id }))
}

/// No more of a file than is looked at.
fn bounded(path: &Path, most: u64) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}
