//! Where the queue delivers to.
//!
//! It stands for as long as the forwarder works, and not for one request only: a server's word that a request is over may overtake the
//! messages that were sent before it (nats-server 2.15 does so when it counts bytes), and one that arrives without a listener is
//! delivered again half a minute later.

use crate::connection::{Connection, words};
use crate::stream::{CONSUMER, STREAM};
use async_nats::header::HeaderMap;
use async_nats::jetstream::Message as Delivered;
use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt;
use serde_json::json;
use std::time::Duration;

/// The header with how many messages of a request will not come.
const UNDELIVERED: &str = "Nats-Pending-Messages";

/// A subscription of this forwarder's own.
#[derive(Debug)]
pub(super) struct Inbox {
    connection: Connection,
    subject: String,
    subscriber: Subscriber,
    requests: u64,
}

/// What comes.
#[derive(Debug)]
pub(super) enum Came {
    /// A message.
    Message(Box<Delivered>),
    /// The last request is over.
    Over {
        /// Why.
        why: Over,
        /// How many of its messages will not come, if the server says so.
        undelivered: Option<usize>,
    },
}

/// Why a request is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Its time is up, or as many bytes came as were asked for.
    Done,
    /// Another forwarder's request stands.
    OthersTurn,
    /// The next message is larger than all that was asked for.
    TooLarge,
    /// Something is wrong with the consumer or its server.
    Trouble(String),
}

impl Inbox {
    /// Subscribes.
    pub(super) async fn open(connection: &Connection) -> Result<Self, String> {
        let subject = connection.client.new_inbox();
        let subscriber = connection.client.subscribe(format!("{subject}.*")).await;
        Ok(Self {
            connection: connection.clone(),
            subject,
            subscriber: subscriber.map_err(|why| words(&why))?,
            requests: 0,
        })
    }

    /// Asks for messages: so many at most, of so many bytes in all (of any size without), within so long.
    pub(super) async fn ask(
        &mut self,
        batch: usize,
        max_bytes: Option<usize>,
        expires: Duration,
    ) -> Result<(), String> {
        self.requests += 1;
        let to = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}");
        let max_bytes = max_bytes.unwrap_or_default();
        let wanted = json!({ "batch": batch, "max_bytes": max_bytes, "expires": expires.as_nanos() as u64 });
        let client = &self.connection.client;
        let sent = client
            .publish_with_reply(to, self.reply(), wanted.to_string().into())
            .await;
        sent.map_err(|why| words(&why))
    }

    /// The next that comes. `None` once the connection is closed for good.
    pub(super) async fn next(&mut self) -> Option<Came> {
        loop {
            let message = self.subscriber.next().await?;
            let Some(status) = message.status else {
                let context = self.connection.context.clone();
                return Some(Came::Message(Box::new(Delivered { message, context })));
            };
            // Of an earlier request it says nothing about this one.
            if message.subject.as_str() != self.reply() {
                continue;
            }
            let said = message.description.unwrap_or_default();
            if let Some(why) = over(status, &said) {
                let undelivered = message.headers.as_ref().and_then(undelivered);
                return Some(Came::Over { why, undelivered });
            }
        }
    }

    /// Unsubscribes. What came before is still given by [`Self::next`], and then `None`.
    pub(super) async fn close(&mut self) {
        // Without a connection nothing will come.
        let _ = self.subscriber.unsubscribe().await;
    }

    fn reply(&self) -> String {
        format!("{}.{}", self.subject, self.requests)
    }
}

/// What a status means; `None` if the request goes on (JetStream's wire API, "Pull consumers": the statuses of a request).
fn over(status: StatusCode, said: &str) -> Option<Over> {
    match status.as_u16() {
        100 => None,
        // The time is up; nothing is there.
        408 | 404 => Some(Over::Done),
        409 if said.contains("MaxWaiting") => Some(Over::OthersTurn),
        409 if said.contains("Batch Completed") => Some(Over::Done),
        409 if said.contains("Exceeds MaxBytes") => Some(Over::TooLarge),
        503 => Some(Over::Trouble("no server has the consumer now".to_owned())),
        _ => Some(Over::Trouble(format!("{status} {said}"))),
    }
}

fn undelivered(headers: &HeaderMap) -> Option<usize> {
    headers.get(UNDELIVERED)?.as_str().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        let over = |status: u16, said| over(StatusCode::from_u16(status).unwrap(), said);
        assert_eq!(over(100, "Idle Heartbeat"), None);
        for (status, said) in [(404, "No Messages"), (408, "Request Timeout"), (409, "Batch Completed")] {
            assert_eq!(over(status, said), Some(Over::Done));
        }
        assert_eq!(over(409, "Exceeded MaxWaiting"), Some(Over::OthersTurn));
        assert_eq!(over(409, "Message Size Exceeds MaxBytes"), Some(Over::TooLarge));
        for (status, said) in [
            (409, "Leadership Change"),
            (409, "Consumer Deleted"),
            (503, ""),
            (999, "?"),
        ] {
            assert!(matches!(over(status, said), Some(Over::Trouble(_))), "{status} {said}");
        }
    }

    #[test]
    fn how_many_will_not_come() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(UNDELIVERED, value);
            undelivered(&headers)
        };
        assert_eq!(with("17"), Some(17));
        assert_eq!(with("-1"), None);
        assert_eq!(undelivered(&HeaderMap::new()), None);
    }
}
