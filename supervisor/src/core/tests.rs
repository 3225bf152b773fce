//! The core alone: against a naive model, under chaos, and case by case.

mod answers;
mod chaos;
mod drops;
mod ends;
mod held;
mod late;
mod model;
mod rig;
mod unit;
