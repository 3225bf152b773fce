//! The only place that reads YAML: from a text to a tree in which every value knows its place.
//!
//! What YAML allows and a manifest must not have is refused here, before anything is decoded: anchors, aliases, tags,
//! merge keys, directives, duplicate keys, second documents. They are how a few bytes become gigabytes, or how two
//! readers of one file come to differ.

use crate::rule::Rule;
use protocol::Problem;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::{borrow::Cow, collections::HashSet};

mod tree;

pub(crate) use tree::{Entry, Node, Value, push_key};

/// Largest manifest in bytes. Real ones have 2 to 8 KiB; up to 16 KiB the worst text that a YAML parser could be given
/// costs 0.3 s and 46 MiB, at 64 KiB it costs seconds.
pub(crate) const MAX_BYTES: usize = 16 * 1024;
/// Deepest nesting; real manifests reach 8.
const MAX_DEPTH: usize = 24;
/// Longest key in bytes: the path of a field repeats all keys above it.
const MAX_KEY: usize = 128;
/// Most problems that are told: nobody reads more, and each repeats a path.
pub(crate) const MAX_PROBLEMS: usize = 100;
/// Longest value in characters that a message repeats.
const MAX_SHOWN: usize = 60;

/// Line and column, both beginning at 1.
pub(crate) type Place = (u32, u32);

/// Reads a text.
///
/// # Errors
///
/// Everything in it that a manifest must not have.
pub(crate) fn read(text: &str) -> Result<Node, Vec<Problem>> {
    let mut walk = Walk::default();
    if text.len() > MAX_BYTES {
        let message = format!("the manifest has {} bytes, {MAX_BYTES} are allowed", text.len());
        let remedy = "make it shorter; put large files into the image";
        return Err(vec![Rule::Size.problem("", message, remedy)]);
    }
    if text.starts_with('\u{feff}') {
        let message = "the text begins with a byte order mark";
        walk.refuse(Rule::ByteOrderMark, (1, 1), message, "save it as UTF-8 without one");
        return Err(walk.problems);
    }
    if let Some((line, _)) = text
        .lines()
        .enumerate()
        .find(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .filter(|(_, line)| line.starts_with('%'))
    {
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1);
        walk.refuse(Rule::NoDirectives, (line, 1), "directives (%NAME) are not allowed", "remove it");
        return Err(walk.problems);
    }
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let stopped = match next {
            Ok((event, span)) => walk.event(event, span).is_err(),
            Err(error) => {
                walk.syntax(place(*error.marker()), error.info());
                true
            }
        };
        if stopped || walk.problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if walk.problems.is_empty() {
        let empty = Node { at: (1, 1), value: Value::Null };
        Ok(walk.root.unwrap_or(empty))
    } else {
        Err(walk.problems)
    }
}

pub(crate) fn place(marker: Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(marker.line()), number(marker.col()).saturating_add(1))
}

/// The given text, shortened for a message.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Whether nobody would see it, or it would change how its neighbours are seen.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An open collection.
enum Open {
    Map { at: Place, entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, Place)> },
    Seq { at: Place, items: Vec<Node> },
}

#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    root: Option<Node>,
    problems: Vec<Problem>,
    documents: usize,
    anchored: bool,
}

/// Reading on makes no sense.
struct Stop;

impl Walk {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = place(span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document begins here";
                    self.refuse(Rule::OneDocument, at, message, "keep one document per file");
                    return Err(Stop);
                }
            }
            Event::Alias(_) => {
                // With the anchors gone, so are the aliases.
                if !self.anchored {
                    self.alias(at);
                }
                self.put(Node { at, value: Value::Null });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(anchor, tag.is_some(), at);
                self.scalar(&text, style, at);
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(anchor, tag.is_some(), at);
                self.descend(Open::Seq { at, items: Vec::new() }, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(anchor, tag.is_some(), at);
                let (entries, keys) = (Vec::new(), HashSet::new());
                self.descend(Open::Map { at, entries, keys, key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Map { at, entries, .. }) => self.put(Node { at, value: Value::Map(entries) }),
                Some(Open::Seq { at, items }) => self.put(Node { at, value: Value::Seq(items) }),
                None => {}
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn refuse(&mut self, rule: Rule, at: Place, message: &str, remedy: &str) {
        let mut problem = rule.problem(&self.path(), message, remedy);
        (problem.line, problem.column) = (Some(at.0), Some(at.1));
        self.problems.push(problem);
    }

    fn alias(&mut self, at: Place) {
        self.refuse(Rule::NoAliases, at, "aliases (*name) are not allowed", "write the value out");
    }

    fn too_deep(&mut self, at: Place) {
        let remedy = "a manifest needs no more than 24 levels";
        self.refuse(Rule::Depth, at, "this is nested too deeply", remedy);
    }

    fn syntax(&mut self, at: Place, why: &str) {
        // What a refused anchor or tag leads to needs no telling.
        if !self.problems.is_empty() {
            return;
        }
        if why.contains("unknown anchor") {
            return self.alias(at);
        }
        if why.contains("recursion limit") {
            return self.too_deep(at);
        }
        let message = format!("this is not YAML: {why}");
        let mut problem = Rule::Syntax.problem("", message, "mend the YAML at this place");
        (problem.line, problem.column) = (Some(at.0), Some(at.1));
        self.problems.push(problem);
    }

    /// The path of what comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Map { key: Some((key, _)), .. } => push_key(&mut path, &shown(key)),
                Open::Map { .. } => {}
                Open::Seq { items, .. } => path.push_str(&format!("[{}]", items.len())),
            }
        }
        path
    }

    fn plain(&mut self, anchor: usize, tagged: bool, at: Place) {
        if anchor != 0 {
            self.anchored = true;
            let remedy = "write the value out where it is used";
            self.refuse(Rule::NoAnchors, at, "anchors (&name) are not allowed", remedy);
        }
        if tagged {
            self.refuse(Rule::NoTags, at, "tags (!name) are not allowed", "remove the tag");
        }
    }

    fn descend(&mut self, open: Open, at: Place) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.too_deep(at);
            return Err(Stop);
        }
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            // A collection as a key: its value is read under no name.
            *key = Some((String::new(), at));
            let message = "a key must be a plain text";
            self.refuse(Rule::PlainKeys, at, message, "use a name as the key");
            return Err(Stop);
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Place) {
        if text.contains(is_hidden) {
            let message = "this text holds a character that cannot be seen";
            self.refuse(Rule::ControlCharacter, at, message, "remove it, or write the text anew");
        }
        let refused = match self.open.last_mut() {
            Some(Open::Map { keys, key: key @ None, .. }) => {
                *key = Some((text.to_owned(), at));
                if text.len() > MAX_KEY {
                    Some((Rule::KeyLength, "this key is too long", "use at most 128 bytes"))
                } else if text == "<<" {
                    Some((Rule::NoMergeKeys, "merge keys (<<) are not allowed", "write the values out"))
                } else if text.is_empty() {
                    Some((Rule::PlainKeys, "a key must be a plain text", "use a name as the key"))
                } else if !keys.insert(text.to_owned()) {
                    Some((Rule::DuplicateKey, "this key stands twice", "keep one of the two"))
                } else {
                    None
                }
            }
            _ => return self.put(Node { at, value: Value::scalar(text, style) }),
        };
        if let Some((rule, message, remedy)) = refused {
            self.refuse(rule, at, message, remedy);
        }
    }

    /// Takes one node as the next value of the innermost collection.
    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, node }),
                None => *key = Some((String::new(), node.at)),
            },
        }
    }
}
