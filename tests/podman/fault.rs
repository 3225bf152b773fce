//! Faults of real containers, each injected from outside on a node with real apps, and checked from outside: with
//! `podman`, over the published ports, and from what a WebSocket client was sent.

mod daemon;
mod end;
mod engine;
mod kill;
mod outside;
mod reboot;
mod stale;
pub(crate) mod support;

/// A test that runs as the user who owns the containers.
macro_rules! fault_test {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            crate::owner::run(concat!(module_path!(), "::", stringify!($name)), $body);
        }
    };
}
use fault_test;
