//! `archy app`: work on manifests. Needs no node.

mod compare;
mod import;
mod lint;
mod new;
mod render;
mod sarif;
mod test;
#[cfg(test)]
mod tests;

use crate::{cli::AppCommand, fail::Failure, out::Out, validate};
use apps::{Facts, Manifest, RenderContext};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn run(command: &AppCommand, out: &mut Out) -> Result<(), Failure> {
    match command {
        AppCommand::Validate { file } => validate::run(file, out),
        AppCommand::New { id, from, dir } => new::run(id, from.as_deref(), dir, out),
        AppCommand::Lint { paths, fix, sarif } => lint::run(paths, *fix, *sarif, out),
        AppCommand::Render { file, format, out: dir } => render::run(file, *format, dir.as_deref(), out),
        AppCommand::Import { file, id, set, out: to } => {
            import::run(file, id.as_ref(), set, to.as_deref(), out)
        }
        AppCommand::Diff { old, new } => compare::run(old, new, out),
        AppCommand::Test { file, golden, update } => test::run(file, golden.as_deref(), *update, out),
    }
}

/// The manifest's file: the path itself, or `manifest.yml` in a folder.
fn manifest_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("manifest.yml") } else { path.to_owned() }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Unreadable(path.to_owned(), error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::Unwritable(path.to_owned(), error))
}

/// A valid manifest; what is wrong with another one is told.
fn valid(path: &Path, out: &mut Out) -> Result<Manifest, Failure> {
    let path = manifest_file(path);
    match Manifest::parse(&read(&path)?) {
        Ok(manifest) => Ok(manifest),
        Err(_) => {
            validate::run(&path, out)?;
            Err(Failure::Told)
        }
    }
}

/// What rendering is shown with: the same on every machine.
fn context(manifest: &Manifest) -> RenderContext {
    RenderContext {
        node_id: "node".into(),
        data_dir: Path::new("/data").join(manifest.id.as_str()),
        manifest_dir: Path::new("/catalog").join(manifest.id.as_str()),
        facts: Facts::default(),
    }
}
