//! A day of an organisation's pipeline runs through a fleet: NATS nodes and forwarders as processes, against a DX that limits its callers.
//!
//! - [`load`]: what is published, and when; with everything that goes wrong on the way.
//! - [`publishing`]: into the queue, at a pace.
//! - [`fleet`]: the nodes, the queue, and the forwarders.
//! - [`dx`]: a DX that limits its callers and knows a million runs.
//! - [`check`]: each record at DX, beside the fold of what was published.
//!
//! `make simulate` runs the whole; `make bench` measures with its parts.

pub mod check;
pub mod dx;
pub mod fleet;
pub mod load;
pub mod publishing;
