//! The streams and their consumer: made, and compared with what they should be.

use crate::connection::{Connection, words};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use pipefold::spool::RunKey;
use std::fmt;
use std::time::Duration;

/// The stream of upserts that DX is to be told.
pub const STREAM: &str = "PIPEFOLD";

/// The stream of those that were refused for good.
pub const REJECTED: &str = "PIPEFOLD_REJECTED";

/// The consumer that all forwarders share.
pub const CONSUMER: &str = "forwarders";

/// What begins the subject of an upsert; a run's key follows.
const RUNS: &str = "pipefold.runs.";

/// What begins the subject of a refused one.
const REFUSED: &str = "pipefold.rejected.";

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

/// One thing of a stream that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stream or consumer.
    pub of: &'static str,
    /// The setting's name, as NATS has it.
    pub setting: &'static str,
    /// How it is.
    pub is: String,
    /// How it should be.
    pub should_be: String,
    /// Whether forwarding cannot work, or may lose something, as it is.
    pub fatal: bool,
}

/// What [`init`] did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// What was not there and was made.
    pub made: Vec<&'static str>,
    /// What was there and is different. It was left as it is.
    pub differences: Vec<Difference>,
}

/// How a stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The stream.
    pub stream: &'static str,
    /// Messages in it.
    pub messages: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// On how many servers each message is kept.
    pub replicas: usize,
    /// The server that leads it; none on a single server, or while one is chosen.
    pub leader: Option<String>,
    /// Its other servers that are not there or behind.
    pub lagging: Vec<String>,
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How the streams are doing.
    pub standing: Vec<Standing>,
    /// Messages that no forwarder has yet.
    pub waiting: u64,
    /// Messages that are with forwarders.
    pub in_hand: u64,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
}

/// Why a stream could not be made or looked at.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It is not there.
    #[error("the queue has no stream {0}: make it with `pipefold queue init`")]
    Missing(&'static str),
    /// The server cannot or will not.
    #[error("cannot {what} {of}: {why}")]
    Server {
        /// What was tried.
        what: &'static str,
        /// The stream or consumer.
        of: &'static str,
        /// What the server said.
        why: String,
    },
}

/// The subject of a run's upserts.
#[must_use]
pub fn subject(reference_id: &str) -> String {
    format!("{RUNS}{}", RunKey::of(reference_id))
}

/// The subject under which a refused upsert of a run is kept; of one that names none, a word.
pub(crate) fn refused_subject(reference_id: Option<&str>) -> String {
    match reference_id {
        Some(id) => format!("{REFUSED}{}", RunKey::of(id)),
        None => format!("{REFUSED}unknown"),
    }
}

/// Makes what is not there, and compares what is. Whatever is there stays as it is.
///
/// # Errors
/// [`StreamError::Server`]: too few servers for the replicas, no JetStream, no permission.
pub async fn init(connection: &Connection, setup: Setup) -> Result<Made, StreamError> {
    let mut made = Made::default();
    for (name, config) in [(STREAM, queue_config(setup)), (REJECTED, rejected_config(setup))] {
        match info(connection, name).await {
            Ok(info) => made.differences.extend(compare(name, &info.config, &config)),
            Err(StreamError::Missing(_)) => {
                let created = connection.context.create_stream(config).await;
                created.map_err(|why| StreamError::Server {
                    what: "make the stream",
                    of: name,
                    why: with_advice(&words(&why)),
                })?;
                made.made.push(name);
            }
            Err(why) => return Err(why),
        }
    }
    match consumer_config_of(connection).await? {
        Some(is) => made.differences.extend(compare_consumer(&is)),
        None => {
            connection
                .context
                .create_consumer_on_stream(consumer_config(), STREAM)
                .await
                .map_err(|why| server("make the consumer", CONSUMER, &why))?;
            made.made.push(CONSUMER);
        }
    }
    made.differences.extend(too_old(connection, setup.replicas));
    Ok(made)
}

/// Looks at what is there.
///
/// # Errors
/// [`StreamError::Missing`] if `queue init` was not run, or what the server said.
pub async fn check(connection: &Connection) -> Result<Checked, StreamError> {
    let mut checked = Checked::default();
    for name in [STREAM, REJECTED] {
        let info = match info(connection, name).await {
            Err(StreamError::Missing(REJECTED)) => {
                checked.differences.push(missing(REJECTED));
                continue;
            }
            info => info?,
        };
        // What was chosen when it was made is not what is checked here.
        let chosen = Setup {
            replicas: info.config.num_replicas,
            max_size: u64::try_from(info.config.max_bytes).unwrap_or(Setup::default().max_size),
        };
        let config = match name {
            STREAM => queue_config(chosen),
            _ => rejected_config(chosen),
        };
        checked.differences.extend(compare(name, &info.config, &config));
        checked.standing.push(standing(name, &info));
    }
    let replicas = checked.standing.first().map_or(1, |standing| standing.replicas);
    checked.differences.extend(too_old(connection, replicas));
    match consumer_info(connection).await? {
        Some(is) => {
            checked.differences.extend(compare_consumer(&is.config));
            checked.waiting = is.num_pending;
            checked.in_hand = u64::try_from(is.num_ack_pending).unwrap_or_default();
        }
        None => {
            checked.differences.push(missing(CONSUMER));
            checked.waiting = checked.standing.first().map_or(0, |standing| standing.messages);
        }
    }
    Ok(checked)
}

/// What to do where the server's words do not say it.
fn with_advice(why: &str) -> String {
    let advice = match () {
        () if why.contains("insufficient storage") || why.contains("no suitable peers") => {
            "; give a smaller --max-size, fewer --replicas, or the servers more room (max_file_store)"
        }
        () if why.contains("replicas > 1 not supported") => "; several replicas need servers that form a cluster",
        () => "",
    };
    format!("{why}{advice}")
}

/// A server that is too old for what it is to keep. Seen with 2.9.10: when a majority of three was killed and came back, their copies
/// differed, and a message was gone that they had acknowledged; 2.15.1 keeps all.
fn too_old(connection: &Connection, replicas: usize) -> Option<Difference> {
    let version = connection.client.server_info().version;
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or_default());
    let is = (numbers.next()?, numbers.next()?);
    (replicas > 1 && is < (2, 10)).then(|| Difference {
        of: "nats-server",
        setting: "version",
        is: version.clone(),
        should_be: "2.10 or newer, as the replicas of older ones may lose messages when servers die".to_owned(),
        fatal: false,
    })
}

/// Half of a set-up, as a restored or half-made cluster has: `queue init` makes the rest.
fn missing(of: &'static str) -> Difference {
    Difference {
        of,
        setting: "it",
        is: "missing".to_owned(),
        should_be: "made with `pipefold queue init`".to_owned(),
        fatal: true,
    }
}

/// The consumer that forwarders pull from.
pub(crate) async fn consumer(connection: &Connection) -> Result<consumer::Consumer<pull::Config>, StreamError> {
    let stream = connection
        .context
        .get_stream(STREAM)
        .await
        .map_err(|why| match why.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                StreamError::Missing(STREAM)
            }
            _ => server("look at the stream", STREAM, &why),
        })?;
    // Made anew if someone removed it: what was not acknowledged is in the stream.
    let made = stream.get_or_create_consumer(CONSUMER, consumer_config()).await;
    made.map_err(|why| server("use the consumer", CONSUMER, &why))
}

pub(crate) async fn info(connection: &Connection, name: &'static str) -> Result<Info, StreamError> {
    let stream = connection
        .context
        .get_stream(name)
        .await
        .map_err(|why| match why.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                StreamError::Missing(name)
            }
            _ => server("look at the stream", name, &why),
        })?;
    Ok(stream.cached_info().clone())
}

async fn consumer_info(connection: &Connection) -> Result<Option<consumer::Info>, StreamError> {
    let stream = connection
        .context
        .get_stream(STREAM)
        .await
        .map_err(|why| server("look at the stream", STREAM, &why))?;
    match stream.consumer_info(CONSUMER).await {
        Ok(info) => Ok(Some(info)),
        Err(why) if words(&why).contains("not found") => Ok(None),
        Err(why) => Err(server("look at the consumer", CONSUMER, &why)),
    }
}

async fn consumer_config_of(connection: &Connection) -> Result<Option<consumer::Config>, StreamError> {
    Ok(consumer_info(connection).await?.map(|info| info.config))
}

fn server(what: &'static str, of: &'static str, why: &dyn std::error::Error) -> StreamError {
    StreamError::Server {
        what,
        of,
        why: words(why),
    }
}

fn queue_config(setup: Setup) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Pipeline runs on their way to DX, one upsert a message".to_owned()),
        subjects: vec![format!("{RUNS}*")],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: setup.replicas,
        max_bytes: i64::try_from(setup.max_size).unwrap_or(i64::MAX),
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

fn rejected_config(setup: Setup) -> Config {
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

fn consumer_config() -> pull::Config {
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

fn standing(stream: &'static str, info: &Info) -> Standing {
    let cluster = info.cluster.as_ref();
    let others = cluster.map(|cluster| cluster.replicas.as_slice()).unwrap_or_default();
    Standing {
        stream,
        messages: info.state.messages,
        bytes: info.state.bytes,
        replicas: info.config.num_replicas,
        leader: cluster.and_then(|cluster| cluster.leader.clone()),
        lagging: others
            .iter()
            .filter(|peer| !peer.current || peer.offline)
            .map(|peer| peer.name.clone())
            .collect(),
    }
}

fn compare(of: &'static str, is: &Config, wanted: &Config) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut one = |setting, fatal, is: &dyn fmt::Debug, should_be: &dyn fmt::Debug| {
        let (is, should_be) = (format!("{is:?}"), format!("{should_be:?}"));
        if is != should_be {
            found.push(Difference {
                of,
                setting,
                is,
                should_be,
                fatal,
            });
        }
    };
    one("subjects", true, &is.subjects, &wanted.subjects);
    one("retention", true, &is.retention, &wanted.retention);
    one("storage", true, &is.storage, &wanted.storage);
    // The oldest would go, and with it runs that DX was not told of.
    one("discard", true, &is.discard, &wanted.discard);
    one("max_age", true, &is.max_age, &wanted.max_age);
    one("num_replicas", false, &is.num_replicas, &wanted.num_replicas);
    one("max_bytes", false, &is.max_bytes, &wanted.max_bytes);
    one(
        "duplicate_window",
        false,
        &is.duplicate_window,
        &wanted.duplicate_window,
    );
    found
}

fn compare_consumer(is: &consumer::Config) -> Vec<Difference> {
    let wanted = consumer_config();
    let mut found = Vec::new();
    let mut one = |setting, fatal, is: &dyn fmt::Debug, should_be: &dyn fmt::Debug| {
        let (is, should_be) = (format!("{is:?}"), format!("{should_be:?}"));
        if is != should_be {
            found.push(Difference {
                of: CONSUMER,
                setting,
                is,
                should_be,
                fatal,
            });
        }
    };
    one("ack_policy", true, &is.ack_policy, &wanted.ack_policy);
    // Given up after so many deliveries is lost after so many outages.
    one("max_deliver", true, &is.max_deliver.max(-1), &-1_i64);
    one("filter_subject", true, &is.filter_subject, &wanted.filter_subject);
    one("ack_wait", is.ack_wait < ACK_WAIT, &is.ack_wait, &wanted.ack_wait);
    one("max_ack_pending", false, &is.max_ack_pending, &wanted.max_ack_pending);
    one("max_waiting", false, &is.max_waiting, &wanted.max_waiting);
    found
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
