//! Compose files of others, and of the stores Umbrel, CasaOS and Runtipi, as manifests.
//!
//! Everything in the file is translated, changed, dropped or refused, and each but the first is told with its reason.
//! If one thing is refused, there is no manifest: what would run then would be another app than the one that was meant.

mod convention;
mod key;
mod mount;
mod page;
mod port;
mod read;
mod service;
mod top;
mod variable;

pub use convention::Convention;

use crate::{Manifest, yaml::Place};
use serde_yaml::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What came of a part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It means something a little different now.
    Changed,
    /// It is left out, and the app does without.
    Dropped,
    /// The app cannot be had without it, or not with it.
    Refused,
}

impl Fate {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }
}

/// What came of a part of the file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What came of it.
    pub fate: Fate,
    /// Path of the field in the file that was read; of the manifest for what its own rules refuse.
    pub field: String,
    /// Line in the file that was read, where it stands there.
    pub line: Option<u32>,
    /// Why, and the way out where there is one.
    pub why: String,
}

/// What is read.
#[derive(Debug, Clone, Default)]
pub struct Source<'a> {
    /// The compose file, YAML or JSON.
    pub text: &'a str,
    /// Files beside it by their names: `.env`, environment files, `umbrel-app.yml`, `config.json`.
    pub beside: BTreeMap<String, String>,
    /// Variables over those of `.env`.
    pub variables: BTreeMap<String, String>,
    /// The app's id where the file does not say it, for instance the name of its folder.
    pub id: &'a str,
}

/// What came of a file.
#[derive(Debug, Clone)]
pub struct Import {
    /// Whose conventions it follows.
    pub convention: Convention,
    /// The manifest, unless something was refused.
    pub manifest: Option<Manifest>,
    /// What is not as it was, in the order of the file.
    pub notes: Vec<Note>,
    /// Number of keys that mean the same now.
    pub translated: usize,
}

/// Reads a compose file as a manifest.
pub fn import(source: &Source<'_>) -> Import {
    let mut import =
        Import { convention: Convention::Compose, manifest: None, notes: Vec::new(), translated: 0 };
    let root = match read::read(source.text) {
        Ok(root) => root,
        Err((at, why)) => {
            import.notes.push(Note {
                fate: Fate::Refused,
                field: String::new(),
                line: at.map(|at: Place| at.0),
                why,
            });
            return import;
        }
    };
    import.convention = convention::detect(&root, source);
    let mut work = Work::new(source, import.convention);
    let place = |field: &str| Some(root.place(field).0).filter(|_| !field.is_empty());
    let mut value: Value = root.clone().into();
    work.interpolate(&mut value);
    let whole = match value {
        Value::Mapping(whole) => work.top(whole),
        _ => {
            work.refuse("", "this is no compose file: it has no keys");
            Mapping::new()
        }
    };
    import.translated = work.translated;
    import.notes = work.notes;
    if !import.notes.iter().any(|note| note.fate == Fate::Refused) {
        let text = serde_yaml::to_string(&whole).unwrap_or_default();
        let report = Manifest::check(&text);
        // The rules of manifests have the last word.
        import.notes.extend(report.errors.iter().map(|problem| Note {
            fate: Fate::Refused,
            field: problem.field.clone(),
            line: None,
            why: format!("{}; {}", problem.message, problem.remedy),
        }));
        import.manifest = report.manifest.filter(|_| report.errors.is_empty());
    }
    for note in &mut import.notes {
        note.line = note.line.or_else(|| place(&note.field));
    }
    import.notes.sort_by_key(|note| (note.line, note.fate));
    import
}

struct Work<'a> {
    source: &'a Source<'a>,
    convention: Convention,
    variables: BTreeMap<String, String>,
    notes: Vec<Note>,
    translated: usize,
    /// Names of services as they stand, and as they are called now.
    renamed: BTreeMap<String, String>,
    /// What is declared at the top of the manifest, found on the way.
    secrets: BTreeMap<String, Value>,
    configs: BTreeMap<String, Value>,
    volumes: BTreeSet<String>,
    networks: BTreeMap<String, Value>,
    /// Whether the file is an export of ours.
    ours: bool,
    /// Bytes that variables have become.
    filled: usize,
}

impl<'a> Work<'a> {
    fn new(source: &'a Source<'a>, convention: Convention) -> Self {
        Self {
            source,
            convention,
            variables: variable::known(source, convention),
            notes: Vec::new(),
            translated: 0,
            renamed: BTreeMap::new(),
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            volumes: BTreeSet::new(),
            networks: BTreeMap::new(),
            ours: source.text.contains("\nx-archipelago:"),
            filled: 0,
        }
    }

    fn note(&mut self, fate: Fate, field: &str, why: impl Into<String>) {
        // Nobody reads more, and each repeats a path.
        if self.notes.len() < 200 {
            self.notes.push(Note { fate, field: field.to_owned(), line: None, why: why.into() });
        }
    }

    fn changed(&mut self, field: &str, why: impl Into<String>) {
        self.note(Fate::Changed, field, why);
    }

    fn dropped(&mut self, field: &str, why: impl Into<String>) {
        self.note(Fate::Dropped, field, why);
    }

    fn refuse(&mut self, field: &str, why: impl Into<String>) {
        self.note(Fate::Refused, field, why);
    }
}

/// A name as a manifest has them, and whether it had to be changed.
fn named(text: &str) -> (String, bool) {
    let kept: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let name = kept.trim_matches('-').to_owned();
    let changed = name != text;
    (name, changed)
}

/// A scalar as text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// One text, or a list of them.
fn list_of(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(list) => list.iter().filter_map(text_of).collect(),
        other => text_of(other).into_iter().collect(),
    }
}

/// `NAME=text` in a list, or a mapping; a name without a text has none.
fn pairs_of(value: &Value) -> Vec<(String, Option<String>)> {
    match value {
        Value::Mapping(map) => {
            map.iter().filter_map(|(key, value)| Some((text_of(key)?, text_of(value)))).collect()
        }
        Value::Sequence(list) => list
            .iter()
            .filter_map(text_of)
            .map(|one| match one.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (one, None),
            })
            .collect(),
        _ => Vec::new(),
    }
}
