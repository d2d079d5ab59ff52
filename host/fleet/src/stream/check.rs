//! The state of the streams, and differences from their specification.

use super::difference::{Difference, consumer_differences, missing, stream_differences, too_old};
use super::{CONSUMER, REJECTED, Setup, StreamError, look, wanted};
use crate::connection::Connection;
use async_nats::jetstream::stream::Info;

/// The state of a stream.
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

/// The result of [`check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The state of each stream.
    pub standing: Vec<Standing>,
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
    for (name, _) in wanted::streams(Setup::default()) {
        let info = match look::info(connection, name).await {
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
        for (_, config) in wanted::streams(chosen).iter().filter(|(wanted, _)| *wanted == name) {
            checked
                .differences
                .extend(stream_differences(name, &info.config, config));
        }
        checked.standing.push(standing(name, &info));
    }
    let replicas = checked.standing.first().map_or(1, |standing| standing.replicas);
    checked.differences.extend(too_old(connection, replicas));
    match look::consumer_info(connection).await? {
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
