//! One upsert with its acknowledgement, and the memory that held upserts may take.

use crate::stream::subject_of;
use async_nats::Client;
use async_nats::jetstream::{AckKind, Message as Delivered};
use pipefold::dx::Arguments;
use pipefold::spool::RunKey;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest upsert that is read: fourteen arguments of 4 KiB, each byte escaped, with room. The rules refuse what is longer.
pub const MAX_BODY: usize = 512 * 1024;

/// An upsert that this forwarder has.
#[derive(Debug)]
pub struct Message {
    /// The body. A copy: the delivered one would keep whatever arrived with it in memory.
    pub body: Box<[u8]>,
    /// The subject under which it was put into the queue.
    subject: Box<str>,
    /// Its number in the stream.
    pub sequence: u64,
    /// How often it was delivered, to whichever forwarder.
    pub delivered: u32,
    /// When it was put into the queue, by the server's clock.
    pub published: SystemTime,
    /// Where its server hears of it.
    reply: Box<str>,
    /// Its share of the forwarder's memory.
    _room: RoomShare,
}

impl Message {
    /// Takes what was delivered. `None` if it is no message of a stream.
    pub fn of(delivered: &Delivered, room: RoomShare) -> Option<(Self, u64)> {
        let info = delivered.info().ok()?;
        let message = Self {
            body: Box::from(&delivered.payload[..]),
            subject: Box::from(delivered.subject.as_str()),
            sequence: info.stream_sequence,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
            published: SystemTime::from(info.published),
            reply: Box::from(delivered.reply.as_ref()?.as_str()),
            _room: room,
        };
        Some((message, info.pending))
    }

    /// One that no server delivered.
    #[cfg(test)]
    pub fn made_up(sequence: u64, room: RoomShare) -> Self {
        Self {
            body: Box::default(),
            subject: Box::default(),
            sequence,
            delivered: 1,
            published: SystemTime::now(),
            reply: Box::from("none"),
            _room: room,
        }
    }

    /// Its run, and whether it has the run's end; or the reason why it cannot be read.
    pub fn run(&self) -> Result<(RunKey, bool), String> {
        let (key, said) = parse(&self.body)?;
        Ok((key, said.finished_at.is_some()))
    }

    /// Whether it is under the subject of this run, where others look for it.
    pub fn is_under(&self, run: RunKey) -> bool {
        *self.subject == *subject_of(run)
    }

    /// What it says.
    pub fn arguments(&self) -> Result<Arguments, String> {
        parse(&self.body).map(|(_, said)| said)
    }

    /// How long ago it was put into the queue.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.published).unwrap_or_default()
    }

    /// Acknowledges it.
    pub async fn done(&self, client: &Client) {
        self.acknowledge(client, AckKind::Ack).await;
    }

    /// Asks for a redelivery after a while, to any forwarder.
    pub async fn again(&self, client: &Client, after: Duration) {
        let after = (!after.is_zero()).then_some(after);
        self.acknowledge(client, AckKind::Nak(after)).await;
    }

    /// Reports progress: this forwarder still holds it.
    pub async fn progress(&self, client: &Client) {
        self.acknowledge(client, AckKind::Progress).await;
    }

    /// A lost acknowledgement causes a redelivery, which is harmless.
    async fn acknowledge(&self, client: &Client, kind: AckKind) {
        if let Err(error) = client.publish(self.reply.to_string(), kind.into()).await {
            tracing::debug!(%error, "a message was not acknowledged");
        }
    }
}

/// An upsert's run and its arguments, or the reason why it cannot be read.
pub fn parse(body: &[u8]) -> Result<(RunKey, Arguments), String> {
    if body.len() > MAX_BODY {
        return Err(format!("it has {} bytes, and {MAX_BODY} are read", body.len()));
    }
    let said = Arguments::from_foreign_json(body).map_err(|why| why.to_string())?;
    // The rules say what a name is; without any there is no run to fold it with.
    let key = RunKey::of(said.reference_id.as_deref().unwrap_or_default());
    Ok((key, said))
}

/// What is held at a time, in units: with half a kibibyte for each message and what it comes in, a third of the sixty MiB that a forwarder
/// may take.
const CAPACITY: usize = 16_384;

/// Bytes of a unit. Upserts are shorter, so that the capacity is mostly one of messages; a longer one counts for what it is.
const UNIT: usize = 1024;

/// The room for messages. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Room for messages that were asked for, a unit each.
#[derive(Debug, Default)]
pub struct ReservedRoom(Option<OwnedSemaphorePermit>);

/// A message's share, given back when it is dropped.
pub type RoomShare = OwnedSemaphorePermit;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CAPACITY)))
    }
}

impl Room {
    /// Room for so many messages, or as many as there is room for; waits until it is one.
    pub async fn reserve(&self, messages: usize) -> ReservedRoom {
        let units = messages.min(self.0.available_permits()).max(1);
        let units = u32::try_from(units).unwrap_or(1);
        // It is never closed.
        ReservedRoom(Arc::clone(&self.0).acquire_many_owned(units).await.ok())
    }

    /// Room for a message of so many bytes: out of what was reserved, and of what is free beside it. `None` if there is too little.
    pub fn take(&self, reserved: &mut ReservedRoom, bytes: usize) -> Option<RoomShare> {
        // One that is larger than everything must have its turn, to be refused.
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
    /// For how many messages.
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
    async fn what_was_reserved_is_there_and_no_more_is_than_the_capacity() {
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
