//! NATS servers with JetStream: one, or a cluster whose nodes can be killed and whose network can be cut.
//!
//! ```no_run
//! use pipefold_tests::nats::{Cluster, Cut};
//!
//! let Some(cluster) = Cluster::start("a_test", 3) else { return };
//! let first = cluster.leader("PIPEFOLD").unwrap();
//! cluster.kill(first);
//! cluster.restart(first);
//! cluster.cut(0, 1, Cut::Silent);
//! cluster.heal(0, 1);
//! ```

mod cable;
mod cluster;
mod connection;
mod namespace;
mod network;
mod node;
mod proxy;
mod server;
mod standing;

use std::time::Duration;

pub use cluster::{Cluster, Options};
pub use connection::{Connection, Message};
pub use network::Cut;
pub use server::server;
pub use standing::Stream;

/// A start of three on a busy machine: Raft's own waits for an election are up to 9 s, and there may be more than one.
const PATIENCE: Duration = Duration::from_secs(90);
