//! What a container or an app waits for.

use super::Name;
use protocol::AppId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a dependency counts as there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its process runs.
    #[default]
    ServiceStarted,
    /// Its readiness probe succeeds.
    ServiceHealthy,
    /// It ended with 0.
    ServiceCompletedSuccessfully,
}

impl Condition {
    /// Compose's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceStarted => "service_started",
            Self::ServiceHealthy => "service_healthy",
            Self::ServiceCompletedSuccessfully => "service_completed_successfully",
        }
    }
}

/// A dependency on another service of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dependency {
    /// When it counts as there.
    pub condition: Condition,
    /// Whether this service is restarted after that one was replaced.
    pub restart: bool,
    /// Whether it must be there; otherwise its absence only is worth a warning.
    pub required: bool,
}

impl Default for Dependency {
    fn default() -> Self {
        Self { condition: Condition::default(), restart: false, required: true }
    }
}

/// When another app counts as there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequireCondition {
    /// It is installed.
    Exists,
    /// Its containers run.
    ServiceStarted,
    /// It is healthy.
    #[default]
    ServiceHealthy,
}

/// What happens when a requirement that was met is not met any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// The app runs on and is shown as degraded.
    #[default]
    Degrade,
    /// The app is stopped until it is met again.
    Stop,
    /// The app is restarted once it is met again.
    Restart,
    /// Nothing.
    Ignore,
}

/// Another app that this one needs, by its id or by what it provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Require {
    /// What the other app provides; this or `app`.
    #[schemars(with = "Option<Name>")]
    pub capability: Option<String>,
    /// The other app's id; this or `capability`.
    #[schemars(with = "Option<Name>")]
    pub app: Option<AppId>,
    /// A gate of the other app that must be open.
    #[schemars(with = "Option<Name>")]
    pub gate: Option<String>,
    /// When the other app counts as there.
    #[serde(default)]
    pub condition: RequireCondition,
    /// Which versions of it will do, for instance `>=1.16`.
    pub version: Option<String>,
    /// Whether the app runs without it, too.
    #[serde(default)]
    pub optional: bool,
    /// What happens when it is lost again.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Why, for people.
    pub reason: Option<String>,
}
