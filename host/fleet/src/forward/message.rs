//! One upsert, and its acknowledgement.

use super::gather::Gathered;
use super::room::Part;
use crate::stream::subject_of;
use async_nats::Client;
use async_nats::jetstream::{AckKind, Message as Delivered};
use pipefold::dx::Arguments;
use pipefold::spool::RunKey;
use std::time::{Duration, Instant, SystemTime};

/// The largest upsert that is read: fourteen arguments of 4 KiB, each byte escaped, with room. The rules refuse what is longer.
pub(super) const MAX_BODY: usize = 512 * 1024;

/// An upsert that this forwarder has.
#[derive(Debug)]
pub(super) struct Message {
    /// The body. A copy: the delivered one would keep whatever arrived with it in memory.
    pub(super) body: Box<[u8]>,
    /// The subject under which it was put into the queue.
    subject: Box<str>,
    /// Its number in the stream.
    pub(super) sequence: u64,
    /// How often it was delivered, to whichever forwarder.
    pub(super) delivered: u32,
    /// When it was put into the queue, by the server's clock.
    pub(super) published: SystemTime,
    /// Where its server hears of it.
    reply: Box<str>,
    /// Its share of the forwarder's memory.
    _room: Part,
}

impl Message {
    /// Takes what was delivered. `None` if it is no message of a stream.
    pub(super) fn of(delivered: &Delivered, room: Part) -> Option<(Self, u64)> {
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
    pub(super) fn made_up(sequence: u64, room: Part) -> Self {
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
    pub(super) fn run(&self) -> Result<(RunKey, bool), String> {
        let (key, said) = parse(&self.body)?;
        Ok((key, said.finished_at.is_some()))
    }

    /// Whether it is under the subject of this run, where others look for it.
    pub(super) fn is_under(&self, run: RunKey) -> bool {
        *self.subject == *subject_of(run)
    }

    /// What it says.
    pub(super) fn arguments(&self) -> Result<Arguments, String> {
        parse(&self.body).map(|(_, said)| said)
    }

    /// How long ago it was put into the queue.
    pub(super) fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.published).unwrap_or_default()
    }

    /// Acknowledges it.
    pub(super) async fn done(&self, client: &Client) {
        self.acknowledge(client, AckKind::Ack).await;
    }

    /// Asks for a redelivery after a while, to any forwarder.
    pub(super) async fn again(&self, client: &Client, after: Duration) {
        let after = (!after.is_zero()).then_some(after);
        self.acknowledge(client, AckKind::Nak(after)).await;
    }

    /// Reports progress: this forwarder still holds it.
    pub(super) async fn progress(&self, client: &Client) {
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
pub(super) fn parse(body: &[u8]) -> Result<(RunKey, Arguments), String> {
    if body.len() > MAX_BODY {
        return Err(format!("it has {} bytes, and {MAX_BODY} are read", body.len()));
    }
    let said = Arguments::from_foreign_json(body).map_err(|why| why.to_string())?;
    // The rules say what a name is; without any there is no run to fold it with.
    let key = RunKey::of(said.reference_id.as_deref().unwrap_or_default());
    Ok((key, said))
}

/// The upserts of one run that go together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: RunKey,
    pub(super) messages: Vec<Message>,
    /// Whether one of them says that the run has ended.
    pub(super) ended: bool,
    /// Whether nothing else of the run may go with them, as it may be at fault for a refusal.
    pub(super) alone: bool,
    /// What else the stream has of the run.
    pub(super) gathered: Option<Gathered>,
    /// The time of the last report of progress.
    pub(super) touched: Instant,
}
