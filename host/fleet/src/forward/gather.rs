//! The rest of a run's upserts, wherever in the stream they are.
//!
//! While DX takes less than there is, a run's start and its end lie far apart in the stream, or are with two forwarders: a request each,
//! and requests are what there are too few of. So before one is spent, the stream is asked for all that it has of the run. What is not
//! with this forwarder is told to DX with the rest, and then removed: whoever has it, or would be given it, has nothing to tell any more.

use super::message::parse;
use crate::connection::Connection;
use crate::stream::{STREAM, subject_of};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use pipefold::dx::Arguments;
use pipefold::spool::RunKey;
use std::time::Duration;
use tokio::time::timeout;

/// The most that is gathered for a request: a run has a few, and one that has more is told in several.
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

/// Asks the stream for all that it has of a run. `None` if it does not say: then what is held is what is told.
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
                    // Under this subject somebody may have put what is about another run.
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
    /// That the stream has none of them any more: another forwarder has told DX.
    pub(super) fn beside(mut self, held: &[u64]) -> Result<Self, ToldByAnother> {
        let before = self.upserts.len();
        self.upserts.retain(|upsert| !held.contains(&upsert.sequence));
        if self.complete && before == self.upserts.len() {
            return Err(ToldByAnother);
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

    /// Removes them, as DX has them; but for those at these places, which were not told.
    pub(super) async fn remove(self, but: &[usize]) {
        for (place, upsert) in self.upserts.iter().enumerate() {
            if but.contains(&place) {
                continue;
            }
            // One that stays is told once more.
            if let Err(error) = self.stream.delete_message(upsert.sequence).await {
                tracing::debug!(%error, number = upsert.sequence, "a message that DX was told of stays");
            }
        }
    }
}

/// Nothing is left to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToldByAnother;
