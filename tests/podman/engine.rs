//! The engine against real Podman: the contract that the simulated engine keeps too, and what only Podman can show.

mod build;
mod container;
mod network;
mod service;
mod support;

use engine::contract;

/// A test that runs on Podman, as the user who owns the containers.
macro_rules! podman_test {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            crate::engine::support::on_podman(concat!(module_path!(), "::", stringify!($name)), $body);
        }
    };
}
use podman_test;

/// A case of the contract.
macro_rules! contract_test {
    ($($case:ident),* $(,)?) => {
        $(podman_test!($case, |real| contract::$case(real.ground.clone()));)*
    };
}

engine::contract_cases!(contract_test);
