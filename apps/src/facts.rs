//! What people are told of an app in full, made from its manifest.

use crate::{
    Manifest,
    manifest::{Architecture, BackupMode, Require, Rollback, VolumeType},
    meet,
};
use protocol::{
    AppFacts, AppId, DataFact, MachineNeeds, NetworkFact, PortFact, RequireFact, SecretFact, UpdateFact,
};
use std::{collections::BTreeMap, path::Path};

impl Architecture {
    /// As image indexes write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// This machine's processor in the words of image indexes; Rust's own word where they have none.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Manifest {
    /// The facts of this manifest. `others` are the apps of node and catalog, those that are on the node first;
    /// `data_dir` is the app's own folder. What the machine has and what does not fit is left to the caller.
    pub fn facts(&self, others: &[&Self], data_dir: &Path) -> AppFacts {
        let metadata = &self.metadata;
        AppFacts {
            id: self.id.clone(),
            version: self.version.clone(),
            installed: false,
            description: metadata.description.clone(),
            license: metadata.license.clone(),
            website: metadata.website.clone(),
            repo: metadata.repo.clone(),
            support: metadata.support.clone(),
            author: metadata.author.as_ref().map(|author| author.name.clone()),
            release_notes: metadata.release_notes.clone(),
            needs: MachineNeeds {
                architectures: self.architectures.iter().map(|a| a.as_str().to_owned()).collect(),
                architecture: architecture().to_owned(),
                memory: self.requirements.memory.map(|size| size.0),
                memory_there: None,
                storage: self.requirements.storage.map(|size| size.0),
                storage_there: None,
                devices: self.requirements.devices.clone(),
            },
            requires: self.requires.iter().map(|require| self.require_fact(require, others)).collect(),
            ports: self.port_facts(),
            data: self.data_facts(data_dir),
            networks: self.network_facts(),
            secrets: self
                .secrets
                .iter()
                .map(|(name, secret)| SecretFact { name: name.clone(), external: secret.external })
                .collect(),
            backup_stops: self.backup.mode == BackupMode::Stop,
            update: None,
            problems: Vec::new(),
        }
    }

    /// What an update to this manifest would bring.
    pub fn update_fact(&self) -> UpdateFact {
        UpdateFact {
            version: self.version.clone(),
            release_notes: self.metadata.release_notes.clone(),
            backs_up: self.update.snapshot,
            rolls_back: self.update.rollback == Rollback::Auto,
        }
    }

    fn require_fact(&self, require: &Require, others: &[&Self]) -> RequireFact {
        let mut providers: Vec<AppId> = Vec::new();
        for other in others.iter().filter(|other| other.id != self.id) {
            let would_do = meet::is_named(require, &other.id, &other.provides);
            if would_do && !providers.contains(&other.id) {
                providers.push(other.id.clone());
            }
        }
        RequireFact {
            name: meet::name(require).to_owned(),
            providers,
            gate: require.gate.clone(),
            version: require.version.clone(),
            optional: require.optional,
            reason: require.reason.clone(),
        }
    }

    fn port_facts(&self) -> Vec<PortFact> {
        let ports = self.services.iter().flat_map(|(name, service)| {
            service.ports.iter().map(|port| PortFact {
                service: name.clone(),
                published: port.published,
                target: port.target,
                protocol: port.protocol.as_str().to_owned(),
                host_ip: port.host_ip.clone(),
            })
        });
        ports.collect()
    }

    /// Volumes and folders, each once, whoever uses it.
    fn data_facts(&self, data_dir: &Path) -> Vec<DataFact> {
        let mut places: BTreeMap<(bool, &str), DataFact> = BTreeMap::new();
        for (name, service) in &self.services {
            for volume in &service.volumes {
                let folder = volume.r#type == VolumeType::Bind;
                let fact = places.entry((folder, &volume.source)).or_insert_with(|| DataFact {
                    name: volume.source.clone(),
                    place: match folder {
                        true => data_dir.join(&volume.source).display().to_string(),
                        false => self.scoped(&volume.source),
                    },
                    folder,
                    services: Vec::new(),
                    backed_up: self.backup.include.is_empty() || self.backup.include.contains(&volume.source),
                });
                if !fact.services.contains(name) {
                    fact.services.push(name.clone());
                }
            }
        }
        places.into_values().collect()
    }

    fn network_facts(&self) -> Vec<NetworkFact> {
        let networks = self.networks.iter().map(|(name, network)| {
            let network = network.unwrap_or_default();
            NetworkFact { name: name.clone(), external: network.external, internal: network.internal }
        });
        networks.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1.0"
architectures: [amd64]
metadata: {tagline: Sells, license: MIT}
requires: [{capability: chain, gate: synced, version: ">=1", reason: it reads blocks}]
requirements: {memory: 1G}
secrets: {db-pass: {generate: {bytes: 24, encoding: hex}}}
volumes: {db: {}}
networks: {inner: {internal: true}}
services:
  web:
    image: localhost/web:1
    ports: [{target: 80, published: 8080, name: http, host_ip: 127.0.0.1}]
    networks: {inner: }
    secrets: [{source: db-pass}]
    volumes: [{type: volume, source: db, target: /read, read_only: true}]
  db:
    image: localhost/db:1
    volumes: [{type: volume, source: db, target: /data}, {type: bind, source: conf, target: /conf}]
    networks: {inner: }
interfaces: {main: {service: web, port: http}}
backup: {include: [db]}
"#;

    #[test]
    fn facts_tell_each_place_of_data_once_and_no_value_of_a_secret() {
        let shop = Manifest::parse(APP).unwrap();
        let facts = shop.facts(&[], Path::new("/node/data/shop"));
        let data: Vec<_> =
            facts.data.iter().map(|d| (d.place.as_str(), d.services.len(), d.backed_up)).collect();
        assert_eq!(data, [("shop_db", 2, true), ("/node/data/shop/conf", 1, false)]);
        assert_eq!(facts.secrets, [SecretFact { name: "db-pass".into(), external: false }]);
        assert_eq!(facts.ports[0].published, 8_080);
        assert!(facts.networks[0].internal);
        assert_eq!(facts.needs.memory, Some(1 << 30));
        assert_eq!(facts.needs.architectures, ["amd64"]);
        assert!(facts.requires[0].providers.is_empty());
        let update = shop.update_fact();
        assert!(update.backs_up && update.rolls_back);
    }

    #[test]
    fn facts_name_whoever_would_do_once() {
        let shop = Manifest::parse(APP).unwrap();
        let mut node = Manifest::parse(APP).unwrap();
        node.id = "btc".parse().unwrap();
        node.provides = vec!["chain".into()];
        let facts = shop.facts(&[&node, &shop, &node], Path::new("/"));
        assert_eq!(facts.requires[0].providers, [node.id]);
        assert_eq!(facts.requires[0].gate.as_deref(), Some("synced"));
    }
}
