//! Changes of a manifest's text that mend a finding: one value for another at its place, and not a byte besides, so that
//! comments and order stay.

use crate::yaml::{Node, Value};

/// One value of the text in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Line, beginning at 1.
    pub line: u32,
    /// Column in characters, beginning at 1.
    pub column: u32,
    /// What stands there, without quotes.
    pub old: String,
    /// What is to stand there.
    pub new: String,
}

impl Edit {
    /// An edit of a text; of nothing else is it known how it is written.
    pub(super) fn of(node: &Node, new: &str) -> Option<Self> {
        match &node.value {
            Value::Text(old) if !old.contains('\n') => {
                Some(Self { line: node.at.0, column: node.at.1, old: old.clone(), new: new.to_owned() })
            }
            _ => None,
        }
    }

    /// The bytes of the text that it replaces; `None` where the text is not written plainly there.
    fn range(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let before: usize =
            text.split_inclusive('\n').take(self.line.checked_sub(1)? as usize).map(str::len).sum();
        let line = text.get(before..)?.split('\n').next()?;
        let (column, _) = line.char_indices().nth(self.column.checked_sub(1)? as usize)?;
        let rest = line.get(column..)?;
        let quoted = ["", "'", "\""].map(|quote| format!("{quote}{}{quote}", self.old));
        let stands = quoted.iter().find(|quoted| rest.starts_with(quoted.as_str()))?;
        let start = before + column;
        Some(start..start + stands.len())
    }
}

/// The text with all edits that fit it, and how many those are. Of edits that overlap, the first counts.
pub fn mend(text: &str, edits: &[Edit]) -> (String, usize) {
    let mut places: Vec<(std::ops::Range<usize>, &Edit)> =
        edits.iter().filter_map(|edit| Some((edit.range(text)?, edit))).collect();
    places.sort_by_key(|(range, _)| range.start);
    let (mut mended, mut at, mut count) = (String::new(), 0, 0);
    for (range, edit) in places {
        if range.start < at {
            continue;
        }
        mended.push_str(&text[at..range.start]);
        mended.push_str(&edit.new);
        (at, count) = (range.end, count + 1);
    }
    mended.push_str(&text[at..]);
    (mended, count)
}
