//! One call of the engine: its deadline, and what its errors mean.

use super::raw::chain;
use crate::{EngineError, Result};
use std::{future::Future, time::Duration};

/// A call that is made: for its deadline and for the translation of its errors.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Name of the trait's method.
    pub(super) name: &'static str,
    /// What it is about, for instance `container demo_web`.
    pub(super) subject: String,
    /// The image that the call needs.
    image: Option<String>,
    /// When to give up.
    deadline: Duration,
    /// Whether the request carries what a person wrote, so that an unknown refusal is theirs and not the engine's.
    authored: bool,
    /// Whether it starts a container: what is wrong with that is known by its words, and all else is the engine's.
    starts: bool,
}

impl Call {
    pub(super) fn new(name: &'static str, subject: String, seconds: u64) -> Self {
        Self {
            name,
            subject,
            image: None,
            deadline: Duration::from_secs(seconds),
            authored: false,
            starts: false,
        }
    }

    pub(super) fn container(name: &'static str, container: &str, seconds: u64) -> Self {
        Self::new(name, format!("container {container}"), seconds)
    }

    pub(super) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A call whose effect must not come after its answer has no deadline.
    pub(super) fn patient(mut self) -> Self {
        self.deadline = Duration::MAX;
        self
    }

    pub(super) fn image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    pub(super) fn authored(mut self) -> Self {
        self.authored = true;
        self
    }

    pub(super) fn starting(mut self) -> Self {
        self.starts = true;
        self
    }

    /// Runs the call under its deadline.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| {
            Err(EngineError::Timeout { call: self.name, subject: self.subject.clone(), after: self.deadline })
        })
    }

    /// Runs a call of podman-api under the deadline.
    pub(super) async fn api<T>(&self, work: impl Future<Output = podman_api::Result<T>>) -> Result<T> {
        self.run(async { work.await.map_err(|error| self.api_error(error)) }).await
    }

    pub(super) fn not_understood(&self, message: impl ToString) -> EngineError {
        EngineError::Protocol { call: self.name, message: message.to_string() }
    }

    /// Translates an error of podman-api at the boundary; its `clone()` recurses for ever, so it goes no further.
    pub(super) fn api_error(&self, error: podman_api::Error) -> EngineError {
        use podman_api::{Error as Api, conn::Error as Conn};
        match error {
            Api::Fault { code, message } | Api::Error(Conn::Fault { code, message }) => {
                self.fault(code.as_u16(), &message)
            }
            Api::IO(_)
            | Api::Error(Conn::IO(_) | Conn::Hyper(_) | Conn::ConnectionNotUpgraded | Conn::Any(_)) => {
                EngineError::Unreachable { message: chain(&error) }
            }
            _ => self.not_understood(chain(&error)),
        }
    }

    /// Translates a refusal by its cause. Versions disagree about status codes, so the words come first.
    pub(super) fn fault(&self, status: u16, message: &str) -> EngineError {
        let subject = self.subject.clone();
        let words = message.to_lowercase();
        let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
        let message = message.trim().to_owned();

        if says(&["no space left on device", "disk quota exceeded"]) {
            return EngineError::NoSpace { subject };
        }
        if says(DAMAGED) && self.image.is_none() {
            return EngineError::Damaged { subject, message };
        }
        if says(BROKEN) || says(DAMAGED) {
            return EngineError::Broken { subject, message };
        }
        if says(&["address already in use", "port is already allocated"]) {
            return EngineError::PortInUse { subject, message };
        }
        if let Some(image) = &self.image {
            if says(IMAGE_MISSING) {
                return EngineError::ImageMissing { image: image.clone() };
            }
            if says(REGISTRY_AWAY) {
                return EngineError::RegistryUnreachable { image: image.clone(), message };
            }
        }
        if status == 409 || says(CONFLICT) {
            return EngineError::Conflict { subject, message };
        }
        // A network or secret that a container's spec merely mentions is not the subject of the call.
        let mentions = self.authored || self.starts;
        if says(&["no such container"]) || !mentions && (status == 404 || says(NOT_FOUND)) {
            return EngineError::NotFound { subject };
        }
        if self.starts && says(UNSTARTABLE) {
            return EngineError::Refused { subject, message };
        }
        if self.authored || (400..500).contains(&status) || says(REFUSED) {
            return EngineError::Refused { subject, message };
        }
        EngineError::Broken { subject, message }
    }
}

/// The engine's own storage or database is damaged.
const BROKEN: &[&str] = &["opening database", "database disk image is malformed", "file is not a database"];

/// Files of one container or image are gone from the engine's storage.
const DAMAGED: &[&str] = &["getting graph driver info", "layer not known"];

/// The image is not here, or the registry does not have it.
const IMAGE_MISSING: &[&str] = &[
    "image not known",
    "no such image",
    "manifest unknown",
    "name unknown",
    "requested access to the resource is denied",
    "short-name resolution",
    "did not resolve to an alias",
];

/// The registry cannot be asked.
const REGISTRY_AWAY: &[&str] = &[
    "pinging container registry",
    "dial tcp",
    "i/o timeout",
    "no such host",
    "connection refused",
    "connection reset",
    "tls handshake",
    "toomanyrequests",
];

const CONFLICT: &[&str] = &[
    "already in use",
    "name in use",
    "already exists",
    "container state improper",
    "is being used",
    "in use by a container",
    "has dependent containers",
];

const NOT_FOUND: &[&str] =
    &["no such volume", "no such secret", "no such exec session", "network not found", "image not known"];

/// What is wrong with a container that does not start: its command, its user, its mounts, its ports.
const UNSTARTABLE: &[&str] = &[
    "oci runtime",
    "oci permission denied",
    "runc create failed",
    "crun:",
    "unable to start container process",
    "executable file",
    "cannot expose privileged port",
    "unable to find user",
    "unable to find group",
    "statfs",
    "error mounting",
    "no such device",
    "no such secret",
    "network not found",
    "no such volume",
    "bind: permission denied",
    "cannot assign requested address",
];

const REFUSED: &[&str] = &["invalid argument", "invalid signal", "must be larger than 0"];

#[cfg(test)]
mod tests;
