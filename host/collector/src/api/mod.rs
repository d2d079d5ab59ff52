//! JSON for programs, described by `openapi.json`, and what keeps a server under observation.

mod observe;
mod query;
mod runs;

pub use observe::document;
pub use observe::{health, metrics, ready};
pub use runs::{list, one};
