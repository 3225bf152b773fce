//! The references in `docs/apps/` are made from the schema and from the rules.

use crate::{
    Area, Rule,
    lint::{About, Level},
};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

/// Writes a page anew where it is not current, and fails then.
fn current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/apps").join(name);
    if fs::read_to_string(&path).ok().as_deref() != Some(text) {
        fs::write(&path, text).unwrap();
        panic!("docs/apps/{name} was not current and has been written anew");
    }
}

/// What a schema takes, in words.
fn kind(schema: &Value) -> String {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(all) = alternatives {
        let kinds: BTreeSet<String> = all.iter().map(kind).filter(|kind| kind != "nothing").collect();
        return kinds.into_iter().collect::<Vec<_>>().join(" or ");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return format!("`{word}`");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let one = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => format!("list of {}", schema.get("items").map_or("values".into(), kind_of)),
        "object" => {
            let inner = schema.get("additionalProperties").filter(|inner| inner.is_object());
            let named = schema.get("patternProperties").and_then(Value::as_object);
            let named =
                named.and_then(|all| all.iter().find(|(key, _)| *key != "^x-").map(|(_, inner)| inner));
            inner
                .or(named)
                .map_or("mapping".into(), |inner| format!("mapping of names to {}", kind_of(inner)))
        }
        _ => "nothing".to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(kind)) => one(kind),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".into(),
    }
}

fn kind_of(schema: &Value) -> String {
    match kind(schema) {
        kind if kind.is_empty() => "nothing".into(),
        kind => kind,
    }
}

fn said(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|")
}

fn table(text: &mut String, schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required = schema.get("required").and_then(Value::as_array);
    writeln!(text, "\n| key | value | meaning |\n|---|---|---|").unwrap();
    for (key, property) in properties {
        let must = required.is_some_and(|all| all.iter().any(|one| one == key));
        let key = if must { format!("**`{key}`**") } else { format!("`{key}`") };
        let default = property.get("default").filter(|value| {
            value.is_boolean() || value.is_number() || value.as_str().is_some_and(|text| !text.is_empty())
        });
        let default = default.map_or_else(String::new, |value| format!(" Default: `{value}`."));
        writeln!(text, "| {key} | {} | {}{default} |", kind(property), said(property)).unwrap();
    }
}

#[test]
fn the_manifest_reference_is_made_from_the_schema() {
    let schema = crate::schema();
    let mut text = "# The manifest, key by key\n\n\
        Made from the types by `cargo test -p apps`; do not edit. The same as JSON Schema: \
        `apps/schema/manifest.v1.json`.\nKeys in bold have to be given. Keys of your own begin with `x-`.\n\
        An example with every key is `apps/tests/complete.yml`.\n"
        .to_owned();
    table(&mut text, &schema);
    for (name, part) in schema["$defs"].as_object().unwrap() {
        let about = said(part);
        writeln!(text, "\n## {name}\n\n{about}").unwrap();
        if part.get("properties").is_none() {
            let words = part.get("oneOf").and_then(Value::as_array).into_iter().flatten();
            let words: Vec<(String, String)> =
                words.filter_map(|one| Some((one.get("const")?.as_str()?.to_owned(), said(one)))).collect();
            if !words.is_empty() {
                writeln!(text, "\n| value | meaning |\n|---|---|").unwrap();
                words.iter().for_each(|(word, about)| writeln!(text, "| `{word}` | {about} |").unwrap());
            }
        }
        table(&mut text, part);
    }
    current("manifest.md", &text);
}

#[test]
fn the_reference_of_lint_is_made_from_the_rules() {
    let mut text = "# What lint looks at\n\n\
        Made from the rules by `cargo test -p apps`; do not edit.\n\
        `archy app lint` fails on errors and warnings; notes are counted only.\n\
        A rule is allowed with its reason: `x-lint-allow: {shared_volume: both are made for it}`.\n\
        What refuses a manifest cannot be allowed.\n"
        .to_owned();
    for level in [Level::Error, Level::Warning, Level::Note] {
        writeln!(text, "\n## {}s", level.as_str()).unwrap();
        for about in About::all().filter(|about| about.level == level) {
            writeln!(text, "\n### {}\n\n{}\nTo mend it: {}.", about.rule.id(), about.why, about.mend)
                .unwrap();
            if about.fix {
                writeln!(text, "`--fix` does it where the text is simple.").unwrap();
            }
        }
    }
    writeln!(
        text,
        "\n## Between apps\n\nWith several manifests, lint also tells whether they fit each other:\n"
    )
    .unwrap();
    for rule in Rule::ALL.iter().filter(|rule| rule.area() == Area::Catalog) {
        writeln!(text, "- `{}`", rule.id()).unwrap();
    }
    current("lint.md", &text);
}
