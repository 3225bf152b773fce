//! The manifest: `apps/catalog/<id>/manifest.yml`.
//!
//! Keys of services are compose-spec's, probes are Kubernetes', supervision is OTP's.
//! Unknown keys are refused, except those that begin with `x-`.
//! What is here is the full form; where compose has a short one, it is read as the full one.

mod depend;
pub(crate) mod form;
mod gate;
mod lifecycle;
mod metadata;
mod mount;
mod name;
mod port;
pub(crate) mod probe;
mod service;
mod supervision;
mod supply;

pub use depend::{Condition, Dependency, OnLost, Require, RequireCondition};
pub use gate::{Auth, Count, Gate, GateFailure, GateProbe, Impossible, JsonRpc, Pointer, Ready};
pub use lifecycle::{
    Adopt, AdoptPolicy, Backup, BackupMode, CopyFromHost, Hook, Hooks, Interface, KeepData, OpenIn,
    Requirements, Rollback, ServiceExec, Uninstall, Update,
};
pub use metadata::{Architecture, Author, Kind, Metadata};
pub use mount::{Device, Owner, ServiceCert, ServiceConfig, ServiceSecret, Volume, VolumeType};
pub(crate) use name::{NAME_PATTERN, Name};
pub use port::{Port, Protocol};
pub use probe::{Exec, Healthcheck, HttpGet, LifecycleHook, Probe, Probes, Scheme, TcpSocket, Test, Ulimit};
pub use service::{
    Attachment, Build, Deploy, Limits, NetworkMode, PullPolicy, Resources, RestartPolicy, Service,
};
pub use supervision::{BackoffSpec, Strategy, Supervision};
pub use supply::{Cert, Config, Encoding, Generate, Network, Nothing, Secret};

use protocol::{AppId, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use supply::ByName;

/// An app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this format: 1.
    pub manifest_version: u32,
    /// Id; also the name of the folder.
    #[schemars(with = "Name")]
    pub id: AppId,
    /// Name for people.
    pub name: String,
    /// Version of the app, opaque: the catalog's order says which is newer.
    pub version: String,
    /// What kind of thing it is.
    #[serde(default)]
    pub kind: Kind,
    /// For people.
    #[serde(default)]
    pub metadata: Metadata,
    /// Processors it runs on; default all.
    #[serde(default)]
    pub architectures: Vec<Architecture>,
    /// What it offers to other apps, for instance `bitcoin`.
    #[serde(default)]
    #[schemars(with = "Vec<Name>")]
    pub provides: Vec<String>,
    /// Apps that cannot be installed beside it.
    #[serde(default)]
    #[schemars(with = "Vec<Name>")]
    pub conflicts: Vec<AppId>,
    /// Other apps that it needs.
    #[serde(default)]
    pub requires: Vec<Require>,
    /// Conditions that it exports for others to wait for.
    #[serde(default)]
    #[schemars(with = "ByName<Gate>")]
    pub gates: BTreeMap<String, Gate>,
    /// How failures of its containers are met.
    #[serde(default)]
    pub supervisor: Supervision,
    /// What it needs of the machine.
    #[serde(default)]
    pub requirements: Requirements,
    /// Secrets.
    #[serde(default)]
    #[schemars(with = "ByName<Secret>")]
    pub secrets: BTreeMap<String, Secret>,
    /// Certificates.
    #[serde(default)]
    #[schemars(with = "ByName<Cert>")]
    pub certs: BTreeMap<String, Cert>,
    /// Files.
    #[serde(default)]
    #[schemars(with = "ByName<Config>")]
    pub configs: BTreeMap<String, Config>,
    /// Named volumes.
    #[serde(default)]
    #[schemars(with = "ByName<Option<Nothing>>")]
    pub volumes: BTreeMap<String, Option<Nothing>>,
    /// Networks of this app.
    #[serde(default)]
    #[schemars(with = "ByName<Option<Network>>")]
    pub networks: BTreeMap<String, Option<Network>>,
    /// Its containers.
    #[serde(default)]
    #[schemars(with = "ByName<Service>")]
    pub services: BTreeMap<ServiceName, Service>,
    /// What people open.
    #[serde(default)]
    #[schemars(with = "ByName<Interface>")]
    pub interfaces: BTreeMap<String, Interface>,
    /// What is done at fixed points.
    #[serde(default)]
    pub hooks: Hooks,
    /// What a backup holds.
    #[serde(default)]
    pub backup: Backup,
    /// How it is updated.
    #[serde(default)]
    pub update: Update,
    /// What happens to the data at uninstall.
    #[serde(default)]
    pub uninstall: Uninstall,
    /// Containers that were made by something else and become this app's.
    pub adopt: Option<Adopt>,
}
