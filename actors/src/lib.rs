//! The supervision tree of a node: every app, every container and every wait is an actor.
//!
//! This crate must never name an app and never call Podman: apps are manifests, and the engine is a trait.
//! Start reading at [`NodeHandle::start`], which builds the tree; then `app` (the single writer of an app's state) and
//! `container` (one container's state machine).

mod accounts;
mod agree;
mod app;
mod board;
mod calls;
mod catalog;
mod clock;
mod coming;
mod container;
mod control;
mod counters;
mod ctx;
mod gate;
mod hub;
mod journal;
mod meter;
mod names;
mod node;
mod observer;
mod offers;
mod operation;
mod places;
mod private;
mod published;
mod reach;
mod renewal;
mod service;
mod stack;
mod store;
mod supply;
mod support;
mod tree;
mod worker;

pub use accounts::{Accounts, Attempts, Owner, Session, Token};
pub use board::{Board, Change, Journal, Run, Wanted};
pub use container::ContainerExit;
pub use counters::{Counters, Durations, OPERATION_BOUNDS};
pub use engine::LogLine;
pub use journal::EventDraft;
pub use node::{Icon, NodeConfig, NodeError, NodeHandle};
pub use operation::{CrashPoint, Fault, Faults, Position, crash_points};
pub use service::{ServiceConfig, ServiceEnded};
pub use store::StoreError;
