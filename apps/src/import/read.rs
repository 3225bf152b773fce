//! Foreign YAML: with anchors, aliases and merge keys, which compose files live on, and within a budget, as a few bytes
//! could become gigabytes otherwise.

use crate::yaml::{Entry, Node, Place, Value, place};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::{HashMap, HashSet};

/// Largest file in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most values, each alias counted with all that it stands for.
const MAX_NODES: usize = 5_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 16;
/// Most bytes of all values, each alias counted with all that it stands for.
const MAX_SCALARS: usize = 256 * 1024;

/// Why a file cannot be read, and where.
pub(super) type Unreadable = (Option<Place>, String);

pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        return Err((None, format!("the file has {} bytes, {MAX_BYTES} are allowed", text.len())));
    }
    let mut build = Build::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => build.event(event, place(span.start))?,
            Err(error) => {
                return Err((Some(place(*error.marker())), format!("this is not YAML: {}", error.info())));
            }
        }
    }
    build.root.ok_or_else(|| (None, "the file is empty".into()))
}

enum Open {
    Map { at: Place, anchor: usize, entries: Vec<Entry>, key: Option<(String, Place)> },
    Seq { at: Place, anchor: usize, items: Vec<Node> },
}

#[derive(Default)]
struct Build {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
}

/// Number of values, bytes of texts and levels.
fn measure(node: &Node) -> (usize, usize, usize) {
    let (mut nodes, mut bytes, mut depth) = (0, 0, 0);
    let mut open = vec![(node, 1)];
    while let Some((node, level)) = open.pop() {
        nodes += 1;
        depth = depth.max(level);
        match &node.value {
            Value::Text(text) => bytes += text.len(),
            Value::Seq(items) => open.extend(items.iter().map(|item| (item, level + 1))),
            Value::Map(entries) => {
                bytes += entries.iter().map(|entry| entry.key.len()).sum::<usize>();
                open.extend(entries.iter().map(|entry| (&entry.node, level + 1)));
            }
            _ => {}
        }
    }
    (nodes, bytes, depth)
}

impl Build {
    fn event(&mut self, event: Event<'_>, at: Place) -> Result<(), Unreadable> {
        let wrong = |why: &str| Err((Some(at), why.to_owned()));
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return wrong("a second document begins here; give one per file");
                }
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return wrong("this alias stands within what it names");
                };
                let (nodes, bytes, depth) = measure(&node);
                if depth + self.open.len() > MAX_DEPTH {
                    return wrong("this is nested too deeply");
                }
                self.spend(nodes, bytes, at)?;
                self.put(node)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return wrong("tags (!name) are not read: they change what stands behind them");
                }
                self.spend(1, text.len(), at)?;
                if let Some(Open::Map { key: key @ None, entries, .. }) = self.open.last_mut() {
                    if entries.iter().any(|entry| entry.key == text) && text != "<<" {
                        return wrong("this key stands twice");
                    }
                    *key = Some((text.into_owned(), at));
                    return Ok(());
                }
                let node = Node { at, value: Value::scalar(&text, style) };
                let node = if style == ScalarStyle::Plain {
                    node
                } else {
                    Node { at, value: Value::Text(text.into_owned()) }
                };
                self.keep(anchor, &node);
                self.put(node)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.enter(tag.is_some(), at)?;
                self.open.push(Open::Seq { at, anchor, items: Vec::new() });
            }
            Event::MappingStart(anchor, tag) => {
                self.enter(tag.is_some(), at)?;
                self.open.push(Open::Map { at, anchor, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, node) = match self.open.pop() {
                    Some(Open::Map { at, anchor, entries, .. }) => {
                        (anchor, Node { at, value: Value::Map(self.merged(entries)?) })
                    }
                    Some(Open::Seq { at, anchor, items }) => (anchor, Node { at, value: Value::Seq(items) }),
                    None => return Ok(()),
                };
                self.keep(anchor, &node);
                self.put(node)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, bytes: usize, at: Place) -> Result<(), Unreadable> {
        (self.nodes, self.bytes) = (self.nodes + nodes, self.bytes + bytes);
        if self.nodes > MAX_NODES || self.bytes > MAX_SCALARS {
            return Err((Some(at), "the file becomes too large when its aliases are written out".into()));
        }
        Ok(())
    }

    fn enter(&mut self, tagged: bool, at: Place) -> Result<(), Unreadable> {
        if tagged {
            return Err((Some(at), "tags (!name) are not read: they change what stands behind them".into()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((Some(at), "this is nested too deeply".into()));
        }
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            return Err((Some(at), "a key must be a plain text".into()));
        }
        self.spend(1, 0, at)
    }

    fn keep(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn put(&mut self, node: Node) -> Result<(), Unreadable> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, node }),
                None => return Err((Some(node.at), "a key must be a plain text".into())),
            },
        }
        Ok(())
    }

    /// The entries with what `<<` brings in: what stands there itself counts more.
    fn merged(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, Unreadable> {
        if !entries.iter().any(|entry| entry.key == "<<") {
            return Ok(entries);
        }
        let (merge, mut own): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.key == "<<");
        let mut seen: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
        for entry in merge {
            let at = entry.at;
            let sources = match entry.node.value {
                Value::Seq(items) => items,
                other => vec![Node { at, value: other }],
            };
            for source in sources {
                let Value::Map(entries) = source.value else {
                    return Err((Some(at), "a merge key (<<) needs a mapping".into()));
                };
                for entry in entries {
                    if seen.insert(entry.key.clone()) {
                        own.push(entry);
                    }
                }
            }
        }
        Ok(own)
    }
}
