//! Support for whole-system tests: the real binaries as real processes, in an environment of their own, against the stand-in for DX.
//!
//! ```no_run
//! use pipefold_tests::Ci;
//!
//! let ci = Ci::new();
//! let output = ci.exec(["sh", "-c", "exit 3"]).run();
//! output.assert_code(3);
//! assert_eq!(ci.record().status, "failure");
//! ```
//!
//! A test machine ([`Ci`]) has a stand-in for DX, a spool, an operator's file and a workspace, all in a temporary directory. [`Pipefold`] is one
//! command to be run there; [`Running`] and [`Output`] are what it becomes. Processes inherit no variable but `PATH`.
//! A [`Collector`] is a `pipefold serve`, over a directory of the test's.
//!
//! The binaries are found beside the tests' own, where `cargo test --workspace` builds them. To run one file of tests alone, name a test of
//! each package that has a binary too, or cargo leaves the old binary there:
//! `cargo test --workspace --exclude pipefold-bench --test exec --test generated`.
// This is test code in a library's clothes: a panic is how it reports.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bin;
mod ci;
mod collector;
mod fixtures;
pub mod http;
pub mod killing;
mod mounted;
pub mod nats;
mod output;
mod pipefold;
mod random;
mod running;
mod server;
mod spool;
mod wait;

pub use bin::{binary, built};
pub use ci::{Ci, PIPELINE, RUN, SOURCE};
pub use collector::Collector;
pub use dx_standin::{Endpoint, Mode, Record, Recorded, RetryAfter, Standin, Times, fold, page, until};
pub use fixtures::{fixtures, skipped, workspace_root};
pub use mounted::Mounted;
pub use output::Output;
pub use pipefold::Pipefold;
pub use random::{number_from, seeded};
pub use running::Running;
pub use server::{Ended, ServerProcess};
pub use spool::{SpoolContent, SpooledRecord};
pub use wait::eventually;
