//! What DX or the rules refused, kept with the reason.

use crate::connection::Connection;
use crate::publish::{PublishError, Publisher, digest};
use crate::stream::{REJECTED, StreamError, info, refused_subject, subject};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use chrono::{SecondsFormat, Utc};
use pipefold::dx::Arguments;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One upsert that was refused for good, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// The upsert: the JSON that it was, or its text where it was none.
    pub upsert: Value,
    /// DX's error code; `refused` or `unreadable` where the rules refused it.
    pub code: String,
    /// DX's words, or the rules'.
    pub message: String,
    /// When, in UTC.
    pub at: String,
}

/// One of them with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbered {
    /// Its number in the stream.
    pub number: u64,
    /// What is kept.
    #[serde(flatten)]
    pub rejected: Rejected,
}

/// Why the refused ones could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum RejectedError {
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It was not put back into the queue, and is kept as it was.
    #[error("number {number} was not put back: {why}")]
    NotPutBack {
        /// Its number.
        number: u64,
        /// Why.
        why: PublishError,
    },
    /// There is none of this number.
    #[error("there is no refused upsert with number {0}; `pipefold forward rejected list` shows them")]
    NoSuch(u64),
}

impl Rejected {
    /// What is kept of a refused upsert.
    #[must_use]
    pub fn new(body: &[u8], code: &str, message: &str) -> Self {
        let upsert = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
        Self {
            upsert,
            code: code.to_owned(),
            message: message.to_owned(),
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }

    /// The run that it is about, if it says so.
    #[must_use]
    pub fn reference_id(&self) -> Option<String> {
        Arguments::from_foreign_json(&self.body()).ok()?.reference_id
    }

    fn body(&self) -> Vec<u8> {
        match &self.upsert {
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    }
}

/// Keeps a refused message, whose number in the queue is `sequence`. On return a majority has it.
pub(crate) async fn keep(publisher: &Publisher, rejected: &Rejected, sequence: u64) -> Result<(), PublishError> {
    let subject = refused_subject(rejected.reference_id().as_deref());
    let body = serde_json::to_vec(rejected).unwrap_or_default();
    // By its number and not by what it says: the same upsert, put back and refused again, is another message.
    publisher.put(subject, &format!("rejected-{sequence}"), body).await?;
    Ok(())
}

/// The refused ones, oldest first, at most `limit`; and how many there are.
///
/// # Errors
/// [`RejectedError::Stream`].
pub async fn list(connection: &Connection, limit: usize) -> Result<(Vec<Numbered>, u64), RejectedError> {
    let state = info(connection, REJECTED).await?.state;
    let stream = stream(connection).await?;
    let mut found = Vec::new();
    if state.messages > 0 {
        for number in state.first_sequence..=state.last_sequence {
            if found.len() >= limit {
                break;
            }
            found.extend(read(&stream, number).await?);
        }
    }
    Ok((found, state.messages))
}

/// Puts refused ones back into the queue: those of these numbers, or all if none are given. Gives how many.
///
/// # Errors
/// [`RejectedError`]; those before it were put back.
pub async fn retry(connection: &Connection, numbers: &[u64]) -> Result<usize, RejectedError> {
    let publisher = Publisher::new(connection.clone());
    each(connection, numbers, async |stream, found: Numbered| {
        let (number, rejected) = (found.number, &found.rejected);
        let body = rejected.body();
        let subject = subject(&rejected.reference_id().unwrap_or_default());
        // Another name than the first time: within the duplicate window it would pass for that, and be lost.
        let id = format!("{}-again-{number}", digest(&body));
        let put = publisher.put(subject, &id, body).await;
        put.map_err(|why| RejectedError::NotPutBack { number, why })?;
        remove(stream, number).await
    })
    .await
}

/// Forgets refused ones: those of these numbers, or all if none are given. Gives how many.
///
/// # Errors
/// [`RejectedError`]; those before it were forgotten.
pub async fn drop(connection: &Connection, numbers: &[u64]) -> Result<usize, RejectedError> {
    each(connection, numbers, async |stream, found: Numbered| {
        remove(stream, found.number).await
    })
    .await
}

async fn each(
    connection: &Connection,
    numbers: &[u64],
    act: impl AsyncFn(&Stream, Numbered) -> Result<(), RejectedError>,
) -> Result<usize, RejectedError> {
    let state = info(connection, REJECTED).await?.state;
    let stream = stream(connection).await?;
    let mut count = 0;
    if !numbers.is_empty() {
        for number in numbers {
            let found = read(&stream, *number).await?.ok_or(RejectedError::NoSuch(*number))?;
            act(&stream, found).await?;
            count += 1;
        }
        return Ok(count);
    }
    if state.messages > 0 {
        for number in state.first_sequence..=state.last_sequence {
            if let Some(found) = read(&stream, number).await? {
                act(&stream, found).await?;
                count += 1;
            }
        }
    }
    Ok(count)
}

async fn stream(connection: &Connection) -> Result<Stream, RejectedError> {
    let stream = connection.context.get_stream(REJECTED).await;
    Ok(stream.map_err(|why| server("look at the stream", &why))?)
}

/// One of them; `None` if it was removed.
async fn read(stream: &Stream, number: u64) -> Result<Option<Numbered>, RejectedError> {
    let message = match stream.get_raw_message(number).await {
        Ok(message) => message,
        Err(why) => match why.kind() {
            RawMessageErrorKind::NoMessageFound => return Ok(None),
            RawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                return Ok(None);
            }
            _ => return Err(server("read a message of", &why).into()),
        },
    };
    let rejected = serde_json::from_slice(&message.payload).unwrap_or_else(|_| {
        // Somebody else's message: shown as it is.
        Rejected::new(&message.payload, "unknown", "this was not put here by a forwarder")
    });
    Ok(Some(Numbered { number, rejected }))
}

async fn remove(stream: &Stream, number: u64) -> Result<(), RejectedError> {
    let removed = stream.delete_message(number).await;
    removed.map_err(|why| server("remove a message of", &why))?;
    Ok(())
}

fn server(what: &'static str, why: &dyn std::error::Error) -> StreamError {
    StreamError::server(what, REJECTED, why)
}
