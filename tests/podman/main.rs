//! Tests against real rootless Podman, each run as the unprivileged user who owns the containers.

mod backup;
mod engine;
mod fault;
mod gate;
mod node;
mod operation;
mod owner;
mod stack;
mod supply;
