//! What the engine is asked to create for one service: the result of rendering a manifest.
//!
//! Two things are not in here because they hold always: all capabilities are dropped unless named in `cap_add`,
//! and `no-new-privileges` is set.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Label with the app's id.
pub const LABEL_APP: &str = "archipelago.app";
/// Label with the service's name.
pub const LABEL_SERVICE: &str = "archipelago.service";
/// Label with the BLAKE3 of the rendered configuration, see [`ContainerSpec::digest`].
pub const LABEL_DIGEST: &str = "archipelago.digest";
/// Label with the BLAKE3 of the files that the node writes for the container, so that a changed file is a changed
/// configuration.
pub const LABEL_FILES: &str = "archipelago.files";
/// Label with the id of the node that made it, so that two nodes of one user leave each other's containers alone.
pub const LABEL_NODE: &str = "archipelago.node";
/// Label that tells an anchor from the container that joins its network.
pub const LABEL_ROLE: &str = "archipelago.role";

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port of the container that is published on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Address on the host, empty for all.
    pub host_ip: String,
    /// Port on the host.
    pub published: u16,
    /// Port in the container.
    pub target: u16,
    /// Protocol.
    pub protocol: PortProtocol,
}

/// A volume or host directory in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it comes from.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether the engine gives what is in it to the container's user at every start.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chown: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A named volume of the engine.
    Volume(String),
    /// A directory or file on the host.
    Bind(PathBuf),
}

/// A secret of the engine, shown to the container as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMount {
    /// The secret's name in the engine.
    pub source: String,
    /// File name under `/run/secrets`, or an absolute path.
    pub target: String,
    /// Owner in the container.
    pub uid: u32,
    /// Group in the container.
    pub gid: u32,
    /// Mode bits.
    pub mode: u32,
}

/// Everything that the engine needs to create one container.
///
/// What is as usual is left out of its canonical JSON, so that a new kind of setting changes no digest but those of the
/// containers that use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment; never holds a secret.
    pub environment: BTreeMap<String, String>,
    /// `uid[:gid]` or a name of the image.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Host name in the container.
    pub hostname: Option<String>,
    /// Whether an init process forwards signals and reaps zombies.
    pub init: bool,
    /// Labels, [`LABEL_APP`] and its kin included.
    pub labels: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Volumes and host directories.
    pub mounts: Vec<Mount>,
    /// Paths with a tmpfs.
    pub tmpfs: Vec<String>,
    /// Secrets as files.
    pub secrets: Vec<SecretMount>,
    /// Networks by name, each with the container's aliases on it. Empty: the engine's default.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Name of the container whose network it joins; it then has no networks and ports of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network_of: Option<String>,
    /// Capabilities to keep.
    pub cap_add: Vec<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Signal that asks for the end.
    pub stop_signal: Option<String>,
    /// How long it may take to end before it is killed.
    pub stop_grace: Duration,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// Limit of the number of processes.
    pub pids: Option<u32>,
    /// Secrets as environment variables: the variable, and the secret's name in the engine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret_env: BTreeMap<String, String>,
    /// Whether it has no network at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_network: bool,
    /// Limit of processor time in thousandths of a processor.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_millis: Option<u32>,
    /// Size of `/dev/shm` in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shm_size: Option<u64>,
    /// Devices, each `path on the host:path in the container:permissions`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub devices: Vec<String>,
    /// Kernel settings of its namespaces.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits of its processes by their names, each with its soft and its hard value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ulimits: BTreeMap<String, (u64, u64)>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ContainerSpec {
    /// BLAKE3 of the canonical JSON of everything but the digest label itself.
    ///
    /// It is computed from what was rendered, never from what the engine echoes back, so that the comparison converges.
    pub fn digest(&self) -> String {
        let mut bare = self.clone();
        bare.labels.remove(LABEL_DIGEST);
        // Struct fields keep their order and maps are sorted, so this serialization is canonical.
        let json = serde_json::to_vec(&bare).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }
}
