//! Messages that the stream has kept although its consumer counts them as acknowledged.
//!
//! An acknowledgement is replicated, and each server then removes the message from its own copy of the stream. A server that becomes the
//! leader in that moment may still have it. And a consumer that was edited (`max_deliver`) gives up messages that failed too often. Such a
//! message is neither delivered nor removed: DX may not have it, and it takes room in the stream. So it is published once more and the old
//! message is removed. Sending an upsert to DX twice is harmless.

use crate::connection::{Connection, one_line};
use crate::health::{Counters, add};
use crate::publish::Publisher;
use crate::stream::{CONSUMER, STREAM};
use async_nats::jetstream::stream::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The interval of checks. A message seen twice was left behind: removing an acknowledged one takes milliseconds.
const INTERVAL: Duration = Duration::from_secs(15);

/// Sequence numbers read in one check, so that it ends.
const MAX_NUMBERS: u64 = 2_000;

/// Checks the stream at intervals, until the task is dropped.
pub async fn sweep(publisher: Publisher, counters: Arc<Counters>) {
    let mut before = None;
    loop {
        sleep(INTERVAL).await;
        let connection = publisher.connection();
        let Some((stream, first, floor)) = read_state(connection).await else {
            before = None;
            continue;
        };
        if first > floor {
            before = None;
        } else if before == Some(first) {
            let last = floor.min(first.saturating_add(MAX_NUMBERS));
            match publish_again(&publisher, &stream, first..=last).await {
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

/// The stream, its first number, and the last number up to which all count as acknowledged. `None` if unknown, or without messages.
async fn read_state(connection: &Connection) -> Option<(Stream, u64, u64)> {
    let stream = connection.context.get_stream(STREAM).await.ok()?;
    let consumer = stream.consumer_info(CONSUMER).await.ok()?;
    // A consumer that gave up the newest message has its floor below it.
    let floor = match consumer.num_ack_pending {
        0 => consumer.delivered.stream_sequence,
        _ => consumer.ack_floor.stream_sequence,
    };
    let state = &stream.cached_info().state;
    let first = (state.messages > 0).then_some(state.first_sequence)?;
    Some((stream, first, floor))
}

async fn publish_again(
    publisher: &Publisher,
    stream: &Stream,
    numbers: impl Iterator<Item = u64>,
) -> Result<usize, String> {
    let mut count = 0;
    for number in numbers {
        // Most numbers in between belong to messages that were removed as they should be.
        let Ok(message) = stream.get_raw_message(number).await else {
            continue;
        };
        // Forwarders that find the same message at the same time publish it once.
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
