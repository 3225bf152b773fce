//! What the node makes for an app before its containers: networks, volumes, secrets, certificates, files.

use super::Name;
use base64::{Engine as _, engine::general_purpose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A mapping without keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

/// A network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// Whether it is shared with other apps: it then has its own name in the engine, comes with the first of them and
    /// goes with the last.
    pub external: bool,
    /// Whether its containers reach nothing outside of it.
    pub internal: bool,
}

/// A secret: generated once and never changed, or given by the owner of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// How the node generates it; this or `external`.
    pub generate: Option<Generate>,
    /// Whether the owner gives it; this or `generate`.
    #[serde(default)]
    pub external: bool,
}

/// How a secret is generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Generate {
    /// Random bytes, 16 to 256.
    pub bytes: usize,
    /// How they are written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How random bytes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Two hexadecimal digits per byte.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 for URLs, without padding.
    Base64url,
    /// Letters and digits only.
    Alnum,
}

impl Encoding {
    /// The bytes as text. All of their randomness is kept.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Base64 => general_purpose::STANDARD.encode(bytes),
            Self::Base64url => general_purpose::URL_SAFE_NO_PAD.encode(bytes),
            Self::Alnum => alnum(bytes),
        }
    }
}

/// The bytes as one number to the base 62, so that no digit is likelier than another; the length depends on the number
/// of bytes alone.
fn alnum(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = bytes.to_vec();
    // log 256 / log 62 = 1.3437; rounded up, the largest number still fits.
    let length = (bytes.len() * 13_437).div_ceil(10_000);
    let digit = |_| {
        let mut rest = 0u32;
        for byte in &mut number {
            let part = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(part / 62).unwrap_or(u8::MAX);
            rest = part % 62;
        }
        DIGITS.get(rest as usize).copied().map_or('0', char::from)
    };
    (0..length).map(digit).collect()
}

/// A certificate that the node makes, and makes anew before it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cert {
    /// Whether it signs itself; the only kind so far.
    #[serde(default = "yes")]
    pub self_signed: bool,
    /// Host names and addresses it is good for; `{{HOST_IP}}` and `{{HOST_MDNS}}` may stand in them.
    pub sans: Vec<String>,
    /// Days it is good for, 1 to 825, which is what browsers accept.
    #[serde(default = "cert_days")]
    pub days: u32,
}

fn yes() -> bool {
    true
}
fn cert_days() -> u32 {
    825
}

/// A file that the node writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Its text, with `{{HOST_IP}}`, `{{NETWORK_GATEWAY}}`, `{{HOST_MDNS}}` and `{{secret:name}}`; this or `file`.
    pub content: Option<String>,
    /// A file in the manifest's folder that holds the text; this or `content`.
    pub file: Option<String>,
    /// Whether it is written anew at every start; otherwise only where it is missing.
    #[serde(default = "yes")]
    pub overwrite: bool,
}

/// A mapping by name, as the schema shows it.
pub(super) type ByName<T> = BTreeMap<Name, T>;
