//! Pipeline runs over NATS JetStream: what a fleet of runners puts in front of DX.
//!
//! A message is one upsert: the JSON body that DX would get, judged by its sender's policies. DX folds upserts by the same rule as the
//! component does, so a forwarder folds whatever upserts of a run it holds and tells DX of the result: late, twice or in parts, the end is
//! the same. There is no state to share, no order to keep, and no leader among forwarders.
//!
//! - [`address`]: where the queue is, and what it is asked with. [`connection`]: getting there.
//! - [`stream`]: the streams and their consumer: made, and compared with what they should be.
//! - [`publish`]: upserts into the queue; [`outlet`]: the same for a reporter, without an asynchronous runtime of the caller's.
//! - [`probe`]: whether it is there.
//! - [`forward`]: out of the queue, folded, to DX.
//! - [`rejected`]: what DX or the rules refused, kept with the reason.
//! - [`health`]: how a forwarder is doing, over HTTP.

pub mod address;
pub mod connection;
mod failure;
pub mod forward;
pub mod health;
pub mod outlet;
pub mod probe;
pub mod publish;
pub mod rejected;
pub mod stream;

pub use address::{AddressError, Queue, QueueKeys};
pub use connection::{ConnectError, Connection, Purpose};
pub use forward::{ForwardError, Forwarder, ForwarderOptions};
pub use outlet::QueueOutlet;
pub use publish::{PublishError, Publisher, Stored};
