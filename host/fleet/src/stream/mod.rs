//! The streams and their consumer.
//!
//! - `specification`: the settings they must have, and differences from them.
//! - `check`: [`init`] creates what is missing; [`check`] reads the state of what exists.

mod check;
mod specification;

pub use check::{Checked, InitReport, PATIENCE, StreamState, check, init, init_patiently};
pub use specification::{ACK_WAIT, Difference, Setup};

use crate::connection::{Connection, one_line};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{self, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Info, Stream};
use pipefold::spool::RunKey;
use std::error::Error;

/// The stream of upserts for DX.
pub const STREAM: &str = "PIPEFOLD";

/// The stream of upserts that were refused for good.
pub const REJECTED: &str = "PIPEFOLD_REJECTED";

/// The consumer that all forwarders share.
pub const CONSUMER: &str = "forwarders";

/// The beginning of an upsert's subject; the run's key follows.
const RUNS: &str = "pipefold.runs.";

/// The beginning of a refused upsert's subject.
const REFUSED: &str = "pipefold.rejected.";

/// The subject of a run's upserts.
#[must_use]
pub fn subject(reference_id: &str) -> String {
    subject_of(RunKey::of(reference_id))
}

/// The subject of the upserts of the run with this key.
pub(crate) fn subject_of(run: RunKey) -> String {
    format!("{RUNS}{run}")
}

/// The name of the stream that stores a subject's messages.
pub(crate) fn of_subject(subject: &str) -> &'static str {
    if subject.starts_with(REFUSED) { REJECTED } else { STREAM }
}

/// The subject for a refused upsert: by its run's key, or `unknown` if it has no run id.
pub(crate) fn refused_subject(reference_id: Option<&str>) -> String {
    match reference_id {
        Some(id) => format!("{REFUSED}{}", RunKey::of(id)),
        None => format!("{REFUSED}unknown"),
    }
}

/// Gets a stream by its name.
pub(crate) async fn stream(connection: &Connection, name: &'static str) -> Result<Stream, StreamError> {
    let stream = connection.context.get_stream(name).await;
    stream.map_err(|why| match why.kind() {
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            StreamError::Missing(name)
        }
        _ => StreamError::server("read the stream", name, &why),
    })
}

/// The state and settings of a stream.
pub(crate) async fn info(connection: &Connection, name: &'static str) -> Result<Info, StreamError> {
    Ok(stream(connection, name).await?.cached_info().clone())
}

/// The consumer that forwarders pull from; created if it is missing.
pub(crate) async fn consumer(connection: &Connection) -> Result<consumer::Consumer<pull::Config>, StreamError> {
    let stream = stream(connection, STREAM).await?;
    // Created again if it was removed: unacknowledged messages are still in the stream.
    let made = stream
        .get_or_create_consumer(CONSUMER, specification::consumer_settings())
        .await;
    made.map_err(|why| StreamError::server("use the consumer", CONSUMER, &why))
}

/// The state and settings of the consumer; `None` if it does not exist.
pub(super) async fn consumer_info(connection: &Connection) -> Result<Option<consumer::Info>, StreamError> {
    match stream(connection, STREAM).await?.consumer_info(CONSUMER).await {
        Ok(info) => Ok(Some(info)),
        Err(why) => match why.kind() {
            ConsumerInfoErrorKind::NotFound => Ok(None),
            _ => Err(StreamError::server("read the consumer", CONSUMER, &why)),
        },
    }
}

/// An error of creating or reading a stream or its consumer.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The stream does not exist.
    #[error("the queue has no stream {0}: make it with `pipefold queue init`")]
    Missing(&'static str),
    /// The server refused a request or did not answer.
    #[error("cannot {what} {of}: {why}")]
    Server {
        /// The action that failed.
        what: &'static str,
        /// The stream or consumer.
        of: &'static str,
        /// The server's error, and what to do about it.
        why: String,
        /// True if the error may pass by itself, as during the election of a leader.
        passing: bool,
    },
}

impl StreamError {
    /// An error from the server's message, with advice where the message has none.
    pub(crate) fn server(what: &'static str, of: &'static str, why: &dyn Error) -> Self {
        let why = one_line(why);
        let (passing, advice) = meaning(&why);
        let why = match advice {
            None => why,
            Some(Advice::And(advice)) => format!("{why}; {advice}"),
            Some(Advice::InPlace(advice)) => advice.to_owned(),
        };
        Self::Server { what, of, why, passing }
    }

    /// Returns true if the error may pass by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Server { passing: true, .. })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Advice {
    And(&'static str),
    InPlace(&'static str),
}

/// Derives from a server's message whether the error may pass by itself, and advice. Codes are elsewhere in each kind of error.
fn meaning(why: &str) -> (bool, Option<Advice>) {
    const MORE_ROOM: &str = "give a smaller --max-size, fewer --replicas, or the servers more room (max_file_store)";
    let contains = |words: &str| why.contains(words);
    match () {
        () if contains("insufficient storage") || contains("insufficient resources") => {
            (false, Some(Advice::And(MORE_ROOM)))
        }
        // A cluster also answers this until all its servers have found each other.
        () if contains("no suitable peers") => (true, Some(Advice::And(MORE_ROOM))),
        () if contains("temporarily unavailable") => (true, None),
        () if contains("replicas > 1 not supported") => (
            false,
            Some(Advice::And("several replicas need servers that form a cluster")),
        ),
        () if contains("resource does not exist") || contains("no responders") => (
            false,
            Some(Advice::InPlace(
                "the servers have no JetStream: put a `jetstream` block into their configuration",
            )),
        ),
        () if contains("JetStream not enabled for account") => (
            false,
            Some(Advice::And("enable `jetstream` for the account of these credentials")),
        ),
        () if contains("timed out") => (
            true,
            Some(Advice::InPlace(
                "no server answered: there is no majority of them, or no leader yet, or the credentials do not allow it ($JS.API.>)",
            )),
        ),
        () => (false, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_pass_are_known() {
        for (words, passes) in [
            (
                "jetstream error: no suitable peers for placement (code 400, error code 10005)",
                true,
            ),
            ("no suitable peers for placement, insufficient storage", false),
            ("JetStream system temporarily unavailable", true),
            ("request error: timed out: deadline has elapsed", true),
            ("replicas > 1 not supported in non-clustered mode", false),
            ("request error: requested JetStream resource does not exist", false),
            ("JetStream not enabled for account", false),
            ("subjects overlap with an existing stream", false),
        ] {
            assert_eq!(meaning(words).0, passes, "{words}");
        }
    }
}
