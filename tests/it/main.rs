//! Tests of the whole node over the simulated engine, and of the repository itself.

mod backup;
mod faults;
mod gates;
mod inside;
mod interface;
mod life;
mod ops;
mod recovery;
mod shared;
mod strays;
mod tidy;
mod trouble;
mod truth;
mod usage;
