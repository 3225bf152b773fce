//! What is mounted into a container.

use super::{Check, service::is_env_name};
use crate::{
    manifest::{Service, ServiceSecret, VolumeType},
    rule::Rule,
    yaml::shown,
};
use std::collections::BTreeMap;

/// Where secrets are files.
const SECRETS: &str = "/run/secrets/";

impl Check<'_> {
    pub(super) fn mounts(&mut self, at: &str, service: &Service) {
        let mut places: Vec<(String, String)> = Vec::new();
        for (i, volume) in service.volumes.iter().enumerate() {
            let at = format!("{at}.volumes[{i}]");
            if volume.r#type == VolumeType::Volume {
                let known = self.manifest.volumes.contains_key(&volume.source);
                let field = format!("{at}.source");
                self.declared(Rule::UnknownVolume, &field, "volume", &volume.source, known);
            }
            self.container_path(&format!("{at}.target"), &volume.target);
            places.push((format!("{at}.target"), volume.target.clone()));
        }
        for (i, path) in service.tmpfs.iter().enumerate() {
            let field = format!("{at}.tmpfs[{i}]");
            self.container_path(&field, path);
            places.push((field, path.clone()));
        }
        for (i, config) in service.configs.iter().enumerate() {
            let at = format!("{at}.configs[{i}]");
            let known = self.manifest.configs.contains_key(&config.source);
            self.declared(Rule::UnknownConfig, &format!("{at}.source"), "config", &config.source, known);
            let field = format!("{at}.target");
            if known {
                self.container_path(&field, &config.path());
            }
            places.push((field, config.path()));
        }
        for (i, cert) in service.certs.iter().enumerate() {
            let at = format!("{at}.certs[{i}]");
            let known = self.manifest.certs.contains_key(&cert.source);
            self.declared(Rule::UnknownCert, &format!("{at}.source"), "cert", &cert.source, known);
            let field = format!("{at}.target");
            self.container_path(&field, &cert.target);
            places.push((field, cert.target.clone()));
        }
        self.secrets(at, service, &mut places);
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (field, place) in places {
            let place = place.trim_end_matches('/').to_owned();
            if let Some(other) = taken.insert(place, field.clone()) {
                let message = format!("{other} is mounted there, too");
                self.say(Rule::DuplicateMount, &field, message, "give each its own place");
            }
        }
    }

    fn secrets(&mut self, at: &str, service: &Service, places: &mut Vec<(String, String)>) {
        for (i, ServiceSecret { source, target, env }) in service.secrets.iter().enumerate() {
            let at = format!("{at}.secrets[{i}]");
            let known = self.manifest.secrets.contains_key(source);
            self.declared(Rule::UnknownSecret, &format!("{at}.source"), "secret", source, known);
            if let Some(env) = env {
                let field = format!("{at}.env");
                if target.is_some() {
                    let message = "a secret is a file or a variable, not both";
                    self.say(Rule::SecretTarget, &field, message, "keep env or target");
                }
                if !is_env_name(env) {
                    let message = format!("{:?} is no name of an environment variable", shown(env));
                    self.say(Rule::Environment, &field, message, "use A-Z, a-z, 0-9 and _");
                } else if service.environment.contains_key(env) {
                    let message = "the environment has a value of this name, too";
                    self.say(Rule::SecretTarget, &field, message, "remove one of the two");
                } else if target.is_none() {
                    // Seen on Podman 4.3.1: `podman inspect` shows the value among the environment of what runs.
                    let message = "the engine would show this secret to everybody who inspects the container";
                    let remedy = "let the program read the file, most images know a variable for it: \
                                  KEY_FILE: /run/secrets/key";
                    self.say(Rule::Unsupported, &field, message, remedy);
                }
                continue;
            }
            let target = target.as_deref().unwrap_or(source);
            let field = format!("{at}.target");
            let path = if target.starts_with('/') { target.to_owned() } else { format!("{SECRETS}{target}") };
            self.container_path(&field, &path);
            places.push((field, path));
        }
        let numbers = |user: &str| user.split(':').all(|part| part.parse::<u32>().is_ok());
        let files = service.secrets.iter().any(|secret| secret.env.is_none());
        if files && service.user.as_deref().is_some_and(|user| !numbers(user)) {
            let message = "a named user could not read its secrets: their owner is given in numbers";
            self.say(Rule::SecretOwner, &format!("{at}.user"), message, "write it like 1000:1000");
        }
    }
}
