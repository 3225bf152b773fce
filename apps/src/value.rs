//! Values with a notation of their own: durations, sizes and the like, as compose writes them.

use crate::manifest::{
    Owner, Pointer, RestartPolicy,
    form::{REMEDY, Scalar},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, str::FromStr, time::Duration};

/// A duration, written `500ms`, `10s`, `1m30s`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration{REMEDY}write it like 10s, 500ms, 1m30s or 2h");
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let millis = match &rest[..unit] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            rest = &rest[unit..];
            let part = number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(total)) }
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let millis = span.0.as_millis();
        if millis.is_multiple_of(1_000) { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
    }
}

/// A size in bytes, written `512M`, `2G`, `800Gi`; all units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Scalar", into = "String")]
pub struct Size(pub u64);

/// A share of the machine's processors, written `0.5` or `2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Share", into = "String")]
pub struct Cpus {
    /// Thousandths of a processor.
    pub millis: u32,
}

/// Compose takes a number here as well.
#[derive(Deserialize)]
#[serde(untagged)]
enum Share {
    Number(f64),
    Text(String),
}

impl FromStr for Cpus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no share of processors{REMEDY}write it like \"0.5\" or \"2\"");
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let part: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
        match whole.checked_mul(1000).and_then(|millis| millis.checked_add(part)) {
            Some(millis @ 1..=1_024_000) => Ok(Self { millis }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<Share> for Cpus {
    type Error = String;
    fn try_from(share: Share) -> Result<Self, String> {
        match share {
            Share::Number(number) => number.to_string().parse(),
            Share::Text(text) => text.parse(),
        }
    }
}

impl From<Cpus> for String {
    fn from(cpus: Cpus) -> Self {
        format!("{}.{:03}", cpus.millis / 1000, cpus.millis % 1000)
    }
}

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size{REMEDY}write it like 512M or 2G");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let shift = match text[digits..].to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "ki" => 10,
            "m" | "mb" | "mi" => 20,
            "g" | "gb" | "gi" => 30,
            "t" | "tb" | "ti" => 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<Scalar> for Size {
    type Error = String;
    fn try_from(text: Scalar) -> Result<Self, String> {
        text.0.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.0.to_string()
    }
}

/// The schema of a value with a notation of its own: its JSON types, the name of the notation, and a pattern for
/// editors, which know no notation of ours.
macro_rules! notation {
    ($type:ident, $types:tt, $format:literal, $pattern:literal, $doc:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"description": $doc, "type": $types, "format": $format, "pattern": $pattern})
            }
        }
    };
}

notation!(Span, "string", "span", "^([0-9]+(ms|s|m|h|d))+$", "A duration: 500ms, 10s, 1m30s, 2h, 7d.");
notation!(
    Size,
    ["string", "integer"],
    "size",
    "^[0-9]+([kKmMgGtT][bBi]?|[bB])?$",
    "A size: 512M, 2G, 800Gi, or a number of bytes."
);
notation!(Cpus, ["string", "number"], "cpus", "^[0-9]+([.][0-9]{1,3})?$", "A share of processors: 0.5, 2.");
notation!(
    Owner,
    ["string", "integer"],
    "owner",
    "^[0-9]+(:[0-9]+)?$",
    "A user and a group in numbers: 999 or 999:999."
);
notation!(Pointer, "string", "pointer", "^(/([^~/]|~[01])*)*$", "A JSON pointer (RFC 6901): /result/blocks.");
notation!(
    RestartPolicy,
    "string",
    "restart",
    "^(always|unless-stopped|on-failure(:[0-9]+)?|no)$",
    "Which ends lead to a restart: always, unless-stopped, on-failure or no."
);
