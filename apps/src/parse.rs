//! From text to a valid manifest, or to everything that is wrong with it.

use crate::{
    Manifest,
    lint::{self, Finding},
    manifest::form::REMEDY,
    policy,
    rule::Rule,
    shape, validate,
    yaml::{self, MAX_PROBLEMS, Node},
};
use protocol::Problem;

/// What is to be said of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The manifest, where it can be read at all. It is not to be used if there are errors.
    pub manifest: Option<Manifest>,
    /// Why it is refused.
    pub errors: Vec<Problem>,
    /// What somebody should look at.
    pub lints: Vec<Finding>,
}

impl Manifest {
    /// Parses and validates a manifest.
    ///
    /// # Errors
    ///
    /// All problems that can be told at once, each with its place and its remedy: first those of the YAML, then those
    /// of keys and types, then those of what the manifest says and of policy.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let report = Self::check(text);
        match report.manifest {
            Some(manifest) if report.errors.is_empty() => Ok(manifest),
            _ => Err(report.errors),
        }
    }

    /// As [`Manifest::parse`], from what a file holds.
    ///
    /// # Errors
    ///
    /// As there, and when it is not UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let message = format!("byte {} is not UTF-8", error.valid_up_to());
            vec![Rule::Utf8.problem("", message, "save the file as UTF-8")]
        })?;
        Self::parse(text)
    }

    /// Says everything that is to be said of a manifest.
    pub fn check(text: &str) -> Report {
        let refused = |errors| Report { manifest: None, errors, lints: Vec::new() };
        let root = match yaml::read(text) {
            Ok(root) => root,
            Err(problems) => return refused(capped(problems)),
        };
        let mut errors = shape::check(&root);
        // Unknown keys hide nothing: what is known can be looked at as well.
        if errors.iter().any(|problem| !hides_nothing(problem)) {
            return refused(capped(placed(errors, &root)));
        }
        match serde_yaml::from_value::<Manifest>(root.clone().into()) {
            Ok(manifest) => {
                errors.extend(validate::validate(&manifest));
                errors.extend(policy::check(&manifest));
                let mut lints = lint::advise(&manifest, &root);
                for lint in &mut lints {
                    place(&mut lint.problem, &root);
                }
                lints.sort_by_key(|lint| (lint.problem.line, lint.problem.column));
                Report { manifest: Some(manifest), errors: capped(placed(errors, &root)), lints }
            }
            Err(error) => {
                // The schema lets nothing through that the types refuse; should it, the words are the types' own.
                let text = error.to_string();
                let (message, remedy) = text.split_once(REMEDY).unwrap_or((&text, "check this value"));
                errors.push(Rule::InvalidValue.problem("", message, remedy));
                refused(capped(placed(errors, &root)))
            }
        }
    }
}

fn hides_nothing(problem: &Problem) -> bool {
    [Rule::UnknownKey, Rule::RawArguments].iter().any(|rule| problem.rule == rule.id())
}

/// The problems with their places, in the order of the text.
fn placed(mut problems: Vec<Problem>, root: &Node) -> Vec<Problem> {
    for problem in &mut problems {
        place(problem, root);
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

fn place(problem: &mut Problem, root: &Node) {
    let (line, column) = root.place(&problem.field);
    (problem.line, problem.column) = (Some(line), Some(column));
}

fn capped(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() >= MAX_PROBLEMS {
        problems.truncate(MAX_PROBLEMS);
        problems.push(Rule::TooMany.problem("", "there may be more", "mend these first"));
    }
    problems
}
