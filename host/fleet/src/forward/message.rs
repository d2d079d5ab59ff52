//! One message with its acknowledgement, and the memory that held upserts may take.

use crate::content::Content;
use crate::stream::subject_of;
use async_nats::Client;
use async_nats::jetstream::{AckKind, Message as Delivered};
use pipefold::spool::RunKey;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An upsert that this forwarder holds.
#[derive(Debug)]
pub struct Message {
    /// The body, copied: the delivered one would keep the whole network buffer in memory.
    pub body: Box<[u8]>,
    /// The job that it is about, once it was read; `None` for a run.
    pub job: Option<Box<str>>,
    /// The subject under which it was published.
    subject: Box<str>,
    /// Its number in the stream.
    pub sequence: u64,
    /// The number of deliveries, to any forwarder.
    pub delivered: u32,
    /// The time of publication, by the server's clock.
    pub published: SystemTime,
    /// The subject for acknowledgements.
    reply: Box<str>,
    /// Its share of the forwarder's memory.
    _room: RoomShare,
}

impl Message {
    /// Takes over a delivered message, with the number of messages still waiting. `None` if it is not from a stream.
    pub fn of(delivered: &Delivered, room: RoomShare) -> Option<(Self, u64)> {
        let info = delivered.info().ok()?;
        let message = Self {
            body: Box::from(&delivered.payload[..]),
            job: None,
            subject: Box::from(delivered.subject.as_str()),
            sequence: info.stream_sequence,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
            published: SystemTime::from(info.published),
            reply: Box::from(delivered.reply.as_ref()?.as_str()),
            _room: room,
        };
        Some((message, info.pending))
    }

    /// A message for tests, without a server.
    #[cfg(test)]
    pub fn made_up(sequence: u64, room: RoomShare) -> Self {
        Self {
            body: Box::default(),
            job: None,
            subject: Box::default(),
            sequence,
            delivered: 1,
            published: SystemTime::now(),
            reply: Box::from("none"),
            _room: room,
        }
    }

    /// Reads the run's key, and true if the upsert has the run's finish. Notes the job that it is about.
    ///
    /// # Errors
    /// The reason why the body cannot be read.
    pub fn read(&mut self) -> Result<(RunKey, bool), String> {
        let content = self.content()?;
        self.job = content.job_id().map(Box::from);
        Ok((content.key(), content.run.finished_at.is_some()))
    }

    /// Returns true if its subject is this run's, under which other forwarders gather.
    pub fn is_under(&self, run: RunKey) -> bool {
        *self.subject == *subject_of(run)
    }

    /// The content of the body.
    ///
    /// # Errors
    /// The reason why the body cannot be read.
    pub fn content(&self) -> Result<Content, String> {
        Content::parse(&self.body)
    }

    /// The time since its publication.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.published).unwrap_or_default()
    }

    /// Acknowledges it, which removes it from the queue.
    pub async fn done(&self, client: &Client) {
        self.acknowledge(client, AckKind::Ack).await;
    }

    /// Asks for a redelivery after a time, to any forwarder.
    pub async fn again(&self, client: &Client, after: Duration) {
        let after = (!after.is_zero()).then_some(after);
        self.acknowledge(client, AckKind::Nak(after)).await;
    }

    /// Reports progress: this forwarder still holds it.
    pub async fn progress(&self, client: &Client) {
        self.acknowledge(client, AckKind::Progress).await;
    }

    /// Sends an acknowledgement. A lost one causes a redelivery, which is harmless.
    async fn acknowledge(&self, client: &Client, kind: AckKind) {
        if let Err(error) = client.publish(self.reply.to_string(), kind.into()).await {
            tracing::debug!(%error, "a message was not acknowledged");
        }
    }
}

/// The room in units: with half a kibibyte of overhead for each message, a third of the sixty MiB that a forwarder may use.
const CAPACITY: usize = 16_384;

/// Bytes of a unit. Usual upserts are shorter and take one unit each; longer ones take as many units as their size.
const UNIT: usize = 1024;

/// The room for held messages: it bounds a forwarder's memory for any backlog and any publisher. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Room reserved for requested messages, a unit each.
#[derive(Debug, Default)]
pub struct ReservedRoom(Option<OwnedSemaphorePermit>);

/// A message's share of the room, released when dropped.
pub type RoomShare = OwnedSemaphorePermit;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CAPACITY)))
    }
}

impl Room {
    /// Reserves room for `messages` messages, or for as many as fit; waits until one fits.
    pub async fn reserve(&self, messages: usize) -> ReservedRoom {
        let units = messages.min(self.0.available_permits()).max(1);
        let units = u32::try_from(units).unwrap_or(1);
        // The semaphore is never closed.
        ReservedRoom(Arc::clone(&self.0).acquire_many_owned(units).await.ok())
    }

    /// Takes room for a message of `bytes` bytes, first from the reserved room, then from the free one. `None` if there is too little.
    pub fn take(&self, reserved: &mut ReservedRoom, bytes: usize) -> Option<RoomShare> {
        // A message larger than the whole room must get in, so that it is refused.
        let more = (bytes.saturating_sub(1) / UNIT).min(CAPACITY / 2);
        let first = match reserved.0.as_mut().and_then(|reserved| reserved.split(1)) {
            Some(first) => first,
            None => Arc::clone(&self.0).try_acquire_owned().ok()?,
        };
        if more == 0 {
            return Some(first);
        }
        let more = u32::try_from(more).ok()?;
        let mut part = Arc::clone(&self.0).try_acquire_many_owned(more).ok()?;
        part.merge(first);
        Some(part)
    }
}

impl ReservedRoom {
    /// The number of messages it is for.
    pub fn messages(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_message_takes_the_room_of_many_and_gives_it_back() {
        let room = Room::default();
        let mut reserved = room.reserve(2).await;
        assert_eq!(reserved.messages(), 2);
        let short = room.take(&mut reserved, 600).unwrap();
        let long = room.take(&mut reserved, 100 * UNIT).unwrap();
        assert_eq!((short.num_permits(), long.num_permits()), (1, 100));
        assert_eq!(room.0.available_permits(), CAPACITY - 101);
        drop((short, long));
        assert_eq!(room.0.available_permits(), CAPACITY);
    }

    #[tokio::test]
    async fn reserved_room_is_kept_and_the_capacity_is_never_exceeded() {
        let room = Room::default();
        let mut reserved = room.reserve(100).await;
        let rest = room.reserve(usize::MAX).await;
        assert_eq!(rest.messages(), CAPACITY - 100);
        assert!(
            room.take(&mut ReservedRoom::default(), 1).is_none(),
            "not asked for, and no room"
        );
        assert!(room.take(&mut reserved, UNIT + 1).is_none(), "half of it has room");
        let part = room.take(&mut reserved, UNIT);
        assert!(part.is_some(), "room for short ones is left");
        drop(rest);
        assert!(room.take(&mut ReservedRoom::default(), 5 * UNIT).is_some());
        assert!(
            room.take(&mut ReservedRoom::default(), 1 << 30).is_some(),
            "it is refused, and must come for that"
        );
    }
}
