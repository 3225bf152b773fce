//! What the engine says about a container, in our words.

use crate::{EngineState, Inspect, ProcessRef, Summary};
use podman_api::models::ListContainer;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Translates the engine's word for a state.
pub(super) fn state(word: &str) -> EngineState {
    match word {
        "created" | "configured" | "initialized" => EngineState::Created,
        "running" => EngineState::Running,
        "paused" => EngineState::Paused,
        "stopping" => EngineState::Stopping,
        "stopped" => EngineState::Stopped,
        "exited" => EngineState::Exited,
        _ => EngineState::Other,
    }
}

/// The part of an inspection that is used; everything else may change from version to version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Body {
    id: String,
    name: String,
    #[serde(default)]
    image_name: String,
    state: State,
    config: Config,
    #[serde(default)]
    network_settings: NetworkSettings,
    #[serde(default)]
    host_config: HostConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    conmon_pid: u32,
    #[serde(default)]
    exit_code: i32,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: Option<BTreeMap<String, Network>>,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default, rename = "IPAddress")]
    ip_address: String,
}

impl From<Body> for Inspect {
    fn from(body: Body) -> Self {
        let addresses = body.network_settings.networks.unwrap_or_default();
        Self {
            id: body.id,
            name: body.name,
            labels: body.config.labels.unwrap_or_default(),
            state: state(&body.state.status),
            process: live(body.state.pid).filter(|process| {
                let started = millis(&body.state.started_at);
                !process.is_another(body.state.conmon_pid, started)
            }),
            monitor: live(body.state.conmon_pid),
            exit_code: body.state.exit_code,
            oom: body.state.oom_killed,
            started_at: millis(&body.state.started_at),
            finished_at: millis(&body.state.finished_at),
            image: body.image_name,
            addresses: addresses
                .into_iter()
                .filter(|(_, network)| !network.ip_address.is_empty())
                .map(|(name, network)| (name, network.ip_address))
                .collect(),
            network_of: body.host_config.network_mode.strip_prefix("container:").map(str::to_owned),
        }
    }
}

fn live(pid: u32) -> Option<ProcessRef> {
    (pid != 0).then(|| ProcessRef::of(pid)).flatten()
}

/// One container of a list; `None` where it has no id.
pub(super) fn summary(container: ListContainer) -> Option<Summary> {
    Some(Summary {
        id: container.id?,
        name: container.names.and_then(|names| names.into_iter().next()).unwrap_or_default(),
        labels: sorted(container.labels.unwrap_or_default()),
        state: state(container.state.as_deref().unwrap_or_default()),
        process: container.pid.and_then(|pid| u32::try_from(pid).ok()).and_then(live),
    })
}

pub(super) fn sorted(map: HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}

/// Milliseconds since the Unix epoch of a time as Go prints it (RFC 3339); `None` for Go's zero time, the year 1.
fn millis(time: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().filter(|_| time.year() >= 1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_engine_become_milliseconds() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2026-11-21T05:21:38.957018707Z"), Some(1_795_238_498_957));
        assert_eq!(millis("2026-11-21T07:21:38.9+02:00"), Some(1_795_238_498_900));
        assert_eq!(millis("2024-02-29T12:00:00-01:30"), Some(1_709_213_400_000));
        assert_eq!(millis("0001-01-01T00:00:00Z"), None);
        assert_eq!(millis(""), None);
        assert_eq!(millis("9223372036854775807-01-01T00:00:00Z"), None);
    }

    #[test]
    fn inspection_of_podman_4_3_is_understood() {
        let body: Body = serde_json::from_str(include_str!("inspect/podman-4.3.json")).unwrap();
        let inspect = Inspect::from(body);
        assert_eq!(inspect.name, "web");
        assert_eq!(inspect.state, EngineState::Exited);
        assert_eq!(inspect.exit_code, 137);
        assert_eq!(inspect.image, "localhost/archy-fix:1");
        assert_eq!(inspect.labels["archipelago.app"], "demo");
        assert_eq!(inspect.process, None);
        assert_eq!(inspect.started_at, Some(1_795_238_498_957));
        assert_eq!(inspect.addresses, BTreeMap::from([("net".to_owned(), "10.89.0.2".to_owned())]));
    }

    #[test]
    fn a_process_that_is_gone_is_no_process() {
        let text = include_str!("inspect/podman-4.3.json").replace(r#""Pid": 0"#, r#""Pid": 4194305"#);
        let body: Body = serde_json::from_str(&text).unwrap();
        assert_eq!(Inspect::from(body).process, None);
    }
}
