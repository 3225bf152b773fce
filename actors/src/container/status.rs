//! What a container's actor tells the app.

use super::Want;
use crate::clock::now_ms;
use protocol::{ContainerPhase, Health};
use ulid::Ulid;

/// What the app needs to know of its container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    /// Phase.
    pub(crate) phase: ContainerPhase,
    /// Readiness.
    pub(crate) health: Health,
    /// The engine's id.
    pub(crate) id: Option<String>,
    /// When the running process was started.
    pub(crate) started_at: Option<u64>,
    /// What is wrong, in words.
    pub(crate) trouble: Option<String>,
    /// Since when it is in this phase.
    pub(crate) since: u64,
    /// The code with which its run was over for good.
    pub(crate) over: Option<i32>,
    /// What the app wants, once nothing is left to be done for it.
    pub(crate) settled: Option<Want>,
    /// The app's last order that it has heard of.
    pub(crate) order: Option<Ulid>,
}

impl Status {
    /// Of a container that nobody has looked at.
    pub(crate) fn unknown() -> Self {
        Self {
            phase: ContainerPhase::Unknown,
            health: Health::None,
            id: None,
            started_at: None,
            trouble: None,
            since: now_ms(),
            over: None,
            settled: None,
            order: None,
        }
    }

    /// Whether it is down because it should be by this order, and its anchor with it.
    pub(crate) fn is_at_rest(&self, order: Option<Ulid>) -> bool {
        self.order == order && matches!(self.settled, Some(Want::Stop | Want::Remove | Want::GiveBack))
    }
}
