//! What is known of an app beside its row: what its manifest says, and whether it fits this machine.
//!
//! Asked for over HTTP when somebody looks at one app; nothing here changes by itself.

use crate::{AppId, Problem, ServiceName};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use {schemars::JsonSchema, ts_rs::TS};

/// An app in full: of the installed manifest, or of the catalog's where it is not installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct AppFacts {
    /// Id.
    pub id: AppId,
    /// Version.
    pub version: String,
    /// Whether these are the facts of what is installed.
    pub installed: bool,
    /// A few sentences on what it is.
    pub description: String,
    /// Licence of the app (SPDX).
    pub license: Option<String>,
    /// Website.
    pub website: Option<String>,
    /// Source code.
    pub repo: Option<String>,
    /// Where to ask for help.
    pub support: Option<String>,
    /// Who made the manifest.
    pub author: Option<String>,
    /// What is new in this version.
    pub release_notes: Option<String>,
    /// What it needs of the machine, beside what the machine has.
    pub needs: MachineNeeds,
    /// Other apps that it needs.
    pub requires: Vec<RequireFact>,
    /// Ports that it publishes.
    pub ports: Vec<PortFact>,
    /// Where its data are.
    pub data: Vec<DataFact>,
    /// Its networks.
    pub networks: Vec<NetworkFact>,
    /// Its secrets; their values are told to nobody.
    pub secrets: Vec<SecretFact>,
    /// Whether it is stopped while it is backed up.
    pub backup_stops: bool,
    /// What an update to the catalog's version would bring, where that is another one.
    pub update: Option<UpdateFact>,
    /// Why it cannot be installed beside what is on the node; empty for what is installed.
    pub problems: Vec<Problem>,
}

/// What an app needs of the machine, and what this machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct MachineNeeds {
    /// Processors it runs on; empty: on all.
    pub architectures: Vec<String>,
    /// The machine's processor, in the same words.
    pub architecture: String,
    /// Memory that it needs, in bytes.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub memory: Option<u64>,
    /// Memory of the machine in bytes, where it is known.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub memory_there: Option<u64>,
    /// Free space that it needs, in bytes.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub storage: Option<u64>,
    /// Free space for data in bytes, where it is known.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub storage_there: Option<u64>,
    /// Devices that have to be there.
    pub devices: Vec<String>,
}

/// Another app that is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct RequireFact {
    /// What is needed: an app's id or a capability.
    pub name: String,
    /// Apps that would do, those that are on the node first.
    pub providers: Vec<AppId>,
    /// The gate of it that has to be open.
    pub gate: Option<String>,
    /// Which versions will do.
    pub version: Option<String>,
    /// Whether the app runs without it, too.
    pub optional: bool,
    /// Why, for people.
    pub reason: Option<String>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct PortFact {
    /// Whose it is.
    pub service: ServiceName,
    /// Port on the node.
    pub published: u32,
    /// Port in the container.
    pub target: u32,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Address on the node; empty: all.
    pub host_ip: String,
}

/// A place where an app keeps data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct DataFact {
    /// Its name in the manifest.
    pub name: String,
    /// The volume's name in the engine, or the folder's path on the node.
    pub place: String,
    /// Whether it is a folder; else it is a volume.
    pub folder: bool,
    /// Services that use it.
    pub services: Vec<ServiceName>,
    /// Whether backups hold it.
    pub backed_up: bool,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct NetworkFact {
    /// Its name in the manifest.
    pub name: String,
    /// Whether it is shared with other apps.
    pub external: bool,
    /// Whether it leads nowhere else.
    pub internal: bool,
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct SecretFact {
    /// Its name.
    pub name: String,
    /// Whether the owner gives it; else the node generates it once.
    pub external: bool,
}

/// What an update would bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS, JsonSchema))]
pub struct UpdateFact {
    /// The version.
    pub version: String,
    /// What is new in it.
    pub release_notes: Option<String>,
    /// Whether the data are backed up before.
    pub backs_up: bool,
    /// Whether the node goes back by itself where the new version does not become ready.
    pub rolls_back: bool,
}
