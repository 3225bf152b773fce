//! What the node makes for the app: networks, secrets, certificates, files.

use super::Check;
use crate::rule::Rule;

/// Networks that every engine has.
const ENGINE_NETWORKS: &[&str] = &["bridge", "default", "host", "none", "podman", "slirp4netns", "pasta"];
/// The longest that browsers accept a certificate for.
const MAX_CERT_DAYS: u32 = 825;

impl Check<'_> {
    pub(super) fn supply(&mut self) {
        let m = self.manifest;
        for (name, network) in &m.networks {
            let network = network.unwrap_or_default();
            let at = format!("networks.{name}");
            if network.external && ENGINE_NETWORKS.contains(&name.as_str()) {
                self.say(Rule::ReservedId, &at, "this network is the engine's own", "choose another name");
            }
            if network.external && network.internal {
                let message = "what a shared network is, is not this app's to say";
                self.say(Rule::NetworkMode, &at, message, "remove internal");
            }
        }
        for (name, secret) in &m.secrets {
            let at = format!("secrets.{name}");
            match (&secret.generate, secret.external) {
                (None, false) => {
                    let remedy = "add generate: {bytes: 24}, or external: true for one that the owner gives";
                    self.say(Rule::SecretSource, &at, "nobody makes this secret", remedy);
                }
                (Some(_), true) => {
                    let message = "a secret is generated or given, not both";
                    self.say(Rule::SecretSource, &at, message, "keep generate or external");
                }
                (Some(generate), false) if !(16..=256).contains(&generate.bytes) => {
                    let field = format!("{at}.generate.bytes");
                    self.say(Rule::SecretLength, &field, "too few or too many bytes", "use 16 to 256");
                }
                _ => {}
            }
        }
        for (name, cert) in &m.certs {
            let at = format!("certs.{name}");
            if !cert.self_signed {
                let message = "only certificates that sign themselves are made";
                self.say(Rule::Cert, &format!("{at}.self_signed"), message, "write true, or leave it out");
            }
            if cert.sans.is_empty() {
                let message = "a certificate needs a name that it is good for";
                self.say(Rule::Cert, &format!("{at}.sans"), message, "add \"{{HOST_IP}}\" or a host name");
            }
            if !(1..=MAX_CERT_DAYS).contains(&cert.days) {
                self.say(Rule::Cert, &format!("{at}.days"), "browsers refuse this", "use 1 to 825");
            }
            for (i, san) in cert.sans.iter().enumerate() {
                self.san(&format!("{at}.sans[{i}]"), san);
            }
        }
        for (name, config) in &m.configs {
            let at = format!("configs.{name}");
            match (&config.content, &config.file) {
                (None, None) => {
                    let remedy = "add content: with the text, or file: with a path in the manifest's folder";
                    self.say(Rule::ConfigSource, &at, "this file has no text", remedy);
                }
                (Some(_), Some(_)) => {
                    self.say(Rule::ConfigSource, &at, "this file has two texts", "keep content or file");
                }
                (Some(content), None) => self.config_text(&format!("{at}.content"), content),
                (None, Some(_)) => {}
            }
        }
    }
}
