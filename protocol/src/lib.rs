//! What goes over the wire between an Archipelago node and its clients: ids, views, commands, frames, errors.
//!
//! The protocol is called `archy.v1`.
//! State is pushed as keyed, latest-wins rows; every stream has its own sequence.
//! Journals (events, logs) are appended entries with explicit gaps.
//! The TypeScript types in `ui/src/protocol/`, the JSON Schema in `protocol/schema/` and the golden fixtures in
//! `protocol/fixtures/` are generated from this crate (`cargo test -p protocol`).
//!
//! This crate must never contain behaviour of the node; start reading at [`ServerMsg`] and [`ClientMsg`].

mod account;
mod backup;
#[cfg(feature = "client")]
pub mod client;
mod command;
mod error;
mod event;
mod facts;
mod frame;
mod gate;
mod id;
mod metrics;
mod secret;
mod stream;
mod tree;
mod view;

pub use account::{
    AuthView, LoginRequest, PasswordRequest, Scope, SessionView, SetupRequest, TokenCreated, TokenRequest,
    TokenView, TotpCode, TotpSecret,
};
pub use backup::BackupView;
pub use command::{Command, CommandAccepted, Confirm, Plan};
pub use error::{ApiError, ErrorCode, Problem};
pub use event::{Entry, Event, EventActor, EventPage, LogEntry, Severity};
pub use facts::{
    AppFacts, DataFact, MachineNeeds, NetworkFact, PortFact, RequireFact, SecretFact, UpdateFact,
};
pub use frame::{
    ClientMsg, DeltaOp, PROTOCOL_VERSION, Resume, ServerMsg, SnapshotReason, SubStream, WS_SUBPROTOCOL,
    close_code, feature,
};
pub use gate::{GateState, GateView};
pub use id::{AppId, IdError, OpId, ServiceName, SnapshotId};
pub use metrics::{ContainerMetrics, MetricsView};
pub use secret::{SecretAccepted, SecretRequest, SecretView};
pub use stream::{Row, StreamId, StreamName};
pub use tree::{Intensity, TreeKind, TreeState, TreeView};
pub use view::{
    AppView, CatalogEntry, Confidence, ContainerPhase, ContainerView, Desired, ExitView, Health, LaunchUrl,
    NodeView, OpError, OpKind, OpState, OpView, Phase, RestartView, Stage, StageState, WaitView,
};

#[cfg(test)]
mod tests;
