//! Requests for the state of a stream or its consumer.

use super::{CONSUMER, STREAM, StreamError, wanted};
use crate::connection::Connection;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{self, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Info, Stream};

/// One of the streams.
pub(crate) async fn stream(connection: &Connection, name: &'static str) -> Result<Stream, StreamError> {
    let stream = connection.context.get_stream(name).await;
    stream.map_err(|why| match why.kind() {
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            StreamError::Missing(name)
        }
        _ => StreamError::server("look at the stream", name, &why),
    })
}

/// What it has and how it is set.
pub(crate) async fn info(connection: &Connection, name: &'static str) -> Result<Info, StreamError> {
    Ok(stream(connection, name).await?.cached_info().clone())
}

/// The consumer that forwarders pull from.
pub(crate) async fn consumer(connection: &Connection) -> Result<consumer::Consumer<pull::Config>, StreamError> {
    let stream = stream(connection, STREAM).await?;
    // Created again if it was removed: unacknowledged messages are still in the stream.
    let made = stream.get_or_create_consumer(CONSUMER, wanted::consumer()).await;
    made.map_err(|why| StreamError::server("use the consumer", CONSUMER, &why))
}

/// How the consumer is doing; `None` if there is none.
pub(super) async fn consumer_info(connection: &Connection) -> Result<Option<consumer::Info>, StreamError> {
    match stream(connection, STREAM).await?.consumer_info(CONSUMER).await {
        Ok(info) => Ok(Some(info)),
        Err(why) => match why.kind() {
            ConsumerInfoErrorKind::NotFound => Ok(None),
            _ => Err(StreamError::server("look at the consumer", CONSUMER, &why)),
        },
    }
}
