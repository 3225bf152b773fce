//! Why a container's actor ended.

use engine::EngineError;

/// Why a container's actor ended: the container failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerExit {
    /// Its process ended.
    #[error("exited with code {code}")]
    Exited {
        /// Exit code; 128 + signal for signals.
        code: i32,
    },
    /// The kernel killed it for lack of memory.
    #[error("killed for lack of memory")]
    OutOfMemory,
    /// Somebody else removed it.
    #[error("removed from outside")]
    Vanished,
    /// Its process died and the engine did not notice; it was removed.
    #[error("died without the engine noticing")]
    Zombie,
    /// Its network anchor ended: it runs and nobody reaches it.
    #[error("lost its network")]
    NetworkLost,
    /// Its files in the engine's storage are damaged; it was removed.
    #[error("its files in the engine's storage are damaged")]
    Damaged,
    /// A probe found that a restart is the only way out.
    #[error("{probe} probe failed {message}")]
    Unresponsive {
        /// Which probe.
        probe: &'static str,
        /// How often, and what it was told.
        message: String,
    },
    /// A command of the manifest did not end well in it.
    #[error("{message}")]
    Hook {
        /// Which, and how it ended.
        message: String,
    },
    /// A container of another owner has its name. Remedy: rename or remove that one.
    #[error("a container that is not this node's has the same name; rename or remove it")]
    Foreign,
    /// The engine refuses to create or start it.
    #[error("{message}")]
    Refused {
        /// Machine-readable code.
        code: &'static str,
        /// The engine's words.
        message: String,
    },
}

impl ContainerExit {
    /// Exit code, where there is one.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Exited { code } => Some(*code),
            Self::OutOfMemory => Some(137),
            Self::Vanished
            | Self::Zombie
            | Self::NetworkLost
            | Self::Damaged
            | Self::Unresponsive { .. }
            | Self::Hook { .. }
            | Self::Foreign
            | Self::Refused { .. } => None,
        }
    }

    /// Whether it died for lack of memory.
    pub fn oom(&self) -> bool {
        matches!(self, Self::OutOfMemory)
    }
}

impl From<EngineError> for ContainerExit {
    fn from(error: EngineError) -> Self {
        Self::Refused { code: crate::operation::error_code(&error), message: error.to_string() }
    }
}
