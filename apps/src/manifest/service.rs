//! One container of an app, in compose's words.

use super::form::Form;
use super::form::{Named, Pairs, Short, Texts, Words, each, many, maybe_words, named, pairs, texts, wrong};
use super::{
    Dependency, Device, Healthcheck, LifecycleHook, Name, Port, Probe, Probes, ServiceCert, ServiceConfig,
    ServiceSecret, Ulimit, Volume,
};
use crate::value::{Cpus, Size, Span};
use protocol::ServiceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::Error};
use std::{collections::BTreeMap, time::Duration};

/// Image to build; in short its context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Folder within the manifest's folder.
    pub context: String,
    /// Containerfile within the context.
    #[serde(default = "containerfile")]
    pub dockerfile: String,
    /// Build arguments.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Pairs")]
    pub args: BTreeMap<String, String>,
}

fn containerfile() -> String {
    "Containerfile".into()
}

impl Short for Build {
    const FORMAT: &'static str = "path";
    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { context: text.to_owned(), dockerfile: containerfile(), args: BTreeMap::new() })
    }
}

fn build<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Build>, D::Error> {
    Option::<Form<Build>>::deserialize(from)?.map(Form::full).transpose().map_err(D::Error::custom)
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// Unless it is there.
    #[default]
    #[serde(alias = "if_not_present")]
    Missing,
    /// At every install and update.
    Always,
    /// Never: it must be there.
    Never,
    /// It is built.
    Build,
}

/// Which network a container is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// One of its own, or those under `networks`.
    #[default]
    Bridge,
    /// The host's. Refused by policy.
    Host,
    /// None.
    None,
}

/// Which ends of a container lead to a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RestartPolicy {
    /// All.
    #[default]
    Always,
    /// All; the same, as a user's stop always holds here.
    UnlessStopped,
    /// Those with an exit code other than 0. How often is `supervisor`'s to say, so compose's `:n` changes nothing.
    OnFailure,
    /// None.
    No,
}

impl TryFrom<String> for RestartPolicy {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "always" => Ok(Self::Always),
            "unless-stopped" => Ok(Self::UnlessStopped),
            "no" => Ok(Self::No),
            "on-failure" => Ok(Self::OnFailure),
            other if other.strip_prefix("on-failure:").is_some_and(|n| n.parse::<u32>().is_ok()) => {
                Ok(Self::OnFailure)
            }
            other => Err(wrong(
                format!("{other:?} is no restart policy"),
                "use always, unless-stopped, on-failure or no",
            )),
        }
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        match policy {
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::OnFailure => "on-failure",
            RestartPolicy::No => "no",
        }
        .into()
    }
}

/// A container's place on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attachment {
    /// Further names on this network; the service's own name is always one.
    pub aliases: Vec<String>,
}

/// Limits, as compose nests them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Deploy {
    /// Resources.
    pub resources: Resources,
}

/// Limits, as compose nests them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// Upper limits.
    pub limits: Limits,
}

/// Upper limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Processors, for instance `"1.5"`.
    pub cpus: Option<Cpus>,
    /// Memory.
    pub memory: Option<Size>,
    /// Processes.
    pub pids: Option<u32>,
}

/// One container of an app, in compose's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Image reference; this or `build`.
    pub image: Option<String>,
    /// Image to build; this or `image`.
    #[serde(default, deserialize_with = "build")]
    #[schemars(with = "Option<Form<Build>>")]
    pub build: Option<Build>,
    /// When the image is pulled.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Name in the engine; default `<app>-<service>`. Also the name under which an existing container is adopted.
    pub container_name: Option<String>,
    /// Replaces the image's entrypoint.
    #[serde(default, deserialize_with = "maybe_words")]
    #[schemars(with = "Option<Words>")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    #[serde(default, deserialize_with = "maybe_words")]
    #[schemars(with = "Option<Words>")]
    pub command: Option<Vec<String>>,
    /// Environment. It is no place for secrets: everybody who can inspect the container reads it.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Pairs")]
    pub environment: BTreeMap<String, String>,
    /// Names of `configs` whose lines `NAME=value` are added to the environment.
    #[serde(default, deserialize_with = "texts")]
    #[schemars(with = "Texts")]
    pub env_file: Vec<String>,
    /// `uid[:gid]`, or a name of the image.
    #[serde(default, deserialize_with = "maybe_text")]
    #[schemars(with = "Option<super::form::Scalar>")]
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Whether an init process forwards signals.
    #[serde(default)]
    pub init: bool,
    /// Labels of one's own.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Pairs")]
    pub labels: BTreeMap<String, String>,
    /// Secrets as files or environment variables.
    #[serde(default, deserialize_with = "many")]
    #[schemars(with = "Vec<Form<ServiceSecret>>")]
    pub secrets: Vec<ServiceSecret>,
    /// Files of `configs`.
    #[serde(default, deserialize_with = "many")]
    #[schemars(with = "Vec<Form<ServiceConfig>>")]
    pub configs: Vec<ServiceConfig>,
    /// Certificates of `certs`.
    #[serde(default)]
    pub certs: Vec<ServiceCert>,
    /// Published ports.
    #[serde(default, deserialize_with = "many")]
    #[schemars(with = "Vec<Form<Port>>")]
    pub ports: Vec<Port>,
    /// Ports that only other services use; a note, as they reach all of them anyway.
    #[serde(default, deserialize_with = "scalars")]
    #[schemars(with = "Vec<super::form::Scalar>")]
    pub expose: Vec<String>,
    /// Volumes.
    #[serde(default, deserialize_with = "many")]
    #[schemars(with = "Vec<Form<Volume>>")]
    pub volumes: Vec<Volume>,
    /// Paths with a tmpfs.
    #[serde(default, deserialize_with = "texts")]
    #[schemars(with = "Texts")]
    pub tmpfs: Vec<String>,
    /// Networks of the app, with aliases.
    #[serde(default, deserialize_with = "named")]
    #[schemars(with = "Named<String, Option<Attachment>>")]
    pub networks: BTreeMap<String, Option<Attachment>>,
    /// Which network it is on.
    #[serde(default)]
    pub network_mode: NetworkMode,
    /// What must be there before this container starts.
    #[serde(default, deserialize_with = "named")]
    #[schemars(with = "Named<Name, Dependency>")]
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// Which ends lead to a restart.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Signal that asks for the end.
    pub stop_signal: Option<String>,
    /// How long the end may take.
    #[serde(default = "ten_seconds")]
    pub stop_grace_period: Span,
    /// Compose's check of its health.
    pub healthcheck: Option<Healthcheck>,
    /// Probes.
    #[serde(default)]
    pub probes: Probes,
    /// Nothing new: all capabilities are dropped always.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Capabilities to keep; all others are dropped.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Only `no-new-privileges`, which holds always.
    #[serde(default)]
    pub security_opt: Vec<String>,
    /// Whether the root file system is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Devices.
    #[serde(default, deserialize_with = "many")]
    #[schemars(with = "Vec<Form<Device>>")]
    pub devices: Vec<Device>,
    /// Kernel settings of its namespaces.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Pairs")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits of its processes.
    #[serde(default, deserialize_with = "each")]
    #[schemars(with = "BTreeMap<String, Form<Ulimit>>")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Size of `/dev/shm`.
    pub shm_size: Option<Size>,
    /// Limits.
    #[serde(default)]
    pub deploy: Deploy,
    /// Commands in the container after its start.
    #[serde(default)]
    pub post_start: Vec<LifecycleHook>,
    /// Commands in the container before it is stopped.
    #[serde(default)]
    pub pre_stop: Vec<LifecycleHook>,
    /// Refused by policy.
    #[serde(default)]
    pub privileged: bool,
    /// Process namespace; any but the container's own is refused by policy.
    pub pid: Option<String>,
    /// IPC namespace; any but the container's own is refused by policy.
    pub ipc: Option<String>,
    /// UTS namespace; any but the container's own is refused by policy.
    pub uts: Option<String>,
    /// User namespace; any but the container's own is refused by policy.
    pub userns_mode: Option<String>,
    /// Cgroup namespace; any but the container's own is refused by policy.
    pub cgroup: Option<String>,
    /// Refused by policy.
    pub cgroup_parent: Option<String>,
}

impl Service {
    /// Whether it is on the network of all services of the app that name none.
    pub(crate) fn is_on_default_network(&self) -> bool {
        self.networks.is_empty() && self.network_mode == NetworkMode::Bridge
    }

    /// The probe that says whether the service is healthy: its own, or what compose's healthcheck stands for.
    pub fn readiness_probe(&self) -> Option<Probe> {
        self.probes.readiness.clone().or_else(|| self.healthcheck.as_ref()?.probe())
    }
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

fn maybe_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<super::form::Scalar>::deserialize(from)?.map(|text| text.0))
}

fn scalars<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<super::form::Scalar>::deserialize(from)?.into_iter().map(|text| text.0).collect())
}
