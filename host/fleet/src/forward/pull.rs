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

/// Messages asked for at a time. Large enough that a run's upserts, which lie close together, mostly come to the same forwarder; small
/// enough that another has its share of a backlog.
const BATCH: usize = 512;

/// Bytes asked for at a time: what a batch has, and far below the memory that a forwarder may take.
const BATCH_BYTES: usize = 4 << 20;

/// How long a request for messages stands. While it does, other forwarders with time on their hands leave the work to this one.
const STANDS: Duration = Duration::from_secs(5);

/// After it should have ended, the server that had it is gone; and what its end has overtaken has come.
const GRACE: Duration = Duration::from_secs(1);

/// Without a message for this long after a round trip, none is on its way: messages of a replicated stream take a longer way than an answer.
const QUIET: Duration = Duration::from_millis(100);

/// While another forwarder asks: soon enough to take over when it is busy.
const OTHERS_TURN: Duration = Duration::from_millis(40);

/// One that is refused again and again waits longer, or it would slip in between two requests of the other and split the runs that are under
/// way; one that is busy leaves its turn for longer than this.
const LONGEST_TURN: Duration = Duration::from_millis(1280);

/// After trouble with the queue.
const AFTER_TROUBLE: Duration = Duration::from_millis(250);

/// After which a message for which there is no room is delivered again, to whichever forwarder has.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What the puller works with.
pub struct Puller {
    pub connection: Connection,
    pub counters: Arc<Counters>,
    /// Room for messages.
    pub room: Room,
    /// Whether more could be worked off.
    pub wanted: watch::Receiver<Demand>,
    pub to: mpsc::Sender<Message>,
}

/// Whether more could be worked off.
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

/// How much is asked for.
#[derive(Clone, Copy, Debug, Default)]
enum RequestSize {
    /// As a rule.
    #[default]
    Batch,
    /// After one that is larger than that: it is refused, and would keep all others waiting.
    OneOfAnySize,
}

/// How a request ended that the queue answered.
enum PullEnd {
    /// All that was asked for came, or the time was up.
    Well,
    /// Another forwarder asks.
    OthersTurn,
    /// A message is larger than what was asked for, and goes before all others.
    TooLarge,
    /// The forwarder ends.
    Stopped,
}

impl Puller {
    /// Asks whenever more could be worked off, until the forwarder ends. What had come by then is handed over as well.
    pub async fn run(mut self) {
        let (mut inbox, mut checked, mut most) = (None, false, RequestSize::Batch);
        let mut said = None;
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
                    // Longer than any other that has little to do waits between its tries.
                    let wait = self.wanted.wait_for(|wanted| *wanted != Demand::AfterOthers);
                    if timeout(2 * LONGEST_TURN, wait).await.is_ok() {
                        continue;
                    }
                }
                Ok(_) => {}
            }
            match self.ask(&mut inbox, &mut checked, std::mem::take(&mut most)).await {
                Ok(PullEnd::Stopped) => break,
                Ok(PullEnd::Well) => {
                    said = None;
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
                    if said.as_ref() != Some(&why) {
                        tracing::warn!("the queue delivers no messages: {why}");
                        said = Some(why);
                    }
                    // Its consumer may be gone. The inbox stays: what was sent before may still come.
                    checked = false;
                    sleep(AFTER_TROUBLE).await;
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

    /// Asks once, and takes what comes.
    async fn ask(
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
        inbox.ask(left, bytes, STANDS).await?;
        let mut until = Instant::now() + STANDS + GRACE;
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
                    // What it has overtaken is still to come.
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
        // A message that is not taken is redelivered.
        let _ = self.to.send(message).await;
    }
}

/// The header with how many messages of a request will not come.
const UNDELIVERED: &str = "Nats-Pending-Messages";

/// A subscription of this forwarder's own.
#[derive(Debug)]
pub struct Inbox {
    connection: Connection,
    subject: String,
    subscriber: Subscriber,
    requests: u64,
}

/// What comes.
#[derive(Debug)]
pub enum Arrival {
    /// A message.
    Message(Box<Delivered>),
    /// The end of the last request.
    RequestOver {
        /// Why.
        why: PullStatus,
        /// How many of its messages will not come, if the server says so.
        undelivered: Option<usize>,
    },
}

/// Why a request is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// Its time is up, or as many bytes came as were asked for.
    Done,
    /// Another forwarder's request stands.
    OthersTurn,
    /// The next message is larger than all that was asked for.
    TooLarge,
    /// Something is wrong with the consumer or its server.
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

    /// Asks for messages: so many at most, of so many bytes in all (of any size without), within so long.
    pub async fn ask(&mut self, batch: usize, max_bytes: Option<usize>, expires: Duration) -> Result<(), String> {
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

    /// The next that comes. `None` once the connection is closed for good.
    pub async fn next(&mut self) -> Option<Arrival> {
        loop {
            let message = self.subscriber.next().await?;
            let Some(status) = message.status else {
                let context = self.connection.context.clone();
                return Some(Arrival::Message(Box::new(Delivered { message, context })));
            };
            // Of an earlier request it says nothing about this one.
            if message.subject.as_str() != self.reply() {
                continue;
            }
            let said = message.description.unwrap_or_default();
            if let Some(why) = over(status, &said) {
                let undelivered = message.headers.as_ref().and_then(undelivered);
                return Some(Arrival::RequestOver { why, undelivered });
            }
        }
    }

    /// Unsubscribes. What came before is still given by [`Self::next`], and then `None`.
    pub async fn close(&mut self) {
        // Without a connection nothing will come.
        let _ = self.subscriber.unsubscribe().await;
    }

    fn reply(&self) -> String {
        format!("{}.{}", self.subject, self.requests)
    }
}

/// What a status means; `None` if the request goes on (JetStream's wire API, "Pull consumers": the statuses of a request).
fn over(status: StatusCode, said: &str) -> Option<PullStatus> {
    match status.as_u16() {
        100 => None,
        // The time is up; nothing is there.
        408 | 404 => Some(PullStatus::Done),
        409 if said.contains("MaxWaiting") => Some(PullStatus::OthersTurn),
        409 if said.contains("Batch Completed") => Some(PullStatus::Done),
        409 if said.contains("Exceeds MaxBytes") => Some(PullStatus::TooLarge),
        503 => Some(PullStatus::Failed("no server has the consumer now".to_owned())),
        _ => Some(PullStatus::Failed(format!("{status} {said}"))),
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
            assert_eq!(over(status, said), Some(PullStatus::Done));
        }
        assert_eq!(over(409, "Exceeded MaxWaiting"), Some(PullStatus::OthersTurn));
        assert_eq!(over(409, "Message Size Exceeds MaxBytes"), Some(PullStatus::TooLarge));
        for (status, said) in [
            (409, "Leadership Change"),
            (409, "Consumer Deleted"),
            (503, ""),
            (999, "?"),
        ] {
            assert!(
                matches!(over(status, said), Some(PullStatus::Failed(_))),
                "{status} {said}"
            );
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
