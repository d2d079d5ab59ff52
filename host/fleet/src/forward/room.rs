//! The room for held messages: a forwarder's memory is bounded for any backlog and any publisher.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is held at a time, in units: with half a kibibyte for each message and what it comes in, a third of the sixty MiB that a forwarder
/// may take.
const CAPACITY: usize = 16_384;

/// Bytes of a unit. Upserts are shorter, so that the capacity is mostly one of messages; a longer one counts for what it is.
const UNIT: usize = 1024;

/// The room for messages. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// Room for messages that were asked for, a unit each.
#[derive(Debug, Default)]
pub(super) struct Reserved(Option<OwnedSemaphorePermit>);

/// A message's share, given back when it is dropped.
pub(super) type Part = OwnedSemaphorePermit;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CAPACITY)))
    }
}

impl Room {
    /// Room for so many messages, or as many as there is room for; waits until it is one.
    pub(super) async fn reserve(&self, messages: usize) -> Reserved {
        let units = messages.min(self.0.available_permits()).max(1);
        let units = u32::try_from(units).unwrap_or(1);
        // It is never closed.
        Reserved(Arc::clone(&self.0).acquire_many_owned(units).await.ok())
    }

    /// Room for a message of so many bytes: out of what was reserved, and of what is free beside it. `None` if there is too little.
    pub(super) fn take(&self, reserved: &mut Reserved, bytes: usize) -> Option<Part> {
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

impl Reserved {
    /// For how many messages.
    pub(super) fn messages(&self) -> usize {
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
            room.take(&mut Reserved::default(), 1).is_none(),
            "not asked for, and no room"
        );
        assert!(room.take(&mut reserved, UNIT + 1).is_none(), "half of it has room");
        let part = room.take(&mut reserved, UNIT);
        assert!(part.is_some(), "room for short ones is left");
        drop(rest);
        assert!(room.take(&mut Reserved::default(), 5 * UNIT).is_some());
        assert!(
            room.take(&mut Reserved::default(), 1 << 30).is_some(),
            "it is refused, and must come for that"
        );
    }
}
