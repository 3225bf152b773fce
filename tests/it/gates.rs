//! Apps that wait for others: the gate as it is shown, and what becomes of those who wait.

mod fit;
mod lost;
mod rpc;
mod support;
mod wait;
