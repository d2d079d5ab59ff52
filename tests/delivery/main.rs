//! Record and deliver through a spool: crashes, crowds, faults of the disk, and answers of DX.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod beside;
mod carry;
mod crowded;
mod drain;
mod import;
mod jobs;
mod kill;
mod library;
mod many;
mod planted;
mod spool_faults;
mod together;
