//! Backup and restore over the simulated engine and repository: every fault of the repository, a node killed at every
//! stage, and what is left of each.

mod faults;
mod killed;
mod life;
mod support;
