//! `archy app test`: the ladder, as far as it goes without a node.

use super::{context, manifest_file, read, write};
use crate::{
    fail::Failure,
    out::{Out, Tone},
};
use apps::{
    Manifest,
    ladder::{Outcome, RUNGS, Rung, verdict},
    lint::{Level, lint},
};
use serde_json::json;
use std::path::Path;

pub(super) fn run(file: &Path, golden: Option<&Path>, update: bool, out: &mut Out) -> Result<(), Failure> {
    let file = manifest_file(file);
    let text = read(&file)?;
    let beside = file.with_file_name("golden.json");
    let golden = golden.unwrap_or(&beside);
    let mut outcomes = Vec::new();
    for rung in RUNGS {
        out.live(&format!("L{} {} ...", rung.level, rung.proves))?;
        let outcome = match rung.level {
            0 => parse(&text),
            1 => advice(&text),
            2 => rendered(&text, golden, update)?,
            _ => Outcome::NotRun("needs a running node".into()),
        };
        tell(*rung, &outcome, out)?;
        outcomes.push(outcome);
    }
    let reached = verdict(&outcomes);
    if out.json() {
        let rungs: Vec<_> = RUNGS
            .iter()
            .zip(&outcomes)
            .map(|(rung, outcome)| {
                json!({"level": rung.level, "proves": rung.proves, "outcome": outcome.as_str(), "reason": outcome.reason()})
            })
            .collect();
        out.object(&json!({"file": file, "verdict": reached.map(|rung| rung.level), "rungs": rungs}))?;
    } else {
        match reached {
            Some(rung) => out.line(&format!("verdict: L{}", rung.level))?,
            None => out.line("verdict: none")?,
        }
    }
    let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)));
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn tell(rung: Rung, outcome: &Outcome, out: &mut Out) -> Result<(), Failure> {
    if out.json() {
        return Ok(());
    }
    let tone = match outcome {
        Outcome::Passed => Tone::Good,
        Outcome::Failed(_) => Tone::Bad,
        Outcome::NotRun(_) => Tone::Faint,
    };
    let word = out.paint(tone, outcome.as_str());
    let why = outcome.reason().map_or_else(String::new, |why| format!(" ({why})"));
    out.line(&format!("L{} {word}: {}{why}", rung.level, rung.proves))
}

fn parse(text: &str) -> Outcome {
    match Manifest::parse(text) {
        Ok(_) => Outcome::Passed,
        Err(problems) => Outcome::Failed(format!(
            "{} problems, the first: {}",
            problems.len(),
            problems.first().map(|problem| problem.message.clone()).unwrap_or_default()
        )),
    }
}

fn advice(text: &str) -> Outcome {
    let errors: Vec<String> =
        lint(text).into_iter().filter(|one| one.level == Level::Error).map(|one| one.problem.rule).collect();
    if errors.is_empty() { Outcome::Passed } else { Outcome::Failed(errors.join(", ")) }
}

fn rendered(text: &str, golden: &Path, update: bool) -> Result<Outcome, Failure> {
    let Ok(manifest) = Manifest::parse(text) else {
        return Ok(Outcome::NotRun("the manifest is not valid".into()));
    };
    let rendered = manifest.render(&context(&manifest));
    let now = serde_json::to_string_pretty(&manifest.to_requests(&rendered)).unwrap_or_default() + "\n";
    if update {
        write(golden, &now)?;
        return Ok(Outcome::Passed);
    }
    if !golden.exists() {
        return Ok(Outcome::NotRun(format!("{} is not there; --update writes it", golden.display())));
    }
    let before = read(golden)?;
    let line = before.lines().zip(now.lines()).position(|(before, now)| before != now);
    Ok(match line {
        None if before == now => Outcome::Passed,
        line => {
            let line = line.unwrap_or(before.lines().count().min(now.lines().count())) + 1;
            Outcome::Failed(format!("{} differs from line {line} on", golden.display()))
        }
    })
}
