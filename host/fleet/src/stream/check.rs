//! Creation of the streams and their consumer, and a check of what exists.

use super::specification::{
    Difference, Setup, consumer_differences, consumer_settings, missing, stream_differences, stream_settings, too_old,
};
use super::{CONSUMER, REJECTED, STREAM, StreamError, consumer_info, info};
use crate::connection::Connection;
use async_nats::jetstream::stream::Info;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long [`init_patiently`] tries on: a cluster that has just begun has chosen its leaders within some seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Between its tries.
const AGAIN: Duration = Duration::from_millis(250);

/// For one of its tries: a question that came before a leader was chosen is never answered, and the same one later at once.
const ONE_TRY: Duration = Duration::from_secs(3);

/// What [`init`] did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitReport {
    /// What was not there and was made.
    pub made: Vec<&'static str>,
    /// What was there and is different. It was left as it is.
    pub differences: Vec<Difference>,
}

/// Makes what is not there, and compares what is. Whatever is there stays as it is.
///
/// # Errors
/// [`StreamError::Server`]: too few servers for the replicas, no JetStream, no permission.
pub async fn init(connection: &Connection, setup: Setup) -> Result<InitReport, StreamError> {
    let mut made = InitReport::default();
    try_init(connection, setup, &mut made).await?;
    Ok(made)
}

/// The same, but what may pass by itself is tried again, for [`PATIENCE`]: as while a cluster that has just begun chooses its leaders. `wait` is
/// called when that begins.
///
/// # Errors
/// As [`init`]: at once what will not pass, and the last one of what has not.
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

/// Adds to what earlier tries made.
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
/// [`StreamError::Missing`] if `queue init` was not run, or what the server said.
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
        // What was chosen when it was made is not what is checked here.
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
