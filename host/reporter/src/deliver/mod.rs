//! Delivers the waiting runs to DX, within a time budget.
//!
//! One process delivers at a time. A notification waits until DX has accepted it; there is no other state. Every step may be repeated, and
//! a crash leaves nothing half-done.

mod attempts;
mod deliverer;
mod delivery;
mod dispatch;
mod jobs;
mod plan;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

pub use delivery::Budget;
pub use delivery::Outlet;
pub use delivery::{Delivery, UndeliveredRun};

pub use deliverer::{Deliverer, DeliveryOptions};
pub use delivery::ToDx;
pub use jobs::choose;
pub use plan::Ownership;
