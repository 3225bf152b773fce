//! The diagonal: each file of `tests/lint/` is named after the one rule that it breaks, with more behind a dot where
//! there is more than one; a folder holds several apps of which one does not fit the others.

use crate::{
    Area, Manifest, Rule, check_catalog,
    lint::{About, Edit, Finding, Level, lint, mend},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn corpus() -> Vec<(String, Vec<String>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let one = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
        let texts = match path.is_dir() {
            true => entries(&path).into_iter().map(|app| read(app.join("manifest.yml"))).collect(),
            false => vec![read(path)],
        };
        (name, texts)
    };
    entries(&dir).into_iter().map(one).collect()
}

/// The rules that a set of manifests breaks, alone and together.
fn broken(texts: &[String]) -> BTreeSet<String> {
    let mut rules: BTreeSet<String> =
        texts.iter().flat_map(|text| lint(text)).map(|one| one.problem.rule).collect();
    let manifests: Vec<Manifest> = texts.iter().filter_map(|text| Manifest::check(text).manifest).collect();
    if texts.len() > 1 {
        rules.extend(check_catalog(&manifests).into_iter().map(|(_, problem)| problem.rule));
    }
    rules
}

#[test]
fn exactly_the_diagonal_fires() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, texts) in corpus() {
        let expected: BTreeSet<String> = (name != "clean").then(|| name.clone()).into_iter().collect();
        let told = broken(&texts);
        if told != expected {
            wrong.push(format!("{name}: {told:?}"));
        }
        seen.insert(name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.contains("clean"));
    let advice = Rule::ALL.iter().filter(|rule| matches!(rule.area(), Area::Lint | Area::Catalog));
    let named =
        ["privileged_port", "probe_port", "alias_is_name", "interface", "grace", "cycle", "image_missing"];
    for rule in advice.map(|rule| rule.id()).chain(named) {
        assert!(seen.contains(rule), "no file breaks {rule}");
    }
}

#[test]
fn each_rule_says_why_and_how_to_mend_it() {
    let all: Vec<About> = About::all().collect();
    assert!(all.len() >= 20, "{}", all.len());
    for about in all {
        assert!(about.why.len() > 30 && about.why.ends_with('.'), "{:?}", about.rule);
        assert!(!about.mend.is_empty() && !about.mend.ends_with('.'), "{:?}", about.rule);
    }
}

#[test]
fn a_finding_has_its_place() {
    for (name, texts) in corpus() {
        for Finding { problem, .. } in texts.iter().flat_map(|text| lint(text)) {
            assert!(problem.line.is_some() && problem.column.is_some(), "{name}: {problem}");
        }
    }
    let text = corpus().into_iter().find(|(name, _)| name == "short_grace").unwrap().1.remove(0);
    let found = &lint(&text)[0];
    let line = text.lines().position(|line| line.contains("5s")).unwrap() + 1;
    assert_eq!((found.problem.line, found.problem.column), (Some(line as u32), Some(5)));
}

#[test]
fn a_fix_mends_its_finding_and_changes_nothing_else() {
    let mut mended = BTreeSet::new();
    for (name, texts) in corpus().into_iter().filter(|(_, texts)| texts.len() == 1) {
        let text = &texts[0];
        let edits: Vec<Edit> = lint(text).into_iter().filter_map(|one| one.fix).collect();
        if edits.is_empty() {
            continue;
        }
        let (after, count) = mend(text, &edits);
        assert_eq!(count, edits.len(), "{name}");
        assert_eq!(broken(std::slice::from_ref(&after)), BTreeSet::new(), "{name}: {after}");
        let changed = text.lines().zip(after.lines()).filter(|(old, new)| old != new);
        assert_eq!(changed.count(), 1, "{name}");
        let comments = |text: &str| text.matches(" #").count();
        assert_eq!(comments(text), comments(&after), "{name}");
        mended.insert(name);
    }
    let promised: BTreeSet<String> =
        About::all().filter(|about| about.fix).map(|about| about.rule.id().to_owned()).collect();
    assert_eq!(mended, promised);
}

#[test]
fn an_allowance_silences_its_rule_and_no_other() {
    let (_, texts) = corpus().into_iter().find(|(name, _)| name == "shared_volume").unwrap();
    let allowed = format!("{}x-lint-allow: {{shared_volume: one writes and one reads}}\n", texts[0]);
    assert_eq!(lint(&allowed), []);
    let silent = format!("{}x-lint-allow: {{shared_volume: ''}}\n", texts[0]);
    let told = broken(&[silent]);
    assert_eq!(told.into_iter().collect::<Vec<_>>(), ["allowance", "shared_volume"]);
    // What refuses a manifest cannot be allowed.
    let refused =
        texts[0].replace("published: 8081", "published: 81") + "x-lint-allow: {privileged_port: please}\n";
    assert!(broken(&[refused]).contains("privileged_port"));
}

#[test]
fn an_edit_that_does_not_fit_the_text_is_left_out() {
    let edit = |line, column, old: &str| Edit { line, column, old: old.into(), new: "x".into() };
    let text = "a: b\nc: 'd' # e\n";
    for bad in [
        edit(0, 1, "a"),
        edit(1, 0, "a"),
        edit(9, 1, "a"),
        edit(1, 9, "b"),
        edit(1, 4, "c"),
        edit(1, 4, "bb"),
    ] {
        assert_eq!(mend(text, &[bad]), (text.to_owned(), 0));
    }
    let (after, count) = mend(text, &[edit(2, 4, "d"), edit(1, 4, "b"), edit(1, 4, "b")]);
    assert_eq!((after.as_str(), count), ("a: x\nc: x # e\n", 2));
    assert!(lint("a: [").iter().all(|one| one.level == Level::Error));
}
