//! Asking the queue for more.

use super::counters::{Counters, add};
use super::message::Message;
use crate::connection::Connection;
use crate::stream::{StreamError, consumer};
use async_nats::jetstream::consumer::{Consumer, pull};
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Messages asked for at a time. Large enough that a run's upserts, which lie close together, mostly come to the same forwarder; small
/// enough that another has its share of a backlog.
const BATCH: usize = 512;

/// Bytes asked for at a time: what a batch has, and far below the memory that a forwarder may take.
const BATCH_BYTES: usize = 4 << 20;

/// How long a request for messages stands. While it does, other forwarders with time on their hands leave the work to this one.
const STANDS: Duration = Duration::from_secs(5);

/// After it should have ended, the server that had it is gone.
const GRACE: Duration = Duration::from_secs(1);

/// While another forwarder asks: soon enough to take over when it is busy.
const OTHERS_TURN: Duration = Duration::from_millis(40);

/// One that is refused again and again waits longer, or it would slip in between two requests of the other and split the runs that are under
/// way; one that is busy leaves its turn for longer than this.
const LONGEST_TURN: Duration = Duration::from_millis(1280);

/// After trouble with the queue.
const AFTER_TROUBLE: Duration = Duration::from_millis(250);

/// What the puller works with.
pub(super) struct Puller {
    pub(super) connection: Connection,
    pub(super) counters: Arc<Counters>,
    /// Room for messages.
    pub(super) room: Arc<Semaphore>,
    /// Whether more could be worked off.
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) to: mpsc::Sender<Message>,
}

/// Whether more could be worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// There is enough to do.
    No,
    /// It is good to have, if no other forwarder takes it.
    AfterOthers,
    /// There is little to do.
    Yes,
}

enum Ended {
    /// All that was asked for came, or the time was up.
    Well,
    /// Another forwarder asks.
    OthersTurn,
    /// Nobody takes what comes any more.
    Nobody,
}

impl Puller {
    /// Asks whenever more could be worked off, for ever.
    pub(super) async fn run(mut self) {
        let mut from = None;
        let mut said = None;
        let mut turn = OTHERS_TURN;
        loop {
            match self
                .wanted
                .wait_for(|wanted| *wanted != Wanted::No)
                .await
                .map(|wanted| *wanted)
            {
                Err(_) => return,
                Ok(Wanted::AfterOthers) => sleep(2 * OTHERS_TURN).await,
                Ok(_) => {}
            }
            let batch = BATCH.min(self.room.available_permits()).max(1);
            let number = u32::try_from(batch).unwrap_or(1);
            let Ok(room) = Arc::clone(&self.room).acquire_many_owned(number).await else {
                return;
            };
            match self.ask(&mut from, batch, room).await {
                Ok(Ended::Nobody) => return,
                Ok(Ended::Well) => {
                    said = None;
                    turn = OTHERS_TURN;
                    self.counters.queue_up.store(1, Relaxed);
                }
                Ok(Ended::OthersTurn) => {
                    self.counters.queue_up.store(1, Relaxed);
                    sleep(turn).await;
                    turn = (turn * 2).min(LONGEST_TURN);
                }
                Err(why) => {
                    self.counters
                        .queue_up
                        .store(u64::from(self.connection.is_up()), Relaxed);
                    if said.as_ref() != Some(&why) {
                        tracing::warn!("the queue gives nothing now: {why}");
                        said = Some(why);
                    }
                    from = None;
                    sleep(AFTER_TROUBLE).await;
                }
            }
        }
    }

    async fn ask(
        &mut self,
        from: &mut Option<Consumer<pull::Config>>,
        batch: usize,
        mut room: OwnedSemaphorePermit,
    ) -> Result<Ended, String> {
        let consumer = match from {
            Some(consumer) => consumer,
            none => none.insert(
                consumer(&self.connection)
                    .await
                    .map_err(|why: StreamError| why.to_string())?,
            ),
        };
        let request = consumer
            .batch()
            .max_messages(batch)
            .max_bytes(BATCH_BYTES)
            .expires(STANDS);
        let mut messages = request.messages().await.map_err(|why| why.to_string())?;
        let until = Instant::now() + STANDS + GRACE;
        loop {
            let next = tokio::select! {
                next = messages.next() => next,
                () = sleep_until(until) => return Err("no server answered a request for messages".to_owned()),
            };
            let delivered = match next {
                None => return Ok(Ended::Well),
                Some(Ok(delivered)) => delivered,
                Some(Err(why)) => {
                    let why = why.to_string();
                    // All that was asked for, by size instead of by number, is no trouble either.
                    return match () {
                        () if why.contains("MaxWaiting") => Ok(Ended::OthersTurn),
                        () if why.contains("MaxBytes") => Ok(Ended::Well),
                        () => Err(why),
                    };
                }
            };
            let Some(part) = room.split(1) else {
                return Ok(Ended::Well);
            };
            let Some((message, waiting)) = Message::of(&delivered, part) else {
                continue;
            };
            add(&self.counters.delivered, 1);
            add(&self.counters.redelivered, usize::from(message.delivered > 1));
            self.counters.waiting.store(waiting, Relaxed);
            if self.to.send(message).await.is_err() {
                return Ok(Ended::Nobody);
            }
        }
    }
}
