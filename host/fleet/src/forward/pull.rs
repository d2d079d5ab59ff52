//! Requests to the queue for messages, and the inbox that it delivers them to.

use super::message::{Message, ReservedRoom, Room};
use crate::connection::{Connection, one_line};
use crate::health::{Counters, add};
use crate::stream::{CONSUMER, STREAM, consumer};
use async_nats::header::HeaderMap;
use async_nats::jetstream::Message as Delivered;
use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Messages in a request. Large enough that a run's upserts, which are close together, mostly reach the same forwarder; small enough that
/// other forwarders get their share of a backlog.
const BATCH: usize = 512;

/// Bytes in a request: the size of a batch, and far below the memory that a forwarder may use.
const BATCH_BYTES: usize = 4 << 20;

/// The time that a request stays open. Meanwhile idle forwarders leave new messages to this one.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The time after the end of a request. Without an answer by then its server is gone; and messages that the answer overtook have arrived.
const GRACE: Duration = Duration::from_secs(1);

/// The silence after a round trip that means that no message is on its way: messages of a replicated stream take longer than an answer.
const QUIET: Duration = Duration::from_millis(100);

/// The first pause while another forwarder's request is open: short enough to take over when that one is busy.
const OTHERS_TURN: Duration = Duration::from_millis(40);

/// The longest such pause. It grows, or this forwarder would get in between two requests of the other and split runs; a busy forwarder leaves
/// its turn for longer than this.
const LONGEST_TURN: Duration = Duration::from_millis(1280);

/// The pause after an error of the queue.
const AFTER_ERROR: Duration = Duration::from_millis(250);

/// The delay of a redelivery, to any forwarder, of a message for which there is no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The task that requests messages and hands them to the forwarder's loop.
pub struct Puller {
    pub connection: Connection,
    pub counters: Arc<Counters>,
    /// The room for messages.
    pub room: Room,
    /// The loop's current demand.
    pub wanted: watch::Receiver<Demand>,
    pub to: mpsc::Sender<Message>,
}

/// The demand of a forwarder for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// No more: the forwarder has enough to do.
    None,
    /// More, if no other forwarder asks for it.
    AfterOthers,
    /// More at once: the forwarder has little to do.
    More,
    /// No more at all: the forwarder ends.
    Stop,
}

/// The size of a request for messages.
#[derive(Clone, Copy, Debug, Default)]
enum RequestSize {
    /// The usual size.
    #[default]
    Batch,
    /// For a message that is larger than that: it must be received to be refused, and the messages behind it wait.
    OneOfAnySize,
}

/// The end of a request that the queue answered.
enum PullEnd {
    /// All requested messages arrived, or the time was up.
    Well,
    /// Another forwarder's request is open.
    OthersTurn,
    /// The next message is larger than the request.
    TooLarge,
    /// The forwarder ends.
    Stopped,
}

impl Puller {
    /// Requests messages by demand until the forwarder ends, then hands over those that had been sent.
    pub async fn run(mut self) {
        let (mut inbox, mut checked, mut most) = (None, false, RequestSize::Batch);
        let mut description = None;
        let mut turn = OTHERS_TURN;
        loop {
            match self
                .wanted
                .wait_for(|wanted| *wanted != Demand::None)
                .await
                .map(|wanted| *wanted)
            {
                Err(_) | Ok(Demand::Stop) => break,
                Ok(Demand::AfterOthers) => {
                    // Longer than the pause of any idle forwarder.
                    let wait = self.wanted.wait_for(|wanted| *wanted != Demand::AfterOthers);
                    if timeout(2 * LONGEST_TURN, wait).await.is_ok() {
                        continue;
                    }
                }
                Ok(_) => {}
            }
            match self
                .pull_once(&mut inbox, &mut checked, std::mem::take(&mut most))
                .await
            {
                Ok(PullEnd::Stopped) => break,
                Ok(PullEnd::Well) => {
                    description = None;
                    turn = OTHERS_TURN;
                    self.counters.queue_up.store(1, Relaxed);
                }
                Ok(PullEnd::TooLarge) => most = RequestSize::OneOfAnySize,
                Ok(PullEnd::OthersTurn) => {
                    self.counters.queue_up.store(1, Relaxed);
                    sleep(turn).await;
                    turn = (turn * 2).min(LONGEST_TURN);
                }
                Err(why) => {
                    self.counters
                        .queue_up
                        .store(u64::from(self.connection.is_up()), Relaxed);
                    if description.as_ref() != Some(&why) {
                        tracing::warn!("the queue delivers no messages: {why}");
                        description = Some(why);
                    }
                    // The consumer may be gone. The inbox stays: messages sent before may still arrive.
                    checked = false;
                    sleep(AFTER_ERROR).await;
                }
            }
        }
        if let Some(mut inbox) = inbox {
            // Messages that the server has sent arrive before its answer. Unsubscribed at once, they would be lost for half a minute.
            let _ = timeout(GRACE, consumer(&self.connection)).await;
            self.take_rest(&mut inbox, QUIET).await;
            inbox.close().await;
            self.take_rest(&mut inbox, GRACE).await;
        }
    }

    /// Hands over messages until none has come for `quiet`. The last request bounds their number.
    async fn take_rest(&self, inbox: &mut Inbox, quiet: Duration) {
        while let Ok(Some(came)) = timeout(quiet, inbox.next()).await {
            if let Arrival::Message(delivered) = came {
                self.hand_over(&delivered, &mut ReservedRoom::default()).await;
            }
        }
    }

    /// Sends one request, and hands over the messages that arrive.
    async fn pull_once(
        &mut self,
        inbox: &mut Option<Inbox>,
        checked: &mut bool,
        most: RequestSize,
    ) -> Result<PullEnd, String> {
        if !*checked {
            consumer(&self.connection).await.map_err(|why| why.to_string())?;
            *checked = true;
        }
        let inbox = match inbox {
            Some(inbox) => inbox,
            none => none.insert(Inbox::open(&self.connection).await?),
        };
        let (batch, bytes) = match most {
            RequestSize::Batch => (BATCH, Some(BATCH_BYTES)),
            RequestSize::OneOfAnySize => (1, None),
        };
        let mut reserved = tokio::select! {
            reserved = self.room.reserve(batch) => reserved,
            _ = self.wanted.wait_for(|wanted| *wanted == Demand::Stop) => return Ok(PullEnd::Stopped),
        };
        let mut left = reserved.messages();
        inbox.request(left, bytes, REQUEST_TIME).await?;
        let mut until = Instant::now() + REQUEST_TIME + GRACE;
        let mut over = None;
        while left > 0 {
            let came = tokio::select! {
                came = inbox.next() => came,
                () = sleep_until(until) => break,
                _ = self.wanted.wait_for(|wanted| *wanted == Demand::Stop) => return Ok(PullEnd::Stopped),
            };
            match came.ok_or("the connection is closed")? {
                Arrival::Message(delivered) => {
                    left -= 1;
                    self.hand_over(&delivered, &mut reserved).await;
                }
                Arrival::RequestOver { why, undelivered } => {
                    // Messages that the answer overtook are still to arrive.
                    left = undelivered.map_or(0, |undelivered| left.saturating_sub(undelivered));
                    until = Instant::now() + GRACE;
                    over = Some(why);
                }
            }
        }
        match over {
            Some(PullStatus::OthersTurn) => Ok(PullEnd::OthersTurn),
            Some(PullStatus::TooLarge) => Ok(PullEnd::TooLarge),
            Some(PullStatus::Failed(why)) => Err(why),
            None if left > 0 => Err("no server answered a request for messages".to_owned()),
            _ => Ok(PullEnd::Well),
        }
    }

    async fn hand_over(&self, delivered: &Delivered, reserved: &mut ReservedRoom) {
        let Some(part) = self.room.take(reserved, delivered.payload.len()) else {
            let _ = delivered
                .ack_with(async_nats::jetstream::AckKind::Nak(Some(NO_ROOM)))
                .await;
            return;
        };
        let Some((message, waiting)) = Message::of(delivered, part) else {
            return;
        };
        add(&self.counters.delivered, 1);
        add(&self.counters.redelivered, usize::from(message.delivered > 1));
        self.counters.waiting.store(waiting, Relaxed);
        // A message that the loop does not receive is redelivered.
        let _ = self.to.send(message).await;
    }
}

/// The header with the number of a request's messages that will not arrive.
const UNDELIVERED: &str = "Nats-Pending-Messages";

/// The subscription of this forwarder for messages.
///
/// It lasts as long as the forwarder and not for one request only: the answer that ends a request may overtake messages that were sent before
/// it (nats-server 2.15 does so when it counts bytes), and a message without a listener is redelivered only half a minute later.
#[derive(Debug)]
pub struct Inbox {
    connection: Connection,
    subject: String,
    subscriber: Subscriber,
    requests: u64,
}

/// An arrival in the inbox.
#[derive(Debug)]
pub enum Arrival {
    /// A message.
    Message(Box<Delivered>),
    /// The end of the last request.
    RequestOver {
        /// The reason.
        why: PullStatus,
        /// The number of its messages that will not arrive, if the server reports it.
        undelivered: Option<usize>,
    },
}

/// The reason for the end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// The time is up, or as many bytes arrived as were requested.
    Done,
    /// Another forwarder's request is open.
    OthersTurn,
    /// The next message is larger than the whole request.
    TooLarge,
    /// An error of the consumer or its server.
    Failed(String),
}

impl Inbox {
    /// Subscribes.
    pub async fn open(connection: &Connection) -> Result<Self, String> {
        let subject = connection.client.new_inbox();
        let subscriber = connection.client.subscribe(format!("{subject}.*")).await;
        Ok(Self {
            connection: connection.clone(),
            subject,
            subscriber: subscriber.map_err(|why| one_line(&why))?,
            requests: 0,
        })
    }

    /// Requests at most `batch` messages of at most `max_bytes` bytes in all (of any size if `None`) within `expires`.
    pub async fn request(&mut self, batch: usize, max_bytes: Option<usize>, expires: Duration) -> Result<(), String> {
        self.requests += 1;
        let to = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}");
        let max_bytes = max_bytes.unwrap_or_default();
        let wanted = json!({ "batch": batch, "max_bytes": max_bytes, "expires": expires.as_nanos() as u64 });
        let client = &self.connection.client;
        let sent = client
            .publish_with_reply(to, self.reply(), wanted.to_string().into())
            .await;
        sent.map_err(|why| one_line(&why))
    }

    /// The next arrival. `None` once the connection is closed for good.
    pub async fn next(&mut self) -> Option<Arrival> {
        loop {
            let message = self.subscriber.next().await?;
            let Some(status) = message.status else {
                let context = self.connection.context.clone();
                return Some(Arrival::Message(Box::new(Delivered { message, context })));
            };
            // The status of an earlier request says nothing about this one.
            if message.subject.as_str() != self.reply() {
                continue;
            }
            let description = message.description.unwrap_or_default();
            if let Some(why) = parse_status(status, &description) {
                let undelivered = message.headers.as_ref().and_then(undelivered);
                return Some(Arrival::RequestOver { why, undelivered });
            }
        }
    }

    /// Unsubscribes. [`Self::next`] still returns messages that arrived before, and then `None`.
    pub async fn close(&mut self) {
        // Without a connection nothing arrives.
        let _ = self.subscriber.unsubscribe().await;
    }

    fn reply(&self) -> String {
        format!("{}.{}", self.subject, self.requests)
    }
}

/// The meaning of a status; `None` if the request goes on (JetStream's wire API, "Pull consumers": the statuses of a request).
fn parse_status(status: StatusCode, description: &str) -> Option<PullStatus> {
    match status.as_u16() {
        100 => None,
        // The time is up; no messages.
        408 | 404 => Some(PullStatus::Done),
        409 if description.contains("MaxWaiting") => Some(PullStatus::OthersTurn),
        409 if description.contains("Batch Completed") => Some(PullStatus::Done),
        409 if description.contains("Exceeds MaxBytes") => Some(PullStatus::TooLarge),
        503 => Some(PullStatus::Failed("no server has the consumer now".to_owned())),
        _ => Some(PullStatus::Failed(format!("{status} {description}"))),
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
    fn statuses_are_parsed() {
        let parse_status = |status: u16, description| parse_status(StatusCode::from_u16(status).unwrap(), description);
        assert_eq!(parse_status(100, "Idle Heartbeat"), None);
        for (status, description) in [(404, "No Messages"), (408, "Request Timeout"), (409, "Batch Completed")] {
            assert_eq!(parse_status(status, description), Some(PullStatus::Done));
        }
        assert_eq!(parse_status(409, "Exceeded MaxWaiting"), Some(PullStatus::OthersTurn));
        assert_eq!(
            parse_status(409, "Message Size Exceeds MaxBytes"),
            Some(PullStatus::TooLarge)
        );
        for (status, description) in [
            (409, "Leadership Change"),
            (409, "Consumer Deleted"),
            (503, ""),
            (999, "?"),
        ] {
            assert!(
                matches!(parse_status(status, description), Some(PullStatus::Failed(_))),
                "{status} {description}"
            );
        }
    }

    #[test]
    fn undelivered_counts_are_parsed() {
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
