//! The rest of a run's upserts, wherever in the stream they are.
//!
//! While DX takes less than there is, a run's start and its end lie far apart in the stream, or are with two forwarders: a request each,
//! and requests are what there are too few of. So before one is spent, the stream is asked for all that it has of the run. Upserts that
//! this forwarder does not hold are sent to DX with the rest and then removed. A forwarder that holds one of them has nothing left to send.

use super::message::parse;
use crate::connection::Connection;
use crate::stream::{STREAM, subject_of};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use pipefold::dx::Arguments;
use pipefold::spool::RunKey;
use std::time::Duration;
use tokio::time::timeout;

/// The most that is gathered for a request: a run has a few, and one with more takes several requests.
const MOST: usize = 32;

/// How long it may take: a request to DX waits for it.
const WITHIN: Duration = Duration::from_secs(2);

/// What the stream has of a run.
#[derive(Debug)]
pub(super) struct Gathered {
    stream: Stream<()>,
    upserts: Vec<Upsert>,
    /// Whether that is all.
    complete: bool,
}

/// One upsert of the run.
#[derive(Debug)]
struct Upsert {
    sequence: u64,
    said: Result<Arguments, String>,
}

/// Asks the stream for all that it has of a run. `None` without an answer: then the held upserts are sent.
pub(super) async fn gather(connection: &Connection, run: RunKey) -> Option<Gathered> {
    let stream = connection.context.get_stream_no_info(STREAM).await.ok()?;
    timeout(WITHIN, read(stream, run)).await.ok()?
}

async fn read(stream: Stream<()>, run: RunKey) -> Option<Gathered> {
    let subject = subject_of(run);
    let (mut upserts, mut from, mut complete) = (Vec::new(), 1, false);
    while upserts.len() < MOST {
        match stream.get_first_raw_message_by_subject(&subject, from).await {
            Ok(message) => {
                from = message.sequence + 1;
                upserts.push(Upsert {
                    sequence: message.sequence,
                    // A message under this subject may be about another run.
                    said: parse(&message.payload).and_then(|(key, said)| match key == run {
                        true => Ok(said),
                        false => Err("it is about another run".to_owned()),
                    }),
                });
            }
            Err(why) => match why.kind() {
                RawMessageErrorKind::NoMessageFound => {
                    complete = true;
                    break;
                }
                RawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                    complete = true;
                    break;
                }
                _ => return None,
            },
        }
    }
    Some(Gathered {
        stream,
        upserts,
        complete,
    })
}

impl Gathered {
    /// Leaves out those that the forwarder has.
    ///
    /// # Errors
    /// That the stream has none of them any more: another forwarder has sent them to DX.
    pub(super) fn beside(mut self, held: &[u64]) -> Result<Self, SentByAnother> {
        let before = self.upserts.len();
        self.upserts.retain(|upsert| !held.contains(&upsert.sequence));
        if self.complete && before == self.upserts.len() {
            return Err(SentByAnother);
        }
        self.upserts.retain(|upsert| upsert.said.is_ok());
        Ok(self)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.upserts.len()
    }

    /// What they say.
    pub(super) fn said(&self) -> impl Iterator<Item = Arguments> {
        self.upserts.iter().filter_map(|upsert| upsert.said.clone().ok())
    }

    /// Removes them after DX accepted them, except those at these places, which were not sent.
    pub(super) async fn remove(self, but: &[usize]) {
        for (place, upsert) in self.upserts.iter().enumerate() {
            if but.contains(&place) {
                continue;
            }
            // One that stays is sent once more.
            if let Err(error) = self.stream.delete_message(upsert.sequence).await {
                tracing::debug!(%error, number = upsert.sequence, "a message that DX has was not removed");
            }
        }
    }
}

/// Nothing is left to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentByAnother;
