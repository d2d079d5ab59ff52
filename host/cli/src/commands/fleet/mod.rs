//! A fleet's queue: reporting into it, making and checking it, emptying it.
//!
//! All of it needs the feature `fleet`. Without it, a request for a queue is an error that says so.

#[cfg(feature = "fleet")]
mod forward;
#[cfg(not(feature = "fleet"))]
mod none;
#[cfg(feature = "fleet")]
mod outlet;
#[cfg(feature = "fleet")]
mod queue;
#[cfg(feature = "fleet")]
mod rejected;

#[cfg(feature = "fleet")]
pub(super) use {forward::forward, outlet::outlet, outlet::probe, outlet::report_into, queue::queue};

#[cfg(not(feature = "fleet"))]
pub(super) use none::{forward, outlet, probe, queue, report_into};
