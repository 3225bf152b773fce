//! What went wrong, as people see it.

use crate::{store::StoreError, supply::SupplyError};
use engine::{EngineError, ErrorClass};
use protocol::OpError;

/// The machine-readable code of an engine's error.
pub(crate) fn error_code(error: &EngineError) -> &'static str {
    match error {
        EngineError::NotFound { .. } => "not_found",
        EngineError::Conflict { .. } => "conflict",
        EngineError::PortInUse { .. } => "port_in_use",
        EngineError::ImageMissing { .. } => "image_missing",
        EngineError::NoSpace { .. } => "no_space",
        EngineError::RegistryUnreachable { .. } => "registry_unreachable",
        EngineError::Timeout { .. } => "engine_timeout",
        EngineError::Unreachable { .. } => "engine_unreachable",
        EngineError::Refused { .. } => "engine_refused",
        EngineError::Broken { .. } => "engine_broken",
        _ => "engine_protocol",
    }
}

/// The engine's error as people see it.
pub(crate) fn engine_error(error: &EngineError) -> OpError {
    let hint = match error {
        EngineError::PortInUse { .. } => {
            "stop what listens on that port, or publish another port in the manifest"
        }
        EngineError::ImageMissing { .. } => {
            "pull or build the image; for a build, see that its base image is there"
        }
        EngineError::RegistryUnreachable { .. } => {
            "check the node's connection to the internet and try again"
        }
        EngineError::NoSpace { .. } => "free some space on the disk and try again",
        EngineError::Timeout { .. } | EngineError::Unreachable { .. } => {
            "wait until the engine answers and try again"
        }
        EngineError::Conflict { .. } => "remove or rename what is in the way",
        _ => "see the message of the engine",
    };
    OpError {
        code: error_code(error).into(),
        message: error.to_string(),
        hint: Some(hint.into()),
        retryable: error.class() == ErrorClass::Transient,
    }
}

/// The store's error as people see it.
pub(super) fn store_error(error: StoreError) -> OpError {
    OpError {
        code: "store".into(),
        message: error.to_string(),
        hint: Some("check the disk of the node's data directory, then try again".into()),
        retryable: true,
    }
}

/// What could not be made for the app, as people see it.
pub(super) fn supply_error(error: &SupplyError) -> OpError {
    let (code, hint) = match error {
        SupplyError::Engine(error) => return engine_error(error),
        SupplyError::Disk { .. } => {
            ("disk", "check the disk and the permissions of the node's data directory")
        }
        SupplyError::Random(_) => ("random", "try again"),
        SupplyError::Store(_) => ("store", "check the disk of the node's data directory, then try again"),
        SupplyError::NotGiven { .. } => ("secret_missing", "give it with `archy secret set`, then try again"),
        SupplyError::Source { .. } | SupplyError::Certificate { .. } => {
            ("manifest", "tell whoever wrote the app's manifest")
        }
        SupplyError::Unknown { .. } => {
            ("unknown_fact", "is the machine in a network? Then tell whoever wrote the app")
        }
    };
    OpError {
        code: code.into(),
        message: error.to_string(),
        hint: Some(hint.into()),
        retryable: !matches!(error, SupplyError::Source { .. } | SupplyError::Certificate { .. }),
    }
}

/// A fault of the node itself.
pub(crate) fn internal(what: &str) -> OpError {
    OpError {
        code: "internal".into(),
        message: format!("the operation failed within the node: {what}"),
        hint: Some("try again; if it fails again, report it with the node's log".into()),
        retryable: true,
    }
}
