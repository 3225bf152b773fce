//! `archy app diff`.

use super::valid;
use crate::{
    fail::Failure,
    out::{Out, Tone},
};
use apps::diff::{Matter, diff};
use serde_json::json;
use std::path::Path;

pub(super) fn run(old: &Path, new: &Path, out: &mut Out) -> Result<(), Failure> {
    let (old, new) = (valid(old, out)?, valid(new, out)?);
    let changes = diff(&old, &new);
    if out.json() {
        let all: Vec<_> = changes
            .iter()
            .map(|one| json!({"matter": one.matter.as_str(), "field": one.field, "old": one.old, "new": one.new}))
            .collect();
        return out.object(&all);
    }
    let mut matter = None;
    for change in &changes {
        if matter != Some(change.matter) {
            matter = Some(change.matter);
            let tone = if change.matter == Matter::Privileges { Tone::Bad } else { Tone::Busy };
            let head = out.paint(tone, change.matter.as_str());
            out.line(&head)?;
        }
        if let Some(old) = &change.old {
            out.line(&format!("  - {}: {old}", change.field))?;
        }
        if let Some(new) = &change.new {
            out.line(&format!("  + {}: {new}", change.field))?;
        }
    }
    if changes.is_empty() { out.line("nothing changes") } else { Ok(()) }
}
