//! What every handler of a request needs, whatever the request is for.
//!
//! - `app`: what all requests share; `exposure`: who can reach the server; `limits`: what one peer may take.
//! - `caller`: who sends a request; `body`: what it sends; `answer`: what it gets, also of the store's errors.
//! - `dropped`: runs that a policy dropped at their start.

mod answer;
mod app;
mod body;
mod caller;
mod dropped;
mod exposure;
mod limits;

pub(crate) use answer::{json, refused, retry_later, store_failed};
pub use app::App;
pub(crate) use body::{Kind, kind, read};
pub(crate) use caller::address;
pub use caller::{Caller, Denied, Peer, Schemes};
pub use exposure::{Exposed, Exposure};
pub use limits::Limits;
pub(crate) use limits::{HEAD_SIZE, HEADERS, SPARE_CONNECTIONS, SPARE_HEAD};
