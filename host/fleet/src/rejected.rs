//! Upserts that DX or the rules refused for good, stored with the reason.

use crate::connection::Connection;
use crate::content::Content;
use crate::publish::{PublishError, Publisher, digest};
use crate::stream::{self, REJECTED, StreamError, info, refused_subject, subject};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest entry that is stored whole, in bytes. A readable upsert has 512 KiB at most, and the reason needs room; an unreadable one is
/// not needed whole, and its text in JSON may be six times as long.
const MAX_KEPT: usize = 600 * 1024;

/// Bytes stored of a larger upsert: enough to identify it.
const EXCERPT: usize = 4096;

/// Bytes besides the body that a server counts as part of a message: a subject and a header of some dozens each.
const HEAD: usize = 1024;

/// A stored upsert that was refused for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// The upsert as JSON, or as text if it was not JSON.
    pub upsert: Value,
    /// DX's error code; `refused` or `unreadable` where the rules refused it.
    pub code: String,
    /// The message of DX, or of the rules.
    pub message: String,
    /// The time of the refusal, RFC 3339 in UTC.
    pub at: String,
}

/// A refused upsert with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbered {
    /// The number in the stream.
    pub number: u64,
    /// The refused upsert.
    #[serde(flatten)]
    pub rejected: Rejected,
}

/// An error of reading or changing the stream of refused upserts.
#[derive(Debug, thiserror::Error)]
pub enum RejectedError {
    /// The stream cannot be used.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The upsert was not put back into the queue, and stays stored.
    #[error("number {number} was not put back: {why}")]
    NotPutBack {
        /// The upsert's number.
        number: u64,
        /// The reason.
        why: PublishError,
    },
}

impl Rejected {
    /// A refused upsert with the current time.
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

    /// The run's id, if the upsert has one.
    #[must_use]
    pub fn reference_id(&self) -> Option<String> {
        Content::parse(&self.body()).ok()?.run.reference_id
    }

    /// The job's id, if the upsert is a job's.
    #[must_use]
    pub fn job(&self) -> Option<String> {
        Content::parse(&self.body()).ok()?.job_id().map(str::to_owned)
    }

    /// A copy with the first [`EXCERPT`] bytes of the upsert.
    fn in_part(&self) -> Self {
        let body = self.body();
        let text = String::from_utf8_lossy(body.get(..EXCERPT).unwrap_or(&body)).into_owned();
        let (message, length) = (&self.message, body.len());
        Self {
            upsert: Value::from(text),
            message: format!("{message}; it has {length} bytes, of which {EXCERPT} are kept"),
            ..self.clone()
        }
    }

    fn body(&self) -> Vec<u8> {
        match &self.upsert {
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    }
}

/// Stores a refused message, whose number in the queue is `sequence`. On return a majority of the servers has it.
pub(crate) async fn keep(publisher: &Publisher, rejected: &Rejected, sequence: u64) -> Result<(), PublishError> {
    let subject = refused_subject(rejected.reference_id().as_deref());
    let mut body = serde_json::to_vec(rejected).unwrap_or_default();
    let room = publisher.connection().client.max_payload().saturating_sub(HEAD);
    if body.len() > MAX_KEPT.min(room) {
        body = serde_json::to_vec(&rejected.in_part()).unwrap_or_default();
    }
    // The id is the number and not the content: the same upsert, put back and refused again, is another message.
    publisher.put(subject, &format!("rejected-{sequence}"), body).await?;
    Ok(())
}

/// The result of [`retry`] or [`drop`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Refused upserts that were put back or deleted.
    pub count: u64,
    /// Given numbers that do not exist.
    pub missing: Vec<u64>,
}

/// The oldest refused upserts, at most `limit`, and the number of all.
///
/// # Errors
/// [`RejectedError::Stream`].
pub async fn list(connection: &Connection, limit: usize) -> Result<(Vec<Numbered>, u64), RejectedError> {
    let state = info(connection, REJECTED).await?.state;
    let stream = stream(connection).await?;
    let mut found = Vec::new();
    let mut from = state.first_sequence;
    while found.len() < limit {
        let Some(next) = next(&stream, from, state.last_sequence).await? else {
            break;
        };
        from = next.number.saturating_add(1);
        found.push(next);
    }
    Ok((found, state.messages))
}

/// Puts refused upserts back into the queue: those with these numbers, or all if none are given. Each is deleted after it was put back, so
/// an interrupted call loses nothing, and the next one continues.
///
/// # Errors
/// [`RejectedError`]; the upserts before the failed one were put back.
pub async fn retry(connection: &Connection, numbers: &[u64]) -> Result<Done, RejectedError> {
    let last = info(connection, REJECTED).await?.state.last_sequence;
    let stream = stream(connection).await?;
    let publisher = Publisher::new(connection.clone());
    let mut done = Done::default();
    if numbers.is_empty() {
        let mut from = 1;
        while let Some(found) = next(&stream, from, last).await? {
            from = found.number.saturating_add(1);
            put_back(&publisher, &stream, &found).await?;
            done.count += 1;
        }
    }
    for number in each(numbers) {
        match next(&stream, number, number).await? {
            Some(found) => {
                put_back(&publisher, &stream, &found).await?;
                done.count += 1;
            }
            None => done.missing.push(number),
        }
    }
    Ok(done)
}

/// Deletes refused upserts: those with these numbers, or all if none are given.
///
/// # Errors
/// [`RejectedError`]; the upserts before the failed one were deleted.
pub async fn drop(connection: &Connection, numbers: &[u64]) -> Result<Done, RejectedError> {
    let last = info(connection, REJECTED).await?.state.last_sequence;
    let stream = stream(connection).await?;
    let mut done = Done::default();
    if numbers.is_empty() {
        // Messages that arrive meanwhile were not listed.
        let purged = stream.purge().sequence(last.saturating_add(1)).await;
        done.count = purged.map_err(|why| server("empty the stream", &why))?.purged;
    }
    for number in each(numbers) {
        match next(&stream, number, number).await? {
            Some(found) => {
                remove(&stream, found.number).await?;
                done.count += 1;
            }
            None => done.missing.push(number),
        }
    }
    Ok(done)
}

/// The numbers without repetition, the lowest first.
fn each(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().copied().collect()
}

async fn put_back(publisher: &Publisher, stream: &Stream, found: &Numbered) -> Result<(), RejectedError> {
    let (number, rejected) = (found.number, &found.rejected);
    let body = rejected.body();
    let subject = subject(&rejected.reference_id().unwrap_or_default());
    // The id differs from the first publication's: within the duplicate window it would count as a duplicate, and be lost.
    let id = format!("{}-again-{number}", digest(&body));
    let put = publisher.put(subject, &id, body).await;
    put.map_err(|why| RejectedError::NotPutBack { number, why })?;
    remove(stream, number).await
}

async fn stream(connection: &Connection) -> Result<Stream, RejectedError> {
    Ok(stream::stream(connection, REJECTED).await?)
}

/// The first refused upsert between two numbers, both included. One request, however many were deleted in between.
async fn next(stream: &Stream, from: u64, to: u64) -> Result<Option<Numbered>, RejectedError> {
    if from > to || from == u64::MAX {
        return Ok(None);
    }
    // A stream's first message has the number 1, and servers read 0 as no number.
    let request = stream.raw_message_builder().sequence(from.max(1)).next_by_subject(">");
    let message = match request.send().await {
        Ok(message) => message,
        Err(why) => match why.kind() {
            RawMessageErrorKind::NoMessageFound => return Ok(None),
            RawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                return Ok(None);
            }
            _ => return Err(server("read a message of", &why).into()),
        },
    };
    // A server that answers with an earlier message would make callers loop for ever.
    let number = message.sequence;
    if !(from..=to).contains(&number) {
        return Ok(None);
    }
    let rejected = serde_json::from_slice(&message.payload).unwrap_or_else(|_| {
        // A foreign message: shown as it is.
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
