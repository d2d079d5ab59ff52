//! Sends to DX what the server received: the run that its notifications make, each time that it changed.
//!
//! The store is the outbox. It knows of how many notifications of a run DX knows; what was sent and not noted is sent again, which DX's
//! rule does not mind. Sending goes through the reporter's client, so that every answer means the same as on a runner.
//!
//! - `options`: where to, and how fast.
//! - `pauses`: when a run, and when all of them, are sent and tried again.
//! - `stale`: runs without activity, where they are to be sent to DX as cancelled.
//! - `forwarder`: the work; `parcel`: what is sent of a run.

mod forwarder;
mod options;
mod parcel;
mod pauses;
mod stale;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

pub use forwarder::forward;
pub use options::{ForwardOptions, ForwardTo};
