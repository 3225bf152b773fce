//! What an app says of itself to people and to the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing an app is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An app.
    #[default]
    App,
    /// Comes with another app and never decides how that one is.
    Companion,
    /// A website elsewhere: no containers, only `metadata.website`.
    Link,
}

/// A processor architecture, in the words of image indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

/// For people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metadata {
    /// One line on what it is.
    pub tagline: String,
    /// A few sentences.
    pub description: String,
    /// Category in the store.
    pub category: Option<String>,
    /// Website.
    pub website: Option<String>,
    /// Source code.
    pub repo: Option<String>,
    /// Where to ask for help.
    pub support: Option<String>,
    /// Licence of the app (SPDX).
    pub license: Option<String>,
    /// Icon file in the manifest's folder.
    pub icon: Option<String>,
    /// Who made this manifest.
    pub author: Option<Author>,
    /// What is new in this version.
    pub release_notes: Option<String>,
    /// Search words.
    pub tags: Vec<String>,
}

/// Who made a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// Name.
    pub name: String,
    /// Decentralized identifier, the key that signs catalogs.
    pub did: Option<String>,
}
