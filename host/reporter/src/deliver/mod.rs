//! Brings what waits to DX, within a time budget.
//!
//! One process delivers at a time. What waits is what no acceptance covers (there is no other state), so every step may be repeated
//! and a crash leaves nothing half-done.

mod abandoned;
mod attempts;
mod budget;
mod deliverer;
mod delivery;
mod dispatch;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod incident;
mod left;
mod others;
mod outlet;
mod plan;
mod state;

pub use budget::Budget;
pub use delivery::{Delivery, UndeliveredRun};
pub use outlet::Outlet;

pub(crate) use deliverer::{Deliverer, DeliveryOptions};
pub(crate) use outlet::ToDx;
pub(crate) use plan::Ownership;
