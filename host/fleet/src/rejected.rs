//! What DX or the rules refused, kept with the reason.

use crate::connection::Connection;
use crate::publish::{PublishError, Publisher, digest};
use crate::stream::{self, REJECTED, StreamError, info, refused_subject, subject};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use chrono::{SecondsFormat, Utc};
use pipefold::dx::Arguments;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest that is kept whole, in bytes. What can be read has 512 KiB at most, and room for the reason; what cannot be read is not needed
/// whole, and its text in JSON may be six times as long.
const MAX_KEPT: usize = 600 * 1024;

/// What is kept of a larger one, in bytes: enough to know it by.
const EXCERPT: usize = 4096;

/// What else a server counts as part of a message, in bytes: a subject and a header of some dozens each.
const HEAD: usize = 1024;

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

    /// The same with as much of the upsert as a person needs to know it by.
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

/// Keeps a refused message, whose number in the queue is `sequence`. On return a majority has it.
pub(crate) async fn keep(publisher: &Publisher, rejected: &Rejected, sequence: u64) -> Result<(), PublishError> {
    let subject = refused_subject(rejected.reference_id().as_deref());
    let mut body = serde_json::to_vec(rejected).unwrap_or_default();
    let room = publisher.connection().client.max_payload().saturating_sub(HEAD);
    if body.len() > MAX_KEPT.min(room) {
        body = serde_json::to_vec(&rejected.in_part()).unwrap_or_default();
    }
    // By its number and not by what it says: the same upsert, put back and refused again, is another message.
    publisher.put(subject, &format!("rejected-{sequence}"), body).await?;
    Ok(())
}

/// What was done with refused ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// With how many.
    pub count: u64,
    /// Numbers that were given, and that there are none of.
    pub missing: Vec<u64>,
}

/// The refused ones, oldest first, at most `limit`; and how many there are.
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

/// Puts refused ones back into the queue: those of these numbers, or all that are there now if none are given. One after the other, and each
/// is removed after it was put back: an interrupted one loses nothing, and the next goes on.
///
/// # Errors
/// [`RejectedError`]; those before it were put back.
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

/// Forgets refused ones: those of these numbers, or all that are there now if none are given.
///
/// # Errors
/// [`RejectedError`]; those before it were forgotten.
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

/// Each number once, the lowest first.
fn each(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().copied().collect()
}

async fn put_back(publisher: &Publisher, stream: &Stream, found: &Numbered) -> Result<(), RejectedError> {
    let (number, rejected) = (found.number, &found.rejected);
    let body = rejected.body();
    let subject = subject(&rejected.reference_id().unwrap_or_default());
    // Another name than the first time: within the duplicate window it would pass for that, and be lost.
    let id = format!("{}-again-{number}", digest(&body));
    let put = publisher.put(subject, &id, body).await;
    put.map_err(|why| RejectedError::NotPutBack { number, why })?;
    remove(stream, number).await
}

async fn stream(connection: &Connection) -> Result<Stream, RejectedError> {
    Ok(stream::stream(connection, REJECTED).await?)
}

/// The first of them between two numbers, both included; `None` if there is none. One request, however many were removed between.
async fn next(stream: &Stream, from: u64, to: u64) -> Result<Option<Numbered>, RejectedError> {
    if from > to || from == u64::MAX {
        return Ok(None);
    }
    // A stream's first message has the number 1, and its server takes 0 for no number at all.
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
    // One that was asked for and answers with an earlier one would go round for ever.
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
