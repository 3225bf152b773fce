//! Findings as SARIF 2.1.0, which code review reads.

use super::lint::Linted;
use apps::lint::About;
use serde_json::{Value, json};

pub(super) fn log(files: &[Linted]) -> Value {
    let rules: Vec<Value> = About::all()
        .map(|about| {
            json!({
                "id": about.rule.id(),
                "shortDescription": {"text": about.mend},
                "fullDescription": {"text": about.why},
                "defaultConfiguration": {"level": about.level.as_str()},
            })
        })
        .collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|file| file.found.iter().map(move |one| (file, one)))
        .map(|(file, one)| {
            let problem = &one.problem;
            let mut place = json!({"artifactLocation": {"uri": file.file.to_string_lossy()}});
            if let Some(line) = problem.line {
                place["region"] = json!({"startLine": line, "startColumn": problem.column.unwrap_or(1)});
            }
            let mut result = json!({
                "ruleId": problem.rule,
                "level": one.level.as_str(),
                "message": {"text": format!("{}: {}; {}", problem.field, problem.message, problem.remedy)},
                "locations": [{"physicalLocation": place}],
            });
            if let Some(edit) = &one.fix {
                let end =
                    u32::try_from(edit.old.chars().count()).unwrap_or(u32::MAX).saturating_add(edit.column);
                let region = json!({"startLine": edit.line, "startColumn": edit.column, "endColumn": end});
                let change = json!({"deletedRegion": region, "insertedContent": {"text": edit.new}});
                let artifact = json!({"uri": file.file.to_string_lossy()});
                result["fixes"] = json!([{
                    "description": {"text": problem.remedy},
                    "artifactChanges": [{"artifactLocation": artifact, "replacements": [change]}],
                }]);
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "archy", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}
