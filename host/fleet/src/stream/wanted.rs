//! What the streams and their consumer should be.

use super::{CONSUMER, REFUSED, REJECTED, RUNS, STREAM};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::time::Duration;

/// How long the same upsert counts as the same message: longer than a runner tries in one go, and short enough that the ids of a busy
/// cluster stay some hundred megabytes at most.
const DUPLICATES: Duration = Duration::from_mins(2);

/// How long a forwarder may be silent about a message before another gets it. It says that it works on it three times as often.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// Messages that are with forwarders at a time, in all. Each holds at most sixteen thousand: enough for six.
const MAX_ACK_PENDING: i64 = 100_000;

/// Forwarders that may ask at a time. While one asks, the others wait: a run's upserts then come to the same one, which folds them into one
/// request. One that is busy does not ask, and so the next takes over.
const MAX_WAITING: i64 = 1;

/// The longest message: the largest upsert that forwarders read has half of it, and without a bound one message could be larger than all that
/// a forwarder asks for at a time.
const MAX_MESSAGE: i32 = 1 << 20;

/// How many refused upserts are kept, at most: for people to look at.
const MAX_REJECTED: i64 = 1_000_000;

/// What can be chosen about the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// On how many servers each message is kept before it is acknowledged: 1, 3 or 5.
    pub replicas: usize,
    /// The most the stream may hold, in bytes. When it is full it takes nothing more, and what comes waits where it comes from.
    pub max_size: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            replicas: 1,
            // A message has about half a kibibyte with what the server adds: some two million upserts, a day of a million runs.
            max_size: 1 << 30,
        }
    }
}

/// Both streams, by their names.
pub(super) fn streams(setup: Setup) -> [(&'static str, Config); 2] {
    [(STREAM, queue(setup)), (REJECTED, rejected(setup))]
}

fn queue(setup: Setup) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Pipeline runs on their way to DX, one upsert a message".to_owned()),
        subjects: vec![format!("{RUNS}*")],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: setup.replicas,
        max_bytes: i64::try_from(setup.max_size).unwrap_or(i64::MAX),
        max_message_size: MAX_MESSAGE,
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

fn rejected(setup: Setup) -> Config {
    Config {
        name: REJECTED.to_owned(),
        description: Some("Pipeline runs that DX or the rules refused, with the reason".to_owned()),
        subjects: vec![format!("{REFUSED}*")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: setup.replicas,
        max_messages: MAX_REJECTED,
        max_bytes: -1,
        // Full is for a person to see: forwarders then keep what is refused in the queue.
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

pub(super) fn consumer() -> pull::Config {
    pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        description: Some("Forwarders of pipeline runs to DX".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_ACK_PENDING,
        max_waiting: MAX_WAITING,
        ..pull::Config::default()
    }
}
