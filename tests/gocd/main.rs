//! `pipefold gocd`: reading a GoCD server with the command.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
mod faults;
mod in_job;
mod kill;
mod reading;
mod sync;
