//! Messages that the stream has kept although its consumer counts them as done.
//!
//! An acknowledgement is replicated, and each server then removes the message from its own copy of the stream. One that takes the lead in
//! just that moment may not have done so. And a consumer that was edited (`max_deliver`) gives up messages that failed too often. Such a
//! message is neither delivered nor removed: DX may not have it, and a stream that is full takes nothing. So it is published once more
//! and the old message removed. Sending an upsert to DX twice is harmless.

use crate::connection::{Connection, one_line};
use crate::health::{Counters, add};
use crate::publish::Publisher;
use crate::stream::{CONSUMER, STREAM};
use async_nats::jetstream::stream::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between looks. What is seen twice was left behind: removing what was acknowledged takes milliseconds.
const LOOK: Duration = Duration::from_secs(15);

/// Numbers that are looked at in one go, so that a look ends.
const MOST: u64 = 2_000;

/// Looks at intervals, until the task is dropped.
pub async fn sweep(publisher: Publisher, counters: Arc<Counters>) {
    let mut before = None;
    loop {
        sleep(LOOK).await;
        let connection = publisher.connection();
        let Some((stream, first, floor)) = look(connection).await else {
            before = None;
            continue;
        };
        if first > floor {
            before = None;
        } else if before == Some(first) {
            let last = floor.min(first.saturating_add(MOST));
            match again(&publisher, &stream, first..=last).await {
                Ok(count) => {
                    add(&counters.swept, count);
                    tracing::warn!(
                        "published {count} messages again that the stream had kept although they count as done"
                    );
                }
                Err(why) => tracing::warn!("cannot publish messages again that the stream had kept: {why}"),
            }
            before = None;
        } else {
            before = Some(first);
        }
    }
}

/// The first message of the stream, and the last number up to which all count as done. `None` if that is unknown, or there are no messages.
async fn look(connection: &Connection) -> Option<(Stream, u64, u64)> {
    let stream = connection.context.get_stream(STREAM).await.ok()?;
    let consumer = stream.consumer_info(CONSUMER).await.ok()?;
    // One that gives up the newest message leaves it above its floor.
    let floor = match consumer.num_ack_pending {
        0 => consumer.delivered.stream_sequence,
        _ => consumer.ack_floor.stream_sequence,
    };
    let state = &stream.cached_info().state;
    let first = (state.messages > 0).then_some(state.first_sequence)?;
    Some((stream, first, floor))
}

async fn again(publisher: &Publisher, stream: &Stream, numbers: impl Iterator<Item = u64>) -> Result<usize, String> {
    let mut count = 0;
    for number in numbers {
        // Most numbers between are of messages that were removed as they should be.
        let Ok(message) = stream.get_raw_message(number).await else {
            continue;
        };
        // Forwarders that see the same one at the same time put it back once.
        let id = format!("swept-{number}");
        let put = publisher
            .put(message.subject.to_string(), &id, message.payload.to_vec())
            .await;
        put.map_err(|why| why.to_string())?;
        if let Err(why) = stream.delete_message(number).await {
            tracing::debug!(number, why = one_line(&why), "another forwarder was quicker");
        }
        count += 1;
    }
    Ok(count)
}
