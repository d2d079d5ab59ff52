//! Brings what waits to DX, within a time budget.
//!
//! One process delivers at a time. What waits is what no acceptance covers (there is no other state), so every step may be repeated
//! and a crash leaves nothing half-done.

mod attempts;
mod deliverer;
mod delivery;
mod dispatch;
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
pub use plan::Ownership;
