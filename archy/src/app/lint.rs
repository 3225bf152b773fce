//! `archy app lint`.

use super::{manifest_file, read, sarif, write};
use crate::{
    fail::Failure,
    out::{Out, Tone},
    validate,
};
use apps::{
    Manifest, check_catalog,
    lint::{Edit, Finding, Level, lint, mend},
};
use serde_json::json;
use std::path::PathBuf;

/// What was found in one file.
pub(super) struct Linted {
    pub(super) file: PathBuf,
    pub(super) found: Vec<Finding>,
}

pub(super) fn run(paths: &[PathBuf], fix: bool, as_sarif: bool, out: &mut Out) -> Result<(), Failure> {
    let mut files = Vec::new();
    let mut manifests = Vec::new();
    let mut mended = 0;
    for path in paths {
        let file = manifest_file(path);
        let mut text = read(&file)?;
        if fix {
            let edits: Vec<Edit> = lint(&text).into_iter().filter_map(|one| one.fix).collect();
            let (after, count) = mend(&text, &edits);
            // What cannot be read any more was no mending.
            if count > 0 && Manifest::parse(&after).is_ok() {
                write(&file, &after)?;
                (text, mended) = (after, mended + count);
            }
        }
        manifests.extend(Manifest::check(&text).manifest.map(|manifest| (files.len(), manifest)));
        files.push(Linted { file, found: lint(&text) });
    }
    // Of one alone nobody knows what the others are.
    if manifests.len() > 1 {
        for (id, problem) in check_catalog(manifests.iter().map(|(_, manifest)| manifest)) {
            let of = manifests.iter().find(|(_, manifest)| manifest.id == id).map(|(i, _)| *i);
            if let Some(file) = of.and_then(|i| files.get_mut(i)) {
                file.found.push(Finding { problem, level: Level::Error, fix: None });
            }
        }
    }
    tell(&files, mended, as_sarif, out)?;
    let bad = files.iter().flat_map(|file| &file.found).any(|one| one.level != Level::Note);
    if bad { Err(Failure::Told) } else { Ok(()) }
}

fn tell(files: &[Linted], mended: usize, as_sarif: bool, out: &mut Out) -> Result<(), Failure> {
    if as_sarif {
        return out.object(&sarif::log(files));
    }
    let count = |level| files.iter().flat_map(|file| &file.found).filter(|one| one.level == level).count();
    if out.json() {
        for Linted { file, found } in files {
            let found: Vec<_> = found
                .iter()
                .map(|one| json!({"level": one.level.as_str(), "problem": one.problem, "fixable": one.fix.is_some()}))
                .collect();
            out.object(&json!({"file": file, "found": found}))?;
        }
        return Ok(());
    }
    for Linted { file, found } in files {
        // Notes concern all alike; they are counted.
        for one in found.iter().filter(|one| one.level != Level::Note) {
            let tone = if one.level == Level::Error { Tone::Bad } else { Tone::Busy };
            let level = out.paint(tone, one.level.as_str());
            out.line(&format!("{level} {}", validate::line(file, &one.problem)))?;
            let fixable = if one.fix.is_some() { " (--fix does it)" } else { "" };
            let remedy = out.paint(Tone::Faint, &format!("  remedy: {}{fixable}", one.problem.remedy));
            out.line(&remedy)?;
        }
    }
    let sum = format!(
        "{} manifests: {} errors, {} warnings, {} notes{}",
        files.len(),
        count(Level::Error),
        count(Level::Warning),
        count(Level::Note),
        if mended > 0 { format!(", {mended} mended") } else { String::new() },
    );
    out.line(&sum)
}
