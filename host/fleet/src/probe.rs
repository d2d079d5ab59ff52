//! A check of the queue with the right to publish only.

use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose};
use crate::stream::{Checked, StreamError, check};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// The result of [`probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The time until the queue had accepted the credentials.
    pub latency: Duration,
    /// The state of its streams; `None` if the credentials do not allow reading it, which publishing does not need.
    pub checked: Option<Checked>,
}

/// An error that prevents publishing to a queue.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The stream does not exist, or its state cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// No server answered in time.
    #[error("the queue at {queue} did not answer within {} s", .within.as_secs())]
    Silent {
        /// The queue's address.
        queue: String,
        /// The time limit.
        within: Duration,
    },
}

/// Connects and reads the state of the streams within a time limit. Changes nothing.
///
/// # Errors
/// [`ProbeError`].
pub async fn probe(queue: &Queue, within: Duration) -> Result<Probe, ProbeError> {
    let (begin, deadline) = (Instant::now(), tokio::time::Instant::now() + within);
    let silent = || ProbeError::Silent {
        queue: queue.to_string(),
        within,
    };
    let opened = timeout_at(deadline, Connection::open(queue, Purpose::Report)).await;
    let connection = opened.map_err(|_| silent())??;
    let latency = begin.elapsed();
    let checking = timeout_at(deadline, async {
        tokio::select! {
            checked = check(&connection) => Ok(Some(checked?)),
            () = connection.denied() => Ok(None),
        }
    });
    let checked = checking.await.map_err(|_| silent())?;
    checked.map(|checked| Probe { latency, checked })
}
