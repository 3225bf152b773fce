//! Compose files of our own writing, one feature each: each is translated or refused, and beside it stands what is said
//! of it (`NAME.expect`). Files beside a compose file are in a folder of its name.

use super::export::{catalog, differences, normal};
use crate::{
    Manifest,
    import::{Fate, Import, Source, import},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

/// Name, text, and files beside.
fn corpus() -> Vec<(String, String, BTreeMap<String, String>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let beside = folder().join(&name);
        let files = fs::read_dir(beside).into_iter().flatten().map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        });
        all.push((name, fs::read_to_string(&path).unwrap(), files.collect()));
    }
    all.sort();
    all
}

fn read(text: &str, beside: &BTreeMap<String, String>) -> Import {
    import(&Source { text, beside: beside.clone(), id: "notes", ..Source::default() })
}

fn expectation(import: &Import) -> String {
    let verdict = if import.manifest.is_some() { "translated" } else { "refused" };
    let mut text =
        format!("{} {verdict}, {} keys as they are\n", import.convention.as_str(), import.translated);
    for note in &import.notes {
        let line = note.line.map_or_else(String::new, |line| format!("{line}: "));
        text.push_str(&format!("{} {line}{}: {}\n", note.fate.as_str(), note.field, note.why));
    }
    if let Some(manifest) = &import.manifest {
        text.push_str("---\n");
        text.push_str(&manifest.to_yaml());
    }
    text
}

#[test]
fn every_file_is_translated_or_refused_as_it_was() {
    let all = corpus();
    assert!(all.len() >= 100, "{}", all.len());
    let (mut drifted, mut translated) = (Vec::new(), 0);
    for (name, text, beside) in &all {
        let result = read(text, beside);
        let refused = result.notes.iter().any(|note| note.fate == Fate::Refused);
        assert_eq!(result.manifest.is_none(), refused, "{name}: one of the two, and never neither");
        assert!(result.notes.iter().all(|note| !note.why.is_empty()), "{name}");
        translated += usize::from(result.manifest.is_some());
        let file = folder().join(format!("{name}.expect"));
        let expected = expectation(&result);
        if fs::read_to_string(&file).ok().as_deref() != Some(&expected) {
            fs::write(&file, &expected).unwrap();
            drifted.push(name.clone());
        }
    }
    assert!(translated >= 60 && all.len() - translated >= 40, "{translated} of {}", all.len());
    assert!(
        drifted.is_empty(),
        "tests/import was not current and has been written anew: {drifted:?}; look at the diff"
    );
}

#[test]
fn a_translated_file_is_a_valid_manifest_as_text_too() {
    for (name, text, beside) in corpus() {
        let Some(manifest) = read(&text, &beside).manifest else { continue };
        let again = Manifest::parse(&manifest.to_yaml());
        assert_eq!(again.as_ref(), Ok(&manifest), "{name}");
    }
}

#[test]
fn an_export_is_imported_as_the_same_app() {
    let mut apps = catalog();
    apps.retain(|(_, manifest)| !manifest.services.is_empty());
    assert!(apps.len() > 35);
    for (id, manifest) in apps {
        let exported = manifest.to_compose();
        let result = import(&Source { text: &exported.text, id: id.as_str(), ..Source::default() });
        let again = result.manifest.unwrap_or_else(|| panic!("{id}: {:#?}\n{}", result.notes, exported.text));
        assert_eq!(differences(&normal(&again), &normal(&manifest)), [""; 0], "{id}");
        assert_eq!(again.to_compose(), exported, "{id}: the second export is the first");
    }
}

/// What compose files are made of.
const TOKENS: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "|\n",
    "&a ",
    "*a",
    "!reset ",
    "<<: *a",
    "---\n",
    "services:",
    "web:",
    "image: a:1",
    "ports:",
    "\"80-90:80-90\"",
    "volumes:",
    "./a:/b",
    "environment:",
    "${A:-${B:-c}}",
    "$",
    "$$",
    "${",
    "depends_on:",
    "networks:",
    "extends:",
    "x-casaos:",
    "app_proxy:",
    "deploy:",
    "~",
    "1e9",
    "é",
    "\t",
    "{{",
    "}}",
    "build: .",
];

fn sane(text: &str) -> Result<(), TestCaseError> {
    let result = read(text, &BTreeMap::new());
    let refused = result.notes.iter().any(|note| note.fate == Fate::Refused);
    prop_assert_eq!(result.manifest.is_none(), refused);
    prop_assert!(result.notes.len() <= 400);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_tokens_make_the_import_panic(tokens in vec(select(TOKENS), 0..60)) {
        sane(&tokens.concat())?;
    }

    #[test]
    fn no_change_of_a_file_makes_the_import_panic(
        at in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), select(TOKENS)), 1..6),
    ) {
        let all = corpus();
        let mut text = all[at.index(all.len())].1.clone();
        for (place, token) in changes {
            let mut place = place.index(text.len() + 1);
            while !text.is_char_boundary(place) {
                place -= 1;
            }
            text.insert_str(place, token);
        }
        sane(&text)?;
    }
}
