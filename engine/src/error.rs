//! What can go wrong with the engine.

use std::time::Duration;

/// How an error is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Trying again may help.
    Transient,
    /// The request cannot work; the user has to change something.
    Rejected,
    /// The engine is broken; touch nothing and say so.
    Fatal,
}

/// An error of the engine, by cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The named object does not exist. Remedy: create it.
    #[error("{subject} does not exist")]
    NotFound {
        /// What was asked for.
        subject: String,
    },
    /// The name is taken, or the object's state does not allow the call. Remedy: adopt or remove what is there.
    #[error("{subject} is in the way: {message}")]
    Conflict {
        /// What was asked for.
        subject: String,
        /// The engine's words.
        message: String,
    },
    /// A published port is taken. Remedy: stop what listens there or publish another port.
    #[error("a port of {subject} is in use: {message}")]
    PortInUse {
        /// The container.
        subject: String,
        /// The engine's words.
        message: String,
    },
    /// The image is not on this machine. Remedy: pull or build it.
    #[error("image {image} is missing")]
    ImageMissing {
        /// Image reference.
        image: String,
    },
    /// The registry of an image does not answer. Remedy: wait, or mend the connection.
    #[error("the registry of image {image} cannot be reached: {message}")]
    RegistryUnreachable {
        /// Image reference.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// The disk is full. Remedy: free some space.
    #[error("no space left on the disk for {subject}")]
    NoSpace {
        /// What was asked for.
        subject: String,
    },
    /// The call did not answer in time; its effect may still come. Remedy: observe before acting again.
    #[error("{call} of {subject} did not answer within {after:?}")]
    Timeout {
        /// The call.
        call: &'static str,
        /// What was asked for.
        subject: String,
        /// The deadline.
        after: Duration,
    },
    /// Nobody answers on the engine's socket. Remedy: start the engine; the node does so where it owns it.
    #[error("the engine cannot be reached: {message}")]
    Unreachable {
        /// The cause.
        message: String,
    },
    /// The engine understood and refuses. Remedy: change the manifest.
    #[error("the engine refuses {subject}: {message}")]
    Refused {
        /// What was asked for.
        subject: String,
        /// The engine's words.
        message: String,
    },
    /// A container's own files in the engine's storage are damaged. Remedy: remove it by force and create it anew.
    #[error("the storage of {subject} is damaged: {message}")]
    Damaged {
        /// The container.
        subject: String,
        /// The engine's words.
        message: String,
    },
    /// The engine itself is broken, for instance its database or storage. Remedy: mend the engine by hand.
    #[error("the engine failed on {subject}: {message}")]
    Broken {
        /// What was asked for.
        subject: String,
        /// The engine's words.
        message: String,
    },
    /// The engine answered something that this adapter does not understand. Remedy: report it.
    #[error("the engine's answer to {call} is not understood: {message}")]
    Protocol {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

impl EngineError {
    /// How this error is to be met.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::RegistryUnreachable { .. }
            | Self::NoSpace { .. } => ErrorClass::Transient,
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::PortInUse { .. }
            | Self::ImageMissing { .. }
            | Self::Damaged { .. }
            | Self::Refused { .. } => ErrorClass::Rejected,
            Self::Broken { .. } | Self::Protocol { .. } => ErrorClass::Fatal,
        }
    }
}
