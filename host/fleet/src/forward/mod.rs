//! Out of the queue, folded, to DX.
//!
//! Any number of forwarders share the stream's consumer. Each takes what comes, keeps the upserts of a run together for a moment, folds
//! them through the policies and the component, and sends the result to DX. Only DX's `ok` takes a message out of the queue, or the
//! acknowledgement of the stream of refused ones. All else may happen twice, late or in parts, which DX's rule does not mind.
//!
//! - `options`: where to, and how fast. `bucket`: so many requests a second; `pauses`: none at all for a while.
//! - `message`: one upsert and its acknowledgement; `held`: those of a run together, until they are due.
//! - `pull`: asking for more, while it can be worked off; `inbox`: where it comes to; `room`: how much of it is held.
//! - `fold`: what the upserts of a run come to; `gather`: those of them that are elsewhere. `send`: one request, and what follows from DX's answer.
//! - `sweep`: what a stream has kept by mistake.
//! - `forwarder`: the work. `counters`: what it counts.

mod bucket;
mod counters;
mod fold;
mod forwarder;
mod gather;
mod held;
mod inbox;
mod message;
mod options;
mod pauses;
mod pull;
mod room;
mod send;
mod sweep;

pub use counters::Counters;
pub use forwarder::{ForwardError, Forwarder};
pub use options::ForwarderOptions;
