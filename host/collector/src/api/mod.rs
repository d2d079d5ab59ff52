//! JSON for programs, described by `openapi.json`, and what keeps a server under observation.

mod document;
mod observe;
mod query;
mod runs;
mod shapes;

pub use document::document;
pub use observe::{health, metrics, ready};
pub use runs::{list, one};
