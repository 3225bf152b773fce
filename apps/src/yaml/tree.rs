//! The tree that a text becomes.

use super::Place;
use saphyr_parser::ScalarStyle;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) value: Value,
}

/// A value. Scalars are resolved as YAML 1.2 does, with decimal numbers only: `no`, `22:22` and `0x1f` are texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order of the text, with different keys.
    Map(Vec<Entry>),
}

/// A key of a mapping and what stands under it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) at: Place,
    /// The value.
    pub(crate) node: Node,
}

impl Value {
    pub(crate) fn scalar(text: &str, style: ScalarStyle) -> Self {
        if style != ScalarStyle::Plain {
            return Self::Text(text.to_owned());
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let decimal = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
            && !(digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ if decimal => match (text.parse(), text.parse::<f64>()) {
                (Ok(number), _) => Self::Int(number),
                (_, Ok(number)) if number.is_finite() => Self::Float(number),
                _ => Self::Text(text.to_owned()),
            },
            _ => Self::Text(text.to_owned()),
        }
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The value under the path of a field, if it stands in the text.
    pub(crate) fn value_at(&self, field: &str) -> Option<&Self> {
        let (_, node, rest) = self.find(field);
        rest.is_empty().then_some(node)
    }

    /// All texts within it.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut open = vec![self];
        let mut texts = Vec::new();
        while let Some(node) = open.pop() {
            match &node.value {
                Value::Text(text) => texts.push(text.as_str()),
                Value::Seq(items) => open.extend(items),
                Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.node)),
                _ => {}
            }
        }
        texts
    }

    /// The place of a field, or of the nearest one above it that stands in the text.
    pub(crate) fn place(&self, field: &str) -> Place {
        self.find(field).0
    }

    /// How far a path leads: the place, the value there, and what is left of the path.
    fn find<'n, 'f>(&'n self, field: &'f str) -> (Place, &'n Self, &'f str) {
        let (mut at, mut node, mut rest) = (self.at, self, field);
        loop {
            let next = match &node.value {
                Value::Seq(items) => rest.strip_prefix('[').and_then(|rest| {
                    let (index, rest) = rest.split_once(']')?;
                    let item = items.get(index.parse::<usize>().ok()?)?;
                    Some((item.at, item, rest))
                }),
                Value::Map(entries) => {
                    let rest = rest.strip_prefix('.').unwrap_or(rest);
                    // A key may hold a dot itself: the longest one that fits is meant.
                    let fits = entries.iter().filter_map(|entry| {
                        let rest = rest.strip_prefix(entry.key.as_str())?;
                        let whole = rest.is_empty() || rest.starts_with(['.', '[']);
                        whole.then_some((entry.at, &entry.node, rest))
                    });
                    fits.min_by_key(|(_, _, rest)| rest.len())
                }
                _ => None,
            };
            match next {
                Some(found) => (at, node, rest) = found,
                None => return (at, node, rest),
            }
        }
    }
}

/// Appends a key to the path of a field.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

impl From<Node> for serde_yaml::Value {
    fn from(node: Node) -> Self {
        match node.value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(number) => Self::Number(number.into()),
            Value::Float(number) => Self::Number(number.into()),
            Value::Text(text) => Self::String(text),
            Value::Seq(items) => Self::Sequence(items.into_iter().map(Self::from).collect()),
            Value::Map(entries) => {
                let pairs = entries.into_iter().map(|entry| (Self::String(entry.key), entry.node.into()));
                Self::Mapping(pairs.collect())
            }
        }
    }
}
