//! Forwarding to DX: the run that its notifications make, each time that it changed, and then its jobs that changed.
//!
//! The store is the outbox. It has the number of a run's notifications that DX has, and of each job what DX was sent; a run that was sent and not recorded so is sent again,
//! which DX's rule allows. The reporter's client sends, so that every answer means the same as on a runner.
//!
//! - `parcel`: where to forward to, and what is sent of a run.
//! - `pauses`: when a run, and when all of them, are sent and retried; runs that are sent as cancelled after no activity for long.
//! - `forwarder`: the loop, and the runs. `jobs`: the jobs of a run, after it.

mod forwarder;
mod jobs;
mod parcel;
mod pauses;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

pub use forwarder::forward;
pub use parcel::{ForwardOptions, ForwardTo};
