//! Advice on the environment: secrets, addresses, logs.

use super::Advice;
use crate::{manifest::Service, rule::Rule};
use protocol::ServiceName;
use std::net::Ipv4Addr;

/// Words in the names of variables that hold something secret.
const SECRET_WORDS: &[&str] = &["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
/// Ends of names of variables that only speak of something secret.
const HARMLESS: &[&str] =
    &["_FILE", "_PATH", "_DIR", "_TTL", "_LENGTH", "_ENABLED", "_LIFETIME", "_EXPIRY", "_NAME"];
/// Names of variables and options that say where logs are written.
const LOG_KEYS: &[&str] = &[
    "LOG_FILE",
    "LOGFILE",
    "LOG_PATH",
    "LOG_FILE_PATH",
    "LOG_DIR",
    "LOGDIR",
    "DEBUGLOGFILE",
    "LOG_FILENAME",
];
/// Values that switch something and keep no secret.
const SWITCHES: &[&str] = &["true", "false", "yes", "no", "on", "off", "0", "1"];

impl Advice<'_> {
    pub(super) fn environment(&mut self, name: &ServiceName, at: &str, service: &Service) {
        for (key, value) in &service.environment {
            let field = format!("{at}.environment.{key}");
            let upper = key.to_ascii_uppercase();
            let secret = SECRET_WORDS.iter().any(|word| upper.contains(word));
            let harmless = HARMLESS.iter().any(|end| upper.ends_with(end));
            let given = !value.is_empty() && !value.starts_with('/') && !value.starts_with("file:");
            if secret && !harmless && given && !SWITCHES.contains(&value.as_str()) {
                let message = "this looks like a secret that is the same on every node";
                self.say(Rule::LiteralPassword, &field, message);
            }
            self.addresses(name, &field, value);
            if LOG_KEYS.iter().any(|known| upper.ends_with(known)) && is_file(value) {
                self.say(Rule::UnboundedLogs, &field, "this file is bounded by nobody");
            }
        }
        let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        for (key, words) in [("command", words(&service.command)), ("entrypoint", words(&service.entrypoint))]
        {
            for (i, word) in words.iter().enumerate() {
                let field = format!("{at}.{key}[{i}]");
                self.addresses(name, &field, word);
                let option = word.trim_start_matches('-');
                let (option, inline) = option.split_once('=').unwrap_or((option, ""));
                let value =
                    if inline.is_empty() { words.get(i + 1).map_or("", String::as_str) } else { inline };
                let known = LOG_KEYS.contains(&option.to_ascii_uppercase().replace('-', "_").as_str());
                if word.starts_with('-') && known && is_file(value) {
                    self.say(Rule::UnboundedLogs, &field, "this file is bounded by nobody");
                }
            }
        }
    }

    fn addresses(&mut self, own: &ServiceName, field: &str, text: &str) {
        if has_password(text) {
            self.say(Rule::UrlPassword, field, "this address holds a password");
        }
        for host in text.split(|c: char| !(c.is_ascii_alphanumeric() || ".:-".contains(c))) {
            let (host, port) = host.split_once(':').unwrap_or((host, ""));
            if host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_private()) {
                self.say(Rule::HostAddress, field, format!("{host} is an address of one network"));
            }
            let itself = matches!(host, "localhost" | "127.0.0.1");
            if let (true, Ok(port)) = (itself, port.parse::<u32>()) {
                self.peer(own, field, port);
            }
        }
    }

    /// A port of this container that only another service has.
    fn peer(&mut self, own: &ServiceName, field: &str, port: u32) {
        let has = |service: &Service| {
            service.ports.iter().any(|one| one.target == port)
                || service.expose.iter().any(|one| one.parse() == Ok(port))
        };
        if self.manifest.services.get(own).is_some_and(has) {
            return;
        }
        let other = self.manifest.services.iter().find(|(name, service)| *name != own && has(service));
        if let Some((other, _)) = other {
            self.say(Rule::LocalhostPeer, field, format!("port {port} is {other}'s, not this container's"));
        }
    }
}

/// Whether it is a file, as opposed to a stream of the process.
fn is_file(value: &str) -> bool {
    value.starts_with('/') && !value.starts_with("/dev/") && !value.starts_with("/proc/")
}

/// Whether there is a `scheme://user:password@`.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '?']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let password = user.split_once(':').map_or("", |(_, password)| password);
        !password.is_empty() && !password.starts_with(['$', '{'])
    })
}
