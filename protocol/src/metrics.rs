//! What apps use of the machine.

use crate::{AppId, ServiceName};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// What one container uses. Counters begin anew with the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct ContainerMetrics {
    /// The service in the manifest.
    pub service: ServiceName,
    /// Share of one core: 1.5 is one and a half cores.
    pub cpu: f64,
    /// Memory in use.
    #[cfg_attr(test, ts(type = "number"))]
    pub memory_bytes: u64,
    /// Memory that it may use; absent without a limit.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub memory_limit_bytes: Option<u64>,
    /// Received over its networks.
    #[cfg_attr(test, ts(type = "number"))]
    pub rx_bytes: u64,
    /// Sent over its networks.
    #[cfg_attr(test, ts(type = "number"))]
    pub tx_bytes: u64,
    /// Read from block devices.
    #[cfg_attr(test, ts(type = "number"))]
    pub read_bytes: u64,
    /// Written to block devices.
    #[cfg_attr(test, ts(type = "number"))]
    pub write_bytes: u64,
    /// Processes.
    pub pids: u32,
}

/// What one app uses: the row of the stream `metrics`, keyed by `app`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct MetricsView {
    /// App.
    pub app: AppId,
    /// When it was measured.
    #[cfg_attr(test, ts(type = "number"))]
    pub measured_at: u64,
    /// Its containers by name; those that do not run are left out.
    pub usage: Vec<ContainerMetrics>,
}
