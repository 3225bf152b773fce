//! An app in the formats of others, for people who want to leave, and to see what the engine will be asked.
//!
//! No export holds a secret: what is secret is named, and has to be made by hand, as the notes at the top say.

mod compose;
mod kube;
mod podman;
mod quadlet;

use crate::{ContainerSpec, Manifest, Rendered, RenderedService, Variable};

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Manifest {
    /// What this node would ask its engine for.
    pub fn to_requests(&self, rendered: &Rendered) -> serde_json::Value {
        podman::requests(self, rendered)
    }

    /// The app as a compose file. What compose has no word for stands under `x-archipelago`, so that an import of the
    /// file is the same app again.
    pub fn to_compose(&self) -> ExportFile {
        ExportFile { name: "compose.yml".into(), text: compose::text(self) }
    }

    /// The app as units for Podman's generator (Quadlet): one per container, volume and network.
    pub fn to_quadlet(&self, rendered: &Rendered) -> Vec<ExportFile> {
        quadlet::files(self, rendered)
    }

    /// The app as pods for `podman kube play`: one per service.
    pub fn to_kube(&self, rendered: &Rendered) -> ExportFile {
        ExportFile { name: "kube.yml".into(), text: kube::text(self, rendered) }
    }
}

/// A service's container with the network that its anchor holds for it here; elsewhere it has its own.
fn whole(service: &RenderedService) -> ContainerSpec {
    let mut spec = service.spec.clone();
    if let Some(anchor) = &service.anchor {
        spec.ports = anchor.ports.clone();
        spec.networks = anchor.networks.clone();
        spec.sysctls.extend(anchor.sysctls.clone());
        spec.network_of = None;
    }
    // The labels of this node would make it take the container for its own.
    spec.labels.retain(|key, _| !key.starts_with("archipelago."));
    spec
}

/// What has to be done by hand, in the same words for every format.
fn by_hand(manifest: &Manifest, rendered: &Rendered) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: String| notes.push(text);
    for require in &manifest.requires {
        let other = require.app.as_ref().map(ToString::to_string).or_else(|| require.capability.clone());
        note(format!("needs another app, and does not wait for it here: {}", other.unwrap_or_default()));
    }
    for secret in &rendered.secrets {
        note(format!("make the secret {} ({} random bytes)", secret.engine_name, secret.generate.bytes));
    }
    for name in rendered.external_secrets.values() {
        note(format!("make the secret {name} with the value that you have for it"));
    }
    for config in &rendered.configs {
        note(format!("write the file {} and fill in its variables", config.path.display()));
    }
    for cert in &rendered.certs {
        note(format!("put tls.crt and tls.key into {}", cert.dir.display()));
    }
    for variable in &rendered.unresolved {
        note(format!("replace the variable {variable}"));
    }
    for (name, service) in &manifest.services {
        for (kind, probe) in [("startup", &service.probes.startup), ("liveness", &service.probes.liveness)] {
            if probe.is_some() {
                note(format!("the {kind} probe of {name} is left out"));
            }
        }
    }
    notes
}

/// Whether a variable is one that stays the same on one machine.
fn is_fact(variable: &Variable) -> bool {
    matches!(variable, Variable::HostIp | Variable::HostMdns | Variable::NetworkGateway)
}
