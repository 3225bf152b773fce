//! Hostile manifests: each file of `tests/hostile/` is named after the rule that has to refuse it, with more behind a
//! dot where a rule has more than one file. It has to be refused by that rule and by no other.

use crate::{Area, Manifest, Rule, Severity};
use protocol::Problem;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rules that no single manifest can break: they need a folder around it.
const ELSEWHERE: &[Rule] = &[Rule::FolderName];

fn corpus() -> Vec<(String, PathBuf)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut all: Vec<_> = files.map(|path| (name(&path), path)).collect();
    all.sort();
    all
}

fn problems(path: &Path) -> Vec<Problem> {
    Manifest::parse_bytes(&fs::read(path).unwrap()).err().unwrap_or_default()
}

#[test]
fn each_is_refused_by_its_own_rule_and_by_no_other() {
    let all = corpus();
    assert!(all.len() >= 80, "{} files", all.len());
    let mut wrong = Vec::new();
    for (name, path) in &all {
        let rule = name.split('.').next().unwrap();
        assert!(Rule::by_id(rule).is_some(), "{name}: there is no such rule");
        let told: BTreeSet<String> = problems(path).into_iter().map(|problem| problem.rule).collect();
        // That there is more than is told comes with what is told.
        let alone = told.iter().all(|one| one == rule) || rule == Rule::TooMany.id();
        if !told.contains(rule) || !alone {
            wrong.push(format!("{name}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_that_refuses_a_manifest_has_a_file() {
    let names: BTreeSet<String> =
        corpus().into_iter().map(|(name, _)| name.split('.').next().unwrap().to_owned()).collect();
    let refuses = |rule: &&Rule| rule.severity() == Severity::Error && rule.area() != Area::Catalog;
    for rule in Rule::ALL.iter().filter(refuses).filter(|rule| !ELSEWHERE.contains(rule)) {
        assert!(names.contains(rule.id()), "no file breaks {}", rule.id());
    }
}

#[test]
fn each_problem_says_where_what_and_what_to_do() {
    for (name, path) in corpus() {
        let lines = fs::read(&path).unwrap().iter().filter(|byte| **byte == b'\n').count() + 1;
        let whole = ["size", "utf8", "too_many"].map(|rule| name.starts_with(rule));
        for problem in problems(&path) {
            assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{name}: {problem}");
            assert!(problem.message.len() < 400, "{name}: {problem}");
            let placed = problem.line.is_some_and(|line| line >= 1 && line as usize <= lines + 1);
            assert!(placed || whole.contains(&true), "{name}: {problem:?}");
            // Words of the machinery below are none for people.
            for jargon in ["serde", "expected", "untagged", "variant", "deserialize", "struct", "Some("] {
                assert!(!problem.message.contains(jargon), "{name}: {problem}");
            }
        }
    }
}
