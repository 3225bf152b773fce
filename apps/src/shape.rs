//! Keys and types: a manifest's tree against the schema. Everything that is wrong is told, not only the first.

mod notation;
mod suggest;

use crate::{
    rule::Rule,
    schema::{OWN_KEYS, SCHEMA},
    yaml::{Entry, MAX_PROBLEMS, Node, Value, push_key, shown},
};
use protocol::Problem;
use serde_json::Value as Json;
use suggest::{nearest, refused};

/// Problems beyond which nobody is told what was probably meant.
const MAX_SUGGESTED: usize = 20;

/// Everything that is wrong with keys and types.
pub(crate) fn check(root: &Node) -> Vec<Problem> {
    let mut walk = Walk { path: String::new(), problems: Vec::new() };
    walk.node(&SCHEMA, root);
    walk.problems
}

struct Walk {
    path: String,
    problems: Vec<Problem>,
}

/// A schema behind its reference.
fn resolved(schema: &Json) -> &Json {
    let name = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    match name.and_then(|name| SCHEMA.get("$defs")?.get(name)) {
        Some(schema) => resolved(schema),
        None => schema,
    }
}

/// The alternatives of a schema, flattened; a schema without any is its only one.
fn alternatives<'s>(schema: &'s Json, found: &mut Vec<&'s Json>) {
    let schema = resolved(schema);
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        Some(all) => all.iter().for_each(|one| alternatives(one, found)),
        None => found.push(schema),
    }
}

/// The JSON types that a schema takes; none means any.
fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => match schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
            Some(Json::String(_)) => vec!["string"],
            _ => Vec::new(),
        },
    }
}

fn takes(schema: &Json, value: &Value) -> bool {
    let types = types(schema);
    let is = |wanted: &[&str]| types.is_empty() || wanted.iter().any(|one| types.contains(one));
    match value {
        Value::Null => is(&["null"]),
        Value::Bool(_) => is(&["boolean"]),
        Value::Int(_) => is(&["integer", "number"]),
        Value::Float(_) => is(&["number"]),
        Value::Text(_) => is(&["string"]),
        Value::Seq(_) => is(&["array"]),
        Value::Map(_) => is(&["object"]),
    }
}

/// The words that a schema allows, where it allows only words.
fn words(schema: &Json) -> Option<Vec<&str>> {
    match schema.get("const") {
        Some(word) => word.as_str().map(|word| vec![word]),
        None => schema.get("enum")?.as_array()?.iter().map(Json::as_str).collect(),
    }
}

impl Walk {
    fn say(&mut self, rule: Rule, message: impl Into<String>, remedy: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(rule.problem(&self.path, message, remedy));
        }
    }

    /// Does something one level deeper.
    fn within<T>(&mut self, enter: impl FnOnce(&mut String), work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        enter(&mut self.path);
        let result = work(self);
        self.path.truncate(length);
        result
    }

    fn node(&mut self, schema: &Json, node: &Node) {
        let mut all = Vec::new();
        alternatives(schema, &mut all);
        let fitting: Vec<&Json> = all.iter().copied().filter(|one| takes(one, &node.value)).collect();
        match fitting.as_slice() {
            [] => self.wrong_type(&all, &node.value),
            [one] if words(one).is_none() => self.one(one, node),
            many => self.one_of(many, node),
        }
    }

    fn wrong_type(&mut self, all: &[&Json], value: &Value) {
        let name = |kind: &&str| match *kind {
            "string" => "a text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a mapping",
            _ => "nothing",
        };
        let mut kinds: Vec<&str> =
            all.iter().flat_map(|one| types(one)).filter(|kind| *kind != "null").collect();
        kinds.sort_unstable();
        kinds.dedup();
        let wanted: Vec<&str> = kinds.iter().map(name).collect();
        let scalar = matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
        let remedy = match value {
            _ if kinds.contains(&"string") && scalar => "put it in quotes",
            Value::Null => "give it a value, or remove the key",
            Value::Text(_) if kinds.contains(&"integer") || kinds.contains(&"number") => {
                "write a number, in decimal digits and without quotes"
            }
            Value::Text(_) if kinds.contains(&"boolean") => "write true or false",
            _ if kinds.contains(&"array") => {
                "write a list: [one, two], or a line that begins with - for each"
            }
            _ if kinds.contains(&"object") => "write its keys below it, each with a value",
            _ => "write one value here",
        };
        let message = format!("this is {}, it has to be {}", value.kind(), wanted.join(" or "));
        self.say(Rule::WrongType, message, remedy);
    }

    /// One of several alternatives that all take this kind of value.
    fn one_of(&mut self, many: &[&Json], node: &Node) {
        let known: Option<Vec<Vec<&str>>> = many.iter().map(|one| words(one)).collect();
        if let (Some(known), Value::Text(text)) = (known, &node.value) {
            let known = known.concat();
            if !known.contains(&text.as_str()) {
                let near = nearest(text, known.iter().copied());
                let message = format!("{:?} is not known here{}", shown(text), near);
                self.say(Rule::InvalidValue, message, &format!("use one of {}", known.join(", ")));
            }
            return;
        }
        let mut first = None;
        for one in many {
            let mut trial = Self { path: self.path.clone(), problems: Vec::new() };
            trial.one(one, node);
            if trial.problems.is_empty() {
                return;
            }
            first.get_or_insert(trial.problems);
        }
        self.problems.extend(first.unwrap_or_default());
    }

    /// A value of a kind that the schema takes.
    fn one(&mut self, schema: &Json, node: &Node) {
        match &node.value {
            Value::Map(entries) => self.map(schema, entries),
            Value::Seq(items) => self.list(schema, items),
            Value::Int(number) => {
                let text = number.to_string();
                self.notation(schema, &text);
                self.range(schema, *number);
            }
            Value::Float(number) => self.notation(schema, &number.to_string()),
            Value::Text(text) => self.notation(schema, text),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn notation(&mut self, schema: &Json, text: &str) {
        let Some(format) = schema.get("format").and_then(Json::as_str) else { return };
        if let Err((message, remedy)) = notation::check(format, text) {
            let rule = if format == "name" { Rule::Name } else { Rule::InvalidValue };
            self.say(rule, message, &remedy);
        }
    }

    fn range(&mut self, schema: &Json, number: i64) {
        let bound = |key: &str| schema.get(key).and_then(Json::as_i64);
        let (least, most) = match schema.get("format").and_then(Json::as_str) {
            Some("uint32") => (Some(0), Some(i64::from(u32::MAX))),
            Some("uint" | "uint64") => (Some(0), None),
            _ => (bound("minimum"), bound("maximum")),
        };
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let message = format!("{number} is out of range");
            let most = most.map_or_else(String::new, |most| format!(" to {most}"));
            let remedy = format!("use a whole number from {}{most}", least.unwrap_or_default());
            self.say(Rule::InvalidValue, message, &remedy);
        }
    }

    fn list(&mut self, schema: &Json, items: &[Node]) {
        let Some(each) = schema.get("items") else { return };
        for (i, item) in items.iter().enumerate() {
            self.within(|path| path.push_str(&format!("[{i}]")), |walk| walk.node(each, item));
        }
        let pairs = each.get("format").and_then(Json::as_str) == Some("pair");
        if pairs {
            self.repeated(items);
        }
    }

    /// A list of `NAME=text` is a mapping, so that no name may stand in it twice.
    fn repeated(&mut self, items: &[Node]) {
        let mut names = std::collections::HashSet::new();
        for (i, item) in items.iter().enumerate() {
            let Value::Text(text) = &item.value else { continue };
            let name = text.split_once('=').map(|(name, _)| name);
            if name.is_some_and(|name| !names.insert(name)) {
                self.within(
                    |path| path.push_str(&format!("[{i}]")),
                    |walk| walk.say(Rule::DuplicateKey, "this name stands twice", "keep one of the two"),
                );
            }
        }
    }

    fn map(&mut self, schema: &Json, entries: &[Entry]) {
        let empty = serde_json::Map::new();
        let part = |key: &str| schema.get(key).and_then(Json::as_object).unwrap_or(&empty);
        let (known, patterns) = (part("properties"), part("patternProperties"));
        let open = schema.get("additionalProperties");
        for Entry { key, node, .. } in entries {
            let named = patterns.iter().find(|(pattern, _)| *pattern != OWN_KEYS);
            let own = patterns.contains_key(OWN_KEYS) && key.starts_with("x-");
            self.within(
                |path| push_key(path, key),
                |walk| match (known.get(key), named, open) {
                    (Some(schema), _, _) => walk.node(schema, node),
                    _ if own => {}
                    (None, Some((_, schema)), _) => {
                        if let Err((message, remedy)) = notation::check("name", key) {
                            walk.say(Rule::Name, message, &remedy);
                        }
                        walk.node(schema, node);
                    }
                    (None, None, Some(schema @ Json::Object(_))) => walk.node(schema, node),
                    (None, None, Some(Json::Bool(false))) => walk.unknown(key, known),
                    (None, None, _) => {}
                },
            );
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for key in required.filter_map(Json::as_str) {
            if !entries.iter().any(|entry| entry.key == key) {
                let message = format!("{key} is missing");
                self.within(|path| push_key(path, key), |walk| walk.say(Rule::MissingKey, message, "add it"));
            }
        }
    }

    fn unknown(&mut self, key: &str, known: &serde_json::Map<String, Json>) {
        if let Some((rule, message, remedy)) = refused(key) {
            return self.say(rule, message, remedy);
        }
        // Whoever has so many of them has other worries, and each costs a comparison with every key.
        let near = if self.problems.len() < MAX_SUGGESTED {
            nearest(key, known.keys().map(String::as_str))
        } else {
            String::new()
        };
        let message = format!("this key is not known here{near}");
        let remedy = "check the spelling, or remove it; keys of your own begin with x-";
        self.say(Rule::UnknownKey, message, remedy);
    }
}
