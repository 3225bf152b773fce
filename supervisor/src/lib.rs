#![doc = include_str!("../README.md")]
//!
#![doc = include_str!("../SUITE.md")]
//!
//! # Where to start reading
//!
//! [`Supervisor`] and [`ChildSpec`]; in the source `core.rs`, then `shell.rs`.
//! The crate must never know what its children do, and never hold a supervisor up for one of them.

mod backoff;
mod check;
mod core;
mod dynamic;
mod error;
mod guard;
mod id;
mod info;
mod reason;
mod report;
mod shell;
mod spec;
mod start;
mod supervisor;

pub use backoff::Backoff;
pub use check::{check_childspecs, unreachable_intensity};
pub use dynamic::{DynamicSpec, DynamicSupervisor};
pub use error::{SpecError, StartError, SupervisorError};
pub use id::ChildId;
pub use info::{ChildCounts, ChildInfo, ChildState, HistoryEntry, SupervisorInfo};
pub use reason::{ExitReason, Panic, SharedError};
pub use report::{Notice, Offender, Report, ReportEvent, ReportSink, Subscription};
pub use spec::{
    AutoShutdown, ChildSpec, ChildType, ExitClassifier, OnExhausted, Restart, Shutdown, StartFn, Strategy,
    SupFlags,
};
pub use start::{StartCause, StartCtx, StartInfo, Started};
pub use supervisor::{Supervisor, SupervisorRef};
