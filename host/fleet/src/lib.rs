//! Pipeline runs over NATS JetStream, between a fleet of runners and DX.
//!
//! A message is one upsert of a run or of a job: the JSON body for DX, judged by its sender's policies. DX folds upserts of runs by the same
//! rule as the component, so a forwarder folds those of a run that it holds and sends the result to DX. Sent late, twice or in parts, DX ends
//! with the same run. DX replaces jobs, so before each a forwarder looks for a newer state in the stream. Forwarders share no state and have
//! no leader.
//!
//! - [`address`]: servers and credentials of the queue. [`connection`]: a connection to them.
//! - [`stream`]: creates the streams and their consumer, and compares them with their specification.
//! - [`publish`]: upserts into the queue; [`outlet`]: the same for a reporter without an asynchronous runtime.
//! - [`probe`]: checks that the queue answers.
//! - [`forward`]: takes upserts out of the queue, folds them, and sends them to DX.
//! - [`rejected`]: upserts that DX or the rules refused, with the reason.
//! - [`health`]: the state of a forwarder over HTTP.

pub mod address;
pub mod connection;
mod content;
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
