//! Operations that are cancelled, updates, and what becomes of an operation that is hurt at any of its steps.

mod cancel;
mod crash;
mod cycle;
mod support;
mod update;
