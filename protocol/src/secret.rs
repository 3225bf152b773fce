//! Secrets that the owner of an app gives.

use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// A secret that an app asks its owner for; its value is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SecretView {
    /// Name in the app's manifest.
    pub name: String,
    /// Whether it is given.
    pub given: bool,
}

/// Body of `PUT /api/v1/apps/{app}/secrets/{name}`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SecretRequest {
    /// The value.
    pub value: String,
}

/// Answer of `PUT /api/v1/apps/{app}/secrets/{name}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SecretAccepted {
    /// Whether the app is on the node: what runs has the old value until the app is restarted.
    pub restart_needed: bool,
}
