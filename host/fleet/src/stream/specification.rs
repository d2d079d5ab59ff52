//! The settings that the streams and their consumer must have, and differences from them.

use super::{CONSUMER, REFUSED, REJECTED, RUNS, STREAM};
use crate::connection::Connection;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::fmt;
use std::time::Duration;

/// The time within which the same upsert counts as the same message: longer than a runner retries, and short enough that the ids of a busy
/// cluster stay some hundred megabytes at most.
const DUPLICATES: Duration = Duration::from_mins(2);

/// The time without a report of progress after which a message goes to another forwarder. Forwarders report three times as often.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// Messages held by all forwarders together. Each holds at most sixteen thousand: enough for six.
const MAX_ACK_PENDING: i64 = 100_000;

/// Pull requests open at a time. While one forwarder's is open the others wait, so that a run's upserts reach the same forwarder, which folds
/// them into one request. A busy forwarder opens none, and the next takes over.
const MAX_WAITING: i64 = 1;

/// The longest message in bytes: twice the largest upsert that forwarders read. Without a bound one message could be larger than a whole
/// request of a forwarder.
const MAX_MESSAGE: i32 = 1 << 20;

/// The most refused upserts that are stored, for people to read.
const MAX_REJECTED: i64 = 1_000_000;

/// The settings of the streams that an operator chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The number of servers that store each message before it is acknowledged: 1, 3 or 5.
    pub replicas: usize,
    /// The size limit of the stream in bytes. A full stream accepts nothing, and upserts wait at their senders.
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

/// The settings of both streams, with their names.
pub fn stream_settings(setup: Setup) -> [(&'static str, Config); 2] {
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
        // A person must act when it is full: until then forwarders leave refused upserts in the queue.
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

pub fn consumer_settings() -> pull::Config {
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

/// A setting with another value than specified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stream or consumer.
    pub of: &'static str,
    /// The setting's name, as NATS has it.
    pub setting: &'static str,
    /// The value found.
    pub is: String,
    /// The value specified.
    pub should_be: String,
    /// True if forwarding cannot work, or may lose upserts, with the value found.
    pub fatal: bool,
}

/// A comparison under way, with the differences found so far.
struct Comparison {
    of: &'static str,
    differences: Vec<Difference>,
}

impl Comparison {
    fn of(of: &'static str) -> Self {
        let differences = Vec::new();
        Self { of, differences }
    }

    /// Compares one setting. `fatal` as in [`Difference::fatal`].
    fn setting(&mut self, setting: &'static str, fatal: bool, is: &dyn fmt::Debug, should_be: &dyn fmt::Debug) {
        let (is, should_be) = (format!("{is:?}"), format!("{should_be:?}"));
        if is != should_be {
            self.differences.push(Difference {
                of: self.of,
                setting,
                is,
                should_be,
                fatal,
            });
        }
    }
}

pub fn stream_differences(of: &'static str, is: &Config, wanted: &Config) -> Vec<Difference> {
    let mut found = Comparison::of(of);
    found.setting("subjects", true, &is.subjects, &wanted.subjects);
    found.setting("retention", true, &is.retention, &wanted.retention);
    found.setting("storage", true, &is.storage, &wanted.storage);
    // The oldest messages would be dropped, and with them runs that DX does not have.
    found.setting("discard", true, &is.discard, &wanted.discard);
    found.setting("max_age", true, &is.max_age, &wanted.max_age);
    found.setting(
        "max_msgs_per_subject",
        true,
        &none(is.max_messages_per_subject),
        &none(wanted.max_messages_per_subject),
    );
    // Publishers would get no acknowledgement.
    found.setting("no_ack", true, &is.no_ack, &wanted.no_ack);
    found.setting("sealed", true, &is.sealed, &wanted.sealed);
    found.setting("num_replicas", false, &is.num_replicas, &wanted.num_replicas);
    found.setting("max_bytes", false, &none(is.max_bytes), &none(wanted.max_bytes));
    found.setting("max_msgs", false, &none(is.max_messages), &none(wanted.max_messages));
    found.setting(
        "max_msg_size",
        false,
        &none(i64::from(is.max_message_size)),
        &none(i64::from(wanted.max_message_size)),
    );
    found.setting(
        "duplicate_window",
        false,
        &is.duplicate_window,
        &wanted.duplicate_window,
    );
    found.differences
}

pub fn consumer_differences(is: &consumer::Config) -> Vec<Difference> {
    let wanted = consumer_settings();
    let mut found = Comparison::of(CONSUMER);
    found.setting("ack_policy", true, &is.ack_policy, &wanted.ack_policy);
    // A message given up after a number of deliveries is lost after as many outages.
    found.setting("max_deliver", true, &none(is.max_deliver), &none(wanted.max_deliver));
    found.setting("filter_subject", true, &is.filter_subject, &wanted.filter_subject);
    found.setting("headers_only", true, &is.headers_only, &wanted.headers_only);
    found.setting("ack_wait", is.ack_wait < ACK_WAIT, &is.ack_wait, &wanted.ack_wait);
    found.setting("max_ack_pending", false, &is.max_ack_pending, &wanted.max_ack_pending);
    found.setting("max_waiting", false, &is.max_waiting, &wanted.max_waiting);
    found.differences
}

/// Maps every number that means "no limit" to -1.
fn none(limit: i64) -> i64 {
    if limit <= 0 { -1 } else { limit }
}

/// The difference of a stream or consumer that is missing, as in a restored cluster: `queue init` creates the rest.
pub fn missing(of: &'static str) -> Difference {
    Difference {
        of,
        setting: "it",
        is: "missing".to_owned(),
        should_be: "made with `pipefold queue init`".to_owned(),
        fatal: true,
    }
}

/// The difference of a server that is too old for replicas. Seen with 2.9.10: after a majority of three was killed and came back, their
/// copies differed, and an acknowledged message was gone; 2.15.1 keeps all.
pub fn too_old(connection: &Connection, replicas: usize) -> Option<Difference> {
    let version = connection.client.server_info().version;
    (replicas > 1 && is_too_old(&version)).then(|| Difference {
        of: "nats-server",
        setting: "version",
        is: quoted(&version),
        should_be: "2.10 or newer, as the replicas of older ones may lose messages when servers die".to_owned(),
        fatal: false,
    })
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) < (Some(2), Some(10))
}

/// A server's text, safe to show.
fn quoted(text: &str) -> String {
    pipefold::http::quote(text, [])
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            of,
            setting,
            is,
            should_be,
            ..
        } = self;
        write!(f, "{of}: {setting} is {is}, and should be {should_be}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    use super::super::{STREAM, Setup};
    use async_nats::jetstream::consumer::{AckPolicy, IntoConsumerConfig};
    use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, StorageType};
    use std::time::Duration;

    /// A setting, whether it is fatal, and how to change it.
    type Change<C> = (&'static str, bool, fn(&mut C));

    #[test]
    fn each_setting_of_a_stream_is_compared() {
        let [(_, wanted), _] = stream_settings(Setup::default());
        assert_eq!(stream_differences(STREAM, &wanted, &wanted), []);
        let changes: [Change<Config>; 13] = [
            ("subjects", true, |it| it.subjects.push("more".to_owned())),
            ("retention", true, |it| it.retention = RetentionPolicy::Limits),
            ("storage", true, |it| it.storage = StorageType::Memory),
            ("discard", true, |it| it.discard = DiscardPolicy::Old),
            ("max_age", true, |it| it.max_age = Duration::from_secs(60)),
            ("max_msgs_per_subject", true, |it| it.max_messages_per_subject = 1),
            ("no_ack", true, |it| it.no_ack = true),
            ("sealed", true, |it| it.sealed = true),
            ("num_replicas", false, |it| it.num_replicas = 3),
            ("max_bytes", false, |it| it.max_bytes = 1),
            ("max_msgs", false, |it| it.max_messages = 1),
            ("max_msg_size", false, |it| it.max_message_size = 1),
            ("duplicate_window", false, |it| {
                it.duplicate_window = Duration::from_secs(1)
            }),
        ];
        for (setting, fatal, change) in changes {
            let mut is = wanted.clone();
            change(&mut is);
            let found = stream_differences(STREAM, &is, &wanted);
            let found: Vec<_> = found.iter().map(|it| (it.setting, it.fatal)).collect();
            assert_eq!(found, [(setting, fatal)]);
        }
    }

    #[test]
    fn each_setting_of_the_consumer_is_compared() {
        let wanted = consumer_settings().into_consumer_config();
        assert_eq!(consumer_differences(&wanted), []);
        let changes: [Change<consumer::Config>; 8] = [
            ("ack_policy", true, |it| it.ack_policy = AckPolicy::None),
            ("max_deliver", true, |it| it.max_deliver = 5),
            ("filter_subject", true, |it| {
                it.filter_subject = "pipefold.runs.a".to_owned()
            }),
            ("headers_only", true, |it| it.headers_only = true),
            ("ack_wait", true, |it| it.ack_wait = Duration::from_secs(1)),
            ("ack_wait", false, |it| it.ack_wait = Duration::from_mins(5)),
            ("max_ack_pending", false, |it| it.max_ack_pending = 1),
            ("max_waiting", false, |it| it.max_waiting = 512),
        ];
        for (setting, fatal, change) in changes {
            let mut is = wanted.clone();
            change(&mut is);
            let found = consumer_differences(&is);
            let found: Vec<_> = found.iter().map(|it| (it.setting, it.fatal)).collect();
            assert_eq!(found, [(setting, fatal)]);
        }
    }

    #[test]
    fn versions() {
        for (version, old) in [
            ("2.9.10", true),
            ("1.99.0", true),
            ("2.10.0", false),
            ("2.15.1", false),
            ("3.0", false),
        ] {
            assert_eq!(is_too_old(version), old, "{version}");
        }
        // What cannot be read is no reason to trust it.
        assert!(is_too_old("") && is_too_old("x.y"));
    }
}
