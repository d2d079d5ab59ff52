//! The parts that every handler of a request needs.
//!
//! - `app`: the parts of a server that features share, and the bounds on a peer.
//! - `gate`: who can reach the server, and its tokens. `caller`: the sender of a request.
//! - `intake`: the way of a report into the store.
//! - `answer`: answers in JSON, also to errors of the store.

mod answer;
mod app;
mod caller;
mod gate;
mod intake;

pub(crate) use answer::{json, refused, retry_later, store_error, store_failed};
pub use app::{App, Journal, Limits, Signals};
pub(crate) use app::{HEAD_SIZE, HEADERS, SMALL_BODY, SPARE_CONNECTIONS, SPARE_HEAD};
pub(crate) use caller::from_this_machine;
pub use caller::{Caller, Denied, Schemes};
pub use gate::{Exposed, Exposure, Gate, Peer};
pub use intake::{Intake, Sender};
