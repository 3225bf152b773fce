//! Errors over HTTP.

use crate::{Confirm, OpId};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// Machine-readable code of an [`ApiError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub enum ErrorCode {
    /// The request is no valid request of this API (400).
    BadRequest,
    /// Log in first (401).
    Unauthenticated,
    /// Refused by origin, host or permission (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// Another operation runs on this app (409).
    OpInProgress,
    /// The app's state does not allow this (409).
    Conflict,
    /// The manifest or the command is not acceptable; `problems` says why (422).
    Invalid,
    /// The command destroys something: show `confirm.plan`, and send the command again with the header
    /// `Confirm-Token` (428).
    ConfirmRequired,
    /// Too many attempts; wait (429).
    TooManyRequests,
    /// The node cannot do it now; try again (503).
    Unavailable,
    /// A fault of the node (500).
    Internal,
}

/// One thing that is wrong with an input, with its place and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct Problem {
    /// Name of the rule, for instance `unknown_key`.
    pub rule: String,
    /// Path of the field, for instance `services.web.ports[0].published`.
    pub field: String,
    /// Line in the file, beginning at 1, where it is known.
    pub line: Option<u32>,
    /// Column, beginning at 1, where it is known.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}:{}: ", self.column.unwrap_or(1))?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} [{}]\n  remedy: {}", self.message, self.rule, self.remedy)
    }
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct ApiError {
    /// Code.
    pub code: ErrorCode,
    /// What happened, in words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The operation that is in the way, with `op_in_progress`.
    pub op_id: Option<OpId>,
    /// What is wrong with the input, with `invalid`.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// What has to be confirmed, with `confirm_required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub confirm: Option<Box<Confirm>>,
}

impl ApiError {
    /// An error with nothing but a code and words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, op_id: None, problems: vec![], confirm: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
