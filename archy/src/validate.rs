//! `archy app validate`: everything that is wrong with a manifest, with place and remedy. Needs no node.

use crate::{
    fail::Failure,
    out::{Out, Tone},
};
use apps::Manifest;
use protocol::Problem;
use std::{fs, path::Path};

pub(crate) fn run(file: &Path, out: &mut Out) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::Unreadable(file.to_owned(), error))?;
    let problems = Manifest::parse(&text).err().unwrap_or_default();
    if out.json() {
        out.object(&problems)?;
    } else if problems.is_empty() {
        let valid = out.paint(Tone::Good, "valid");
        out.line(&format!("{}: {valid}", file.display()))?;
    } else {
        for problem in &problems {
            out.line(&line(file, problem))?;
            let remedy = out.paint(Tone::Faint, &format!("  remedy: {}", problem.remedy));
            out.line(&remedy)?;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// `FILE:line:col: field: message [rule]`, which editors can jump to.
pub(crate) fn line(file: &Path, problem: &Problem) -> String {
    let mut text = file.display().to_string();
    if let Some(line) = problem.line {
        text = format!("{text}:{line}:{}", problem.column.unwrap_or(1));
    }
    if !problem.field.is_empty() {
        text = format!("{text}: {}", problem.field);
    }
    format!("{text}: {} [{}]", problem.message, problem.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::Shared;

    fn validate(text: &str, json: bool) -> (Result<(), Failure>, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.yml");
        fs::write(&file, text).unwrap();
        let shared = Shared::default();
        let result = run(&file, &mut shared.out(json, false));
        (result, shared.text().replace(dir.path().to_str().unwrap(), "DIR"))
    }

    fn catalog() -> Vec<String> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/catalog");
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().join("manifest.yml"));
        entries.filter_map(|file| fs::read_to_string(file).ok()).collect()
    }

    #[test]
    fn the_catalog_is_valid() {
        let all = catalog();
        assert!(!all.is_empty());
        for text in all {
            let (result, printed) = validate(&text, false);
            assert!(result.is_ok(), "{printed}");
            assert_eq!(printed, "DIR/m.yml: valid\n");
        }
    }

    #[test]
    fn a_problem_has_file_place_field_rule_and_remedy() {
        let text = format!("{}\nnot_a_key: 1\n", catalog().remove(0));
        let at = text.lines().count();
        let (result, printed) = validate(&text, false);
        assert!(matches!(result, Err(Failure::Told)));
        let mut lines = printed.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with(&format!("DIR/m.yml:{at}:1: not_a_key: ")), "{first}");
        assert!(first.ends_with("[unknown_key]"), "{first}");
        assert!(lines.next().unwrap().starts_with("  remedy: "), "{printed}");
        let (_, json) = validate(&text, true);
        let problems: Vec<Problem> = serde_json::from_str(&json).unwrap();
        assert_eq!(problems[0].rule, "unknown_key");
    }

    #[test]
    fn without_a_place_there_is_none_in_the_line() {
        let problem = Problem {
            rule: "r".into(),
            field: String::new(),
            line: None,
            column: None,
            message: "m".into(),
            remedy: String::new(),
        };
        assert_eq!(line(Path::new("f"), &problem), "f: m [r]");
    }

    #[test]
    fn a_missing_file_is_unreadable() {
        let failure = run(Path::new("/nonexistent/m.yml"), &mut Shared::default().out(false, false));
        assert!(matches!(failure, Err(Failure::Unreadable(..))));
    }
}
