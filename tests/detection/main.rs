//! Detection in the environments of CI systems: captured ones, invented realistic ones, and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod captured;
mod cases;
mod detected_runs;
mod hostile;
mod recipes;
mod table;
