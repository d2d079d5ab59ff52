//! What is detected in a CI system's environment: captured ones, made-up ones that read like real ones, and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod captured;
mod cases;
mod detected_runs;
mod hostile;
mod recipes;
mod table;
