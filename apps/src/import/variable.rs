//! Compose's variables: `$NAME`, `${NAME:-default}` and their kin.

use super::{Convention, Source, Work};
use serde_yaml::Value;
use std::collections::BTreeMap;

/// Stands for a secret in place of a value, until its service is looked at. No file can hold it: it is no character.
pub(super) const SECRET: char = '\u{fffe}';
/// Variables that are facts of the node, as an export of ours writes them.
const FACTS: &[(&str, &str)] =
    &[("HOST_IP", "{{HOST_IP}}"), ("HOST_MDNS", "{{HOST_MDNS}}"), ("NETWORK_GATEWAY", "{{NETWORK_GATEWAY}}")];
/// Most bytes that variables become, all together.
const MAX_FILLED: usize = 256 * 1024;
/// Deepest defaults within defaults.
const MAX_DEPTH: usize = 4;

/// The variables that are known.
pub(super) fn known(source: &Source<'_>, convention: Convention) -> BTreeMap<String, String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    known.extend(convention.variables(source).into_iter().map(|(key, value)| (key.to_owned(), value)));
    let file = source.beside.get(".env").map_or("", String::as_str);
    known.extend(lines(file).map(|(key, value)| (key.to_owned(), value)));
    known.extend(source.variables.clone());
    for (name, value) in FACTS {
        known.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
    }
    known
}

/// The variables of an environment file.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| {
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some((key.trim(), quoted.unwrap_or(value).to_owned()))
    })
}

/// Whether a variable of this name holds something secret.
pub(super) fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "_KEY", "_SEED"].iter().any(|word| upper.contains(word))
}

impl Work<'_> {
    /// Replaces the variables in all texts.
    pub(super) fn interpolate(&mut self, value: &mut Value) {
        self.within(value, &mut String::new());
    }

    fn within(&mut self, value: &mut Value, path: &mut String) {
        let length = path.len();
        match value {
            Value::String(text) => *text = self.text(text, path),
            Value::Sequence(list) => {
                for (i, one) in list.iter_mut().enumerate() {
                    path.push_str(&format!("[{i}]"));
                    self.within(one, path);
                    path.truncate(length);
                }
            }
            Value::Mapping(map) => {
                // What an export of ours keeps aside stands there as it is.
                for (key, one) in map.iter_mut().filter(|(key, _)| key.as_str() != Some("x-archipelago")) {
                    crate::yaml::push_key(path, key.as_str().unwrap_or_default());
                    self.within(one, path);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, path: &str) -> String {
        // A template of somebody else's is a text to us.
        let text = if self.ours { text.to_owned() } else { text.replace("{{", "\\{{") };
        if !text.contains('$') {
            return text;
        }
        let whole =
            text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or(text.strip_prefix('$'));
        let unset =
            whole.filter(|name| is_name(name) && !self.variables.contains_key(*name) && is_secret(name));
        if let Some(name) = unset {
            return format!("{SECRET}{name}");
        }
        match filled(&text, &self.variables, 0) {
            Ok(text) => {
                self.filled += text.len();
                if self.filled <= MAX_FILLED {
                    return text;
                }
                self.refuse(path, "the file becomes too large when its variables are filled in");
                String::new()
            }
            Err(why) => {
                self.refuse(path, why);
                text
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.chars().all(good) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn filled(text: &str, known: &BTreeMap<String, String>, depth: usize) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let end = closing(after).ok_or("a variable (${) is not closed")?;
            result.push_str(&expression(&after[..end], known, depth)?);
            rest = &after[end + 1..];
        } else {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            if !is_name(&after[..end]) {
                return Err("a single $ is no variable; two ($$) are the sign itself".into());
            }
            result.push_str(&value_of(&after[..end], known)?);
            rest = &after[end..];
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// Where the brace closes, those within counted.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(i),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn value_of(name: &str, known: &BTreeMap<String, String>) -> Result<String, String> {
    known.get(name).cloned().ok_or_else(|| {
        format!(
            "the variable {name} has no value and no default; give one with --set {name}=value or in .env"
        )
    })
}

fn expression(text: &str, known: &BTreeMap<String, String>, depth: usize) -> Result<String, String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !is_name(name) {
        return Err("this is no variable".into());
    }
    if depth >= MAX_DEPTH {
        return Err("defaults are nested too deeply".into());
    }
    let (colon, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let set = known.get(name).filter(|value| !colon || !value.is_empty());
    let mut operator = rest.chars();
    match (operator.next(), set) {
        (None, _) if !colon => value_of(name, known),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) => filled(operator.as_str(), known, depth + 1),
        (Some('+'), Some(_)) => filled(operator.as_str(), known, depth + 1),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("the variable {name} has to be given: {}", operator.as_str())),
        _ => Err(format!("what stands behind {name} is not known to compose")),
    }
}
