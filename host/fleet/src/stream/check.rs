//! Creation of the streams and their consumer, and a check of what exists.

use super::specification::{
    Difference, Setup, consumer_differences, consumer_settings, missing, stream_differences, stream_settings, too_old,
};
use super::{CONSUMER, REJECTED, STREAM, StreamError, consumer_info, info};
use crate::connection::Connection;
use async_nats::jetstream::stream::Info;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The time limit of [`init_patiently`]: a cluster that has just started elects its leaders within some seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between tries of [`init_patiently`].
const AGAIN: Duration = Duration::from_millis(250);

/// The time limit of one try: a request sent before a leader was elected is never answered, and the same request later at once.
const ONE_TRY: Duration = Duration::from_secs(3);

/// The result of [`init`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitReport {
    /// Streams and consumers that were missing and were created.
    pub made: Vec<&'static str>,
    /// Differences of existing ones, which are left unchanged.
    pub differences: Vec<Difference>,
}

/// Creates missing streams and consumers, and compares existing ones with the specification. Changes no existing one.
///
/// # Errors
/// [`StreamError::Server`]: too few servers for the replicas, no JetStream, no permission.
pub async fn init(connection: &Connection, setup: Setup) -> Result<InitReport, StreamError> {
    let mut made = InitReport::default();
    try_init(connection, setup, &mut made).await?;
    Ok(made)
}

/// As [`init`], but retries for [`PATIENCE`] after an error that may pass by itself, as while a new cluster elects its leaders. Calls `wait`
/// once, before the first retry.
///
/// # Errors
/// As [`init`]: at once an error that will not pass, else the last one after [`PATIENCE`].
pub async fn init_patiently(
    connection: &Connection,
    setup: Setup,
    mut wait: impl FnMut(&StreamError),
) -> Result<InitReport, StreamError> {
    let deadline = Instant::now() + PATIENCE;
    let mut made = InitReport::default();
    let mut waits = false;
    loop {
        let tried = timeout(ONE_TRY, try_init(connection, setup, &mut made)).await;
        let why = match tried {
            Ok(Ok(())) => return Ok(made),
            Ok(Err(why)) if !why.is_passing() => return Err(why),
            Ok(Err(why)) => why,
            Err(elapsed) => {
                StreamError::server("make", STREAM, &std::io::Error::other(format!("timed out: {elapsed}")))
            }
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        if !waits {
            wait(&why);
            waits = true;
        }
        sleep(AGAIN).await;
    }
}

/// One try of [`init`]; adds to `made` of earlier tries.
async fn try_init(connection: &Connection, setup: Setup, made: &mut InitReport) -> Result<(), StreamError> {
    made.differences.clear();
    for (name, config) in stream_settings(setup) {
        match info(connection, name).await {
            Ok(info) => made.differences.extend(stream_differences(name, &info.config, &config)),
            Err(StreamError::Missing(_)) => {
                let created = connection.context.create_stream(config).await;
                created.map_err(|why| StreamError::server("make the stream", name, &why))?;
                made.made.push(name);
            }
            Err(why) => return Err(why),
        }
    }
    match consumer_info(connection).await? {
        Some(is) => made.differences.extend(consumer_differences(&is.config)),
        None => {
            let created = connection
                .context
                .create_consumer_on_stream(consumer_settings(), STREAM)
                .await;
            created.map_err(|why| StreamError::server("make the consumer", CONSUMER, &why))?;
            made.made.push(CONSUMER);
        }
    }
    made.differences.extend(too_old(connection, setup.replicas));
    Ok(())
}

/// The state of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's name.
    pub stream: &'static str,
    /// Messages in it.
    pub messages: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// The number of servers that store each message.
    pub replicas: usize,
    /// The leading server; `None` on a single server, or during an election.
    pub leader: Option<String>,
    /// Other servers of the stream that are offline or behind.
    pub lagging: Vec<String>,
}

/// The result of [`check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The state of each stream.
    pub standing: Vec<StreamState>,
    /// Messages that no forwarder has yet.
    pub waiting: u64,
    /// Messages that are with forwarders.
    pub in_hand: u64,
    /// Differences from the specification.
    pub differences: Vec<Difference>,
}

/// Reads the state of the streams and the consumer. An incomplete set-up is a difference among the others.
///
/// # Errors
/// [`StreamError::Missing`] if `queue init` was not run, or the server's error.
pub async fn check(connection: &Connection) -> Result<Checked, StreamError> {
    let mut checked = Checked::default();
    for (name, _) in stream_settings(Setup::default()) {
        let info = match info(connection, name).await {
            Err(StreamError::Missing(REJECTED)) => {
                checked.differences.push(missing(REJECTED));
                continue;
            }
            info => info?,
        };
        // Replicas and size are the operator's choice at creation, and not checked.
        let chosen = Setup {
            replicas: info.config.num_replicas,
            max_size: u64::try_from(info.config.max_bytes).unwrap_or(Setup::default().max_size),
        };
        for (_, config) in stream_settings(chosen).iter().filter(|(wanted, _)| *wanted == name) {
            checked
                .differences
                .extend(stream_differences(name, &info.config, config));
        }
        checked.standing.push(stream_state(name, &info));
    }
    let replicas = checked.standing.first().map_or(1, |standing| standing.replicas);
    checked.differences.extend(too_old(connection, replicas));
    match consumer_info(connection).await? {
        Some(is) => {
            checked.differences.extend(consumer_differences(&is.config));
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

fn stream_state(stream: &'static str, info: &Info) -> StreamState {
    let cluster = info.cluster.as_ref();
    let others = cluster.map(|cluster| cluster.replicas.as_slice()).unwrap_or_default();
    StreamState {
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
