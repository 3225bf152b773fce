//! `archy doctor`: what a node needs of this machine. It looks and changes nothing.

mod checks;

use crate::{
    cli::Cli,
    fail::Failure,
    node,
    out::{Out, Tone},
};
use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, or nobody can tell.
    Warning,
    /// A node does not work like this.
    Failing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) found: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Check {
    pub(crate) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    pub(crate) fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(crate) fn failing(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failing, found: found.into(), remedy: Some(remedy.into()) }
    }
}

pub(crate) fn run(cli: &Cli, out: &mut Out) -> Result<(), Failure> {
    let checks = checks::all(&node::data_dir(cli)?);
    for check in &checks {
        if out.json() {
            out.object(check)?;
            continue;
        }
        let (tone, word) = match check.verdict {
            Verdict::Ok => (Tone::Good, "ok"),
            Verdict::Warning => (Tone::Busy, "look"),
            Verdict::Failing => (Tone::Bad, "failing"),
        };
        let word = out.paint(tone, &format!("{word:7}"));
        out.line(&format!("{word}  {:10}  {}", check.name, check.found))?;
        if let Some(remedy) = &check.remedy {
            out.line(&format!("{:21}{remedy}", ""))?;
        }
    }
    if checks.iter().any(|check| check.verdict == Verdict::Failing) { Err(Failure::Told) } else { Ok(()) }
}
