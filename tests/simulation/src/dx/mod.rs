//! A DX that limits its callers and holds a million runs, so that each record can be checked.
//!
//! The stand-in of the tests keeps every request, and misbehaves in many ways. This one keeps a hundred bytes a run, and
//! misbehaves in one.
//!
//! - `limit`: so many requests in a window.
//! - `record`: what it holds of a run, by the rule on DX's page, written here once more.
//! - `records`: of all runs, and what it counted.
//! - `server`: HTTP.

mod limit;
mod record;
mod records;
mod server;

pub use limit::Limit;
pub use record::{JobRecord, Record};
pub use records::{Counts, Jobs, Records};
pub use server::Dx;
