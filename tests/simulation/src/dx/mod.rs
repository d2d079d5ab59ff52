//! A DX that limits its callers, holds a million runs, and can say whether it was told the truth of each.
//!
//! The stand-in of the tests keeps every request for them to look at, and misbehaves in many ways. This one keeps a hundred bytes a run, and
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
pub use record::Record;
pub use records::{Counts, Records};
pub use server::Dx;
