//! How failures of an app's containers are met, in OTP's words.

use crate::value::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Restart strategy in OTP's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the failed container is restarted.
    OneForOne,
    /// All are.
    OneForAll,
    /// The failed one and those that start after it are.
    RestForOne,
}

/// How failures of an app's containers are met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Supervision {
    /// Restart strategy.
    pub strategy: Strategy,
    /// Restarts allowed within `period`.
    pub intensity: u32,
    /// Length of the window.
    pub period: Span,
    /// Waiting between restarts; the first one is at once.
    pub backoff: BackoffSpec,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            strategy: Strategy::OneForOne,
            intensity: 5,
            period: Span(Duration::from_secs(600)),
            backoff: BackoffSpec::default(),
        }
    }
}

/// Waiting between restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BackoffSpec {
    /// The first wait; the first restart after a healthy time is at once.
    pub min: Span,
    /// The longest wait.
    pub max: Span,
    /// Growth per restart.
    pub factor: f64,
    /// Share of the wait that is random, 0 to 1.
    pub jitter: f64,
}

impl Default for BackoffSpec {
    fn default() -> Self {
        Self {
            min: Span(Duration::from_secs(1)),
            max: Span(Duration::from_secs(120)),
            factor: 2.0,
            jitter: 0.2,
        }
    }
}
