//! Upserts of runs and jobs into the queue.

use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose, one_line};
use crate::content::job_message;
use crate::stream::{REJECTED, of_subject, subject};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishErrorKind;
use pipefold::dx::{body, job_body};
use pipefold::{Job, Run};
use sha2::{Digest, Sha256};

/// Publishes upserts into the queue. Clones share a connection, and may publish at the same time.
#[derive(Clone, Debug)]
pub struct Publisher {
    connection: Connection,
}

/// An upsert that a majority of the stream's servers has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The message's sequence number in the stream.
    pub sequence: u64,
    /// True if the stream had it already: an earlier try had arrived.
    pub duplicate: bool,
}

/// An error of publishing. If only the answer was lost, the upsert is in the queue, and another try adds no second message.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The connection failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The stream has reached its size limit.
    #[error("the queue is full: runs wait at their senders until forwarders have caught up")]
    Full,
    /// The stream of refused upserts has reached its limit.
    #[error("the stream of refused runs is full: see `pipefold forward rejected list`, then retry or drop them")]
    RejectedFull,
    /// No stream accepts the subject. Servers give no reason.
    #[error("the queue's stream {0} has no leader or does not exist: run `pipefold queue check`")]
    NoTaker(&'static str),
    /// No majority of the servers has acknowledged.
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

    /// A publisher on an open connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Publishes a run's upsert, and waits until a majority of the servers has it.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, run: &Run) -> Result<Stored, PublishError> {
        let body = body(run);
        let id = digest(&body);
        self.put(subject(&run.reference_id), &id, body).await
    }

    /// Publishes the upsert of a run's job, after [`Publisher::publish`] of its run, and waits as that does.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish_job(&self, run: &Run, job: &Job) -> Result<Stored, PublishError> {
        // The id is of the job alone: the run that the message has beside it may be another one at a second try.
        let id = digest(&job_body(run, job));
        self.put(subject(&run.reference_id), &id, job_message(run, job)).await
    }

    /// Publishes a message under a subject. Of messages with the same `id` within the stream's duplicate window, one is kept.
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
        // Sequence 0 is a message that the leader has and no majority has: the answer to a repeated try whose first one is under way, or was
        // lost with an earlier leader (nats-server 2.9 answers so; later versions refuse).
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

    /// The connection, which may be shared.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The message id of an upsert: a digest of its body. Another start, end or status is another body.
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
