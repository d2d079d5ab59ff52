//! Upserts into the queue.

use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose, one_line};
use crate::stream::{REJECTED, of_subject, subject};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishErrorKind;
use pipefold::Run;
use pipefold::dx::body;
use sha2::{Digest, Sha256};

/// Puts upserts into the queue. Clones share a connection, and may publish at the same time.
#[derive(Clone, Debug)]
pub struct Publisher {
    connection: Connection,
}

/// That a majority of the stream's servers has an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the stream.
    pub sequence: u64,
    /// Whether it was there already: an earlier try had arrived.
    pub duplicate: bool,
}

/// Why an upsert is not in the queue. It may be, if only the answer was lost; then another try is no second message.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The stream holds as much as it may.
    #[error("the queue is full: runs wait at their senders until forwarders have caught up")]
    Full,
    /// The stream of refused ones holds as many as it may.
    #[error("the stream of refused runs is full: see `pipefold forward rejected list`, then retry or drop them")]
    RejectedFull,
    /// No stream takes the subject. Servers do not say why.
    #[error("the queue's stream {0} has no leader or does not exist: run `pipefold queue check`")]
    NoTaker(&'static str),
    /// No majority has answered.
    #[error("the queue did not acknowledge: {0}")]
    NoAcknowledgement(String),
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(queue: &Queue) -> Result<Self, ConnectError> {
        Ok(Self::new(Connection::open(queue, Purpose::Report).await?))
    }

    /// Publishes through a connection that is there already.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Puts a run's upsert into the queue, and waits until a majority has it.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, run: &Run) -> Result<Stored, PublishError> {
        let body = body(run);
        let id = digest(&body);
        self.put(subject(&run.reference_id), &id, body).await
    }

    /// Puts a message under a subject. Of those with the same `id` within the stream's duplicate window, one is kept.
    pub(crate) async fn put(&self, subject: String, id: &str, body: Vec<u8>) -> Result<Stored, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        let stream = of_subject(&subject);
        let sent = self
            .connection
            .context
            .publish_with_headers(subject, headers, body.into());
        let answer = async { sent.await?.await }.await;
        let stored = answer.map_err(|why| match why.kind() {
            PublishErrorKind::StreamNotFound => PublishError::NoTaker(stream),
            _ if is_full(&why) && stream == REJECTED => PublishError::RejectedFull,
            _ if is_full(&why) => PublishError::Full,
            _ => PublishError::NoAcknowledgement(one_line(&why)),
        })?;
        // The number of a message that the leader knows of and no majority has: the answer to a try whose first one is under way, or was
        // lost with an earlier leader (nats-server 2.9 says so; later ones refuse).
        if stored.sequence == 0 {
            return Err(PublishError::NoAcknowledgement(
                "an earlier try is still under way".to_owned(),
            ));
        }
        Ok(Stored {
            sequence: stored.sequence,
            duplicate: stored.duplicate,
        })
    }

    /// The connection, which others may use as well.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// What names an upsert: the same body is the same upsert, and another start, end or status is another body.
pub(crate) fn digest(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    // Half of it does not collide by accident, and the server keeps it in memory.
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn is_full(why: &async_nats::jetstream::context::PublishError) -> bool {
    let full = [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ];
    let source = std::error::Error::source(why);
    let server = source.and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    server.is_some_and(|error| full.contains(&error.error_code()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_has_the_same_id_and_a_change_another() {
        let run = |status: &str| -> Run {
            serde_json::from_value(serde_json::json!({
                "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z", "status": status,
            }))
            .unwrap()
        };
        let id = |status: &str| digest(&body(&run(status)));
        assert_eq!(id("running"), id("running"));
        assert_ne!(id("running"), id("success"));
        assert_eq!(id("running").len(), 32);
        assert_eq!(subject("r").len(), "pipefold.runs.".len() + 32);
    }
}
