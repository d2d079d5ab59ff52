//! Making the streams and their consumer.

use super::difference::{Difference, consumer_differences, stream_differences, too_old};
use super::{CONSUMER, STREAM, Setup, StreamError, look, wanted};
use crate::connection::Connection;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long [`init_patiently`] tries on: a cluster that has just begun has chosen its leaders within some seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Between its tries.
const AGAIN: Duration = Duration::from_millis(250);

/// For one of its tries: a question that came before a leader was chosen is never answered, and the same one later at once.
const ONE_TRY: Duration = Duration::from_secs(3);

/// What [`init`] did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// What was not there and was made.
    pub made: Vec<&'static str>,
    /// What was there and is different. It was left as it is.
    pub differences: Vec<Difference>,
}

/// Makes what is not there, and compares what is. Whatever is there stays as it is.
///
/// # Errors
/// [`StreamError::Server`]: too few servers for the replicas, no JetStream, no permission.
pub async fn init(connection: &Connection, setup: Setup) -> Result<Made, StreamError> {
    let mut made = Made::default();
    once(connection, setup, &mut made).await?;
    Ok(made)
}

/// The same, but what may pass by itself is tried again, for [`PATIENCE`]: as while a cluster that has just begun chooses its leaders. `wait` is
/// called when that begins.
///
/// # Errors
/// As [`init`]: at once what will not pass, and the last one of what has not.
pub async fn init_patiently(
    connection: &Connection,
    setup: Setup,
    mut wait: impl FnMut(&StreamError),
) -> Result<Made, StreamError> {
    let deadline = Instant::now() + PATIENCE;
    let mut made = Made::default();
    let mut waits = false;
    loop {
        let tried = timeout(ONE_TRY, once(connection, setup, &mut made)).await;
        let why = match tried {
            Ok(Ok(())) => return Ok(made),
            Ok(Err(why)) if !why.is_passing() => return Err(why),
            Ok(Err(why)) => why,
            Err(elapsed) => {
                StreamError::server("make", STREAM, &std::io::Error::other(format!("timed out: {elapsed}")))
            }
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        if !waits {
            wait(&why);
            waits = true;
        }
        sleep(AGAIN).await;
    }
}

/// Adds to what earlier tries made.
async fn once(connection: &Connection, setup: Setup, made: &mut Made) -> Result<(), StreamError> {
    made.differences.clear();
    for (name, config) in wanted::streams(setup) {
        match look::info(connection, name).await {
            Ok(info) => made.differences.extend(stream_differences(name, &info.config, &config)),
            Err(StreamError::Missing(_)) => {
                let created = connection.context.create_stream(config).await;
                created.map_err(|why| StreamError::server("make the stream", name, &why))?;
                made.made.push(name);
            }
            Err(why) => return Err(why),
        }
    }
    match look::consumer_info(connection).await? {
        Some(is) => made.differences.extend(consumer_differences(&is.config)),
        None => {
            let created = connection
                .context
                .create_consumer_on_stream(wanted::consumer(), STREAM)
                .await;
            created.map_err(|why| StreamError::server("make the consumer", CONSUMER, &why))?;
            made.made.push(CONSUMER);
        }
    }
    made.differences.extend(too_old(connection, setup.replicas));
    Ok(())
}
