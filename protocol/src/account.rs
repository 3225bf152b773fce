//! Who may: setup, login, sessions, tokens.

use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// What a token may do. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum Scope {
    /// See everything: rows, events, logs.
    Read,
    /// Give commands.
    Operate,
    /// Manage sessions, tokens and the password.
    Admin,
}

/// Answer of `GET /api/v1/auth`, which needs no login: how one gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct AuthView {
    /// No password is set yet: `POST /api/v1/setup` with the token that the node printed. Until then the token also
    /// logs in.
    pub setup: bool,
    /// A login takes a code of the second factor too.
    pub totp: bool,
}

/// Body of `POST /api/v1/setup`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SetupRequest {
    /// The one-time token that the node printed.
    pub token: String,
    /// The owner's new password.
    pub password: String,
}

/// Body of `POST /api/v1/login`: the setup token, or once a password is set the password.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct LoginRequest {
    /// The setup token; refused once a password is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub token: Option<String>,
    /// The owner's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub password: Option<String>,
    /// The six digits of the second factor, where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub code: Option<String>,
}

/// Body of `POST /api/v1/password`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct PasswordRequest {
    /// The present password; not needed over the node's local socket, for an owner who forgot it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub current: Option<String>,
    /// The new one.
    pub new: String,
}

/// Answer of `POST /api/v1/totp`: the secret that is on after `POST /api/v1/totp/confirm`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TotpSecret {
    /// The secret in Base32, to be typed.
    pub secret: String,
    /// The same as `otpauth://` address, to be shown as a QR code.
    pub uri: String,
}

/// Body of `POST /api/v1/totp/confirm` and `DELETE /api/v1/totp`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TotpCode {
    /// Six digits.
    pub code: String,
}

/// A login: `GET /api/v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SessionView {
    /// Id, which is no secret: what `DELETE /api/v1/sessions/{id}` takes.
    pub id: String,
    /// When it began.
    #[cfg_attr(test, ts(type = "number"))]
    pub created_at: u64,
    /// When it was last used, to the minute.
    #[cfg_attr(test, ts(type = "number"))]
    pub seen_at: u64,
    /// When it ends at the latest.
    #[cfg_attr(test, ts(type = "number"))]
    pub expires_at: u64,
    /// Address that it was begun from.
    pub address: String,
    /// Browser that it was begun with, in its own words.
    pub agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An API token: `GET /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TokenView {
    /// Id: what `DELETE /api/v1/tokens/{id}` takes.
    pub id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    #[cfg_attr(test, ts(type = "number"))]
    pub created_at: u64,
    /// When it was last used, to the minute.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub used_at: Option<u64>,
    /// When it ends; absent where it does not.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub expires_at: Option<u64>,
}

/// Body of `POST /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TokenRequest {
    /// What it is for; 1 to 80 characters.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Days until it ends; without it, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub days: Option<u32>,
}

/// Answer of `POST /api/v1/tokens`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct TokenCreated {
    /// The token, which is shown this once.
    pub token: String,
    /// What is listed of it.
    pub view: TokenView,
}
