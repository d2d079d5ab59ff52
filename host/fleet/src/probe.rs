//! A check of the queue with the right to publish only.

use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose};
use crate::stream::{Checked, StreamError, check};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// A queue that answered, and its state where it is readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From the start until it had taken the credentials.
    pub latency: Duration,
    /// What is in it; `None` if the credentials do not allow to look, which publishing does not need.
    pub checked: Option<Checked>,
}

/// A queue that runs cannot be published to.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no stream, or it cannot be looked at.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Nothing answered in time.
    #[error("the queue at {queue} did not answer within {} s", .within.as_secs())]
    Silent {
        /// The queue's address.
        queue: String,
        /// The time that it had.
        within: Duration,
    },
}

/// Connects and looks, and changes nothing, all within a time.
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
    let looked = timeout_at(deadline, async {
        tokio::select! {
            checked = check(&connection) => Ok(Some(checked?)),
            () = connection.denied() => Ok(None),
        }
    });
    let checked = looked.await.map_err(|_| silent())?;
    checked.map(|checked| Probe { latency, checked })
}
