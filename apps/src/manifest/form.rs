//! Compose's short forms: a text in place of a mapping, one item in place of a list, a list in place of a mapping.
//!
//! Each becomes the full form while it is read, so that the rest of the code knows one form only.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

/// Separates what is wrong from the remedy in the errors that travel through serde.
pub(crate) const REMEDY: char = '\u{1f}';

/// What is wrong, and the remedy, in one text.
pub(crate) fn wrong(message: impl std::fmt::Display, remedy: &str) -> String {
    format!("{message}{REMEDY}{remedy}")
}

/// A text, or a whole number that is meant as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Scalar(pub(crate) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::Number(number) => number.to_string(),
            Either::Text(text) => text,
        }))
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"]})
    }
}

/// What can be written as a text too.
pub(crate) trait Short: Sized {
    /// Name of the notation, the `format` of its schema.
    const FORMAT: &'static str;
    /// Reads the text.
    fn short(text: &str) -> Result<Self, String>;
}

/// A value as a text, or in full.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Form<T> {
    Text(Scalar),
    Full(T),
}

impl<T: Short> Form<T> {
    /// The value, whichever form it stands in.
    pub(crate) fn full(self) -> Result<T, String> {
        match self {
            Self::Text(text) => T::short(&text.0),
            Self::Full(value) => Ok(value),
        }
    }
}

impl<T: Short + JsonSchema> JsonSchema for Form<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Form_of_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"type": ["string", "integer"], "format": T::FORMAT}, full]})
    }
}

/// A list of values in either form.
pub(crate) fn many<'de, D: Deserializer<'de>, T: Short + Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let forms = Vec::<Form<T>>::deserialize(from)?;
    forms.into_iter().map(|form| form.full().map_err(D::Error::custom)).collect()
}

/// A mapping whose values stand in either form.
pub(crate) fn each<'de, D: Deserializer<'de>, T: Short + Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let forms = BTreeMap::<String, Form<T>>::deserialize(from)?;
    forms.into_iter().map(|(key, form)| Ok((key, form.full().map_err(D::Error::custom)?))).collect()
}

/// A list of texts, or one of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Texts {
    One(String),
    Many(Vec<String>),
}

/// A list of texts, or one of them.
pub(crate) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match Texts::deserialize(from)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

/// A command: a list of words, or a text that is split into words as a shell would, without being given to one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    Text(String),
    Words(Vec<Scalar>),
}

impl JsonSchema for Words {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let word = json_schema!({"type": ["string", "integer"]});
        json_schema!({"anyOf": [{"type": "string", "format": "command"}, {"type": "array", "items": word}]})
    }
}

/// Splits a command that is given as a text.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text).ok_or_else(|| wrong("a quote is not closed", "close it, or write a list of words"))
}

/// A command.
pub(crate) fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    match Words::deserialize(from)? {
        Words::Text(text) => split(&text).map_err(D::Error::custom),
        Words::Words(words) => Ok(words.into_iter().map(|word| word.0).collect()),
    }
}

/// A command that need not be given.
pub(crate) fn maybe_words<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    match Option::<Words>::deserialize(from)? {
        Some(Words::Text(text)) => split(&text).map(Some).map_err(D::Error::custom),
        Some(Words::Words(words)) => Ok(Some(words.into_iter().map(|word| word.0).collect())),
        None => Ok(None),
    }
}

/// A mapping from names to texts, or a list of `NAME=text`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Pairs {
    Map(BTreeMap<String, Option<Scalar>>),
    List(Vec<String>),
}

impl JsonSchema for Pairs {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Pairs".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = json_schema!({"type": ["string", "integer", "null"]});
        let item = json_schema!({"type": "string", "format": "pair"});
        json_schema!({"anyOf": [
            {"type": "object", "additionalProperties": value},
            {"type": "array", "items": item, "uniqueItems": true},
        ]})
    }
}

/// Splits `NAME=text`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(wrong(
            format!("{text:?} is no NAME=text"),
            "give the value here: nothing is taken over from the node's own environment",
        )),
    }
}

/// A mapping from names to texts.
pub(crate) fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    match Pairs::deserialize(from)? {
        Pairs::Map(map) => {
            Ok(map.into_iter().map(|(key, value)| (key, value.map(|v| v.0).unwrap_or_default())).collect())
        }
        Pairs::List(list) => {
            let mut map = BTreeMap::new();
            for text in list {
                let (key, value) = pair(&text).map_err(D::Error::custom)?;
                if map.insert(key.clone(), value).is_some() {
                    return Err(D::Error::custom(wrong(
                        format!("{key} stands twice"),
                        "keep one of the two",
                    )));
                }
            }
            Ok(map)
        }
    }
}

/// A mapping from names to settings, or a list of the names alone.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Named<K: Ord, V> {
    Map(BTreeMap<K, V>),
    List(Vec<K>),
}

/// A mapping from names to settings, or a list of the names alone.
pub(crate) fn named<'de, D, K, V>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Ord + Deserialize<'de>,
    V: Default + Deserialize<'de>,
{
    Ok(match Named::deserialize(from)? {
        Named::Map(map) => map,
        Named::List(names) => names.into_iter().map(|name| (name, V::default())).collect(),
    })
}

/// A number in a part of a short form.
pub(crate) fn number<T: FromStr>(text: &str, what: &str, remedy: &str) -> Result<T, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or_else(|| wrong(format!("{text:?} is no {what}"), remedy))
}
