//! Advice on volumes, files and backups.

use super::{Advice, database, names};
use crate::{
    manifest::{BackupMode, Service, VolumeType},
    rule::Rule,
};
use protocol::ServiceName;
use std::collections::BTreeMap;

impl<'a> Advice<'a> {
    pub(super) fn data(&mut self, name: &ServiceName, at: &str, service: &Service) {
        if let Some(dumped) = database(service) {
            if service.volumes.is_empty() && dumped {
                let message = "this program keeps data, and nothing keeps them beyond its container";
                self.say(Rule::NoVolume, &format!("{at}.volumes"), message);
            }
            for (i, port) in service.ports.iter().enumerate() {
                let inside = port.host_ip.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
                if !inside {
                    let message =
                        format!("port {} of a database is open to the whole network", port.published);
                    self.say(Rule::ExposedDatabase, &format!("{at}.ports[{i}]"), message);
                }
            }
            let pre = &self.manifest.backup.pre;
            if dumped
                && !service.volumes.is_empty()
                && self.kept(service)
                && !pre.iter().any(|one| one.service == *name)
            {
                self.say(Rule::NoDump, at, "its files are copied as they are");
            }
        }
        let tmp = |path: &String| path.trim_end_matches('/') == "/tmp";
        let mounted = service.volumes.iter().any(|volume| tmp(&volume.target));
        if service.read_only && !mounted && !service.tmpfs.iter().any(tmp) {
            self.say(Rule::ReadOnlyTmp, &format!("{at}.read_only"), "nothing can be written to /tmp");
        }
        for (i, used) in service.configs.iter().enumerate() {
            let config = self.manifest.configs.get(&used.source);
            if config.is_some_and(|config| !config.overwrite) {
                let message = format!("the app is to change {}, and cannot", used.source);
                self.say(Rule::ReadOnlyConfig, &format!("{at}.configs[{i}]"), message);
            }
        }
        if service.deploy.resources.limits.memory.is_none() {
            self.say(Rule::NoMemoryLimit, at, "this service may take all memory of the machine");
        }
    }

    /// Whether one of its volumes is in the backup.
    fn kept(&self, service: &Service) -> bool {
        let include = &self.manifest.backup.include;
        include.is_empty() || service.volumes.iter().any(|volume| include.contains(&volume.source))
    }

    pub(super) fn volumes(&mut self) {
        let mut users: BTreeMap<&'a str, Vec<(&'a ServiceName, bool)>> = BTreeMap::new();
        for (name, service) in &self.manifest.services {
            for volume in service.volumes.iter().filter(|volume| volume.r#type == VolumeType::Volume) {
                users.entry(&volume.source).or_default().push((name, !volume.read_only));
            }
        }
        for (volume, users) in users {
            let field = format!("volumes.{volume}");
            let mut writers: Vec<&ServiceName> =
                users.iter().filter(|(_, writes)| *writes).map(|(name, _)| *name).collect();
            writers.dedup();
            match writers.as_slice() {
                [] => self.say(Rule::NoWriter, &field, "nobody writes this volume"),
                [_] => {}
                many => self.say(Rule::SharedVolume, &field, format!("{} write this volume", names(many))),
            }
        }
    }

    pub(super) fn backup(&mut self) {
        let backup = &self.manifest.backup;
        if backup.mode == BackupMode::Online && backup.pre.is_empty() {
            self.say(Rule::OnlineBackup, "backup.mode", "the data change while they are copied");
        }
    }
}
