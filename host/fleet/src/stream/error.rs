//! Why a stream could not be made or looked at.

use crate::connection::words;
use std::error::Error;

/// Why a stream could not be made or looked at.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It is not there.
    #[error("the queue has no stream {0}: make it with `pipefold queue init`")]
    Missing(&'static str),
    /// The server cannot or will not.
    #[error("cannot {what} {of}: {why}")]
    Server {
        /// What was tried.
        what: &'static str,
        /// The stream or consumer.
        of: &'static str,
        /// What the server said, and what to do about it.
        why: String,
        /// Whether it may pass by itself, as while a leader is chosen.
        passing: bool,
    },
}

impl StreamError {
    /// The server's words, with what to do where they do not say it.
    pub(crate) fn server(what: &'static str, of: &'static str, why: &dyn Error) -> Self {
        let why = words(why);
        let (passing, advice) = meaning(&why);
        let why = match advice {
            None => why,
            Some(Advice::And(advice)) => format!("{why}; {advice}"),
            Some(Advice::InPlace(advice)) => advice.to_owned(),
        };
        Self::Server { what, of, why, passing }
    }

    /// Whether it may pass by itself.
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

/// Whether what a server said may pass by itself, and what to do about it. By its words: each kind of error has its codes elsewhere.
fn meaning(why: &str) -> (bool, Option<Advice>) {
    const MORE_ROOM: &str = "give a smaller --max-size, fewer --replicas, or the servers more room (max_file_store)";
    let says = |words: &str| why.contains(words);
    match () {
        () if says("insufficient storage") || says("insufficient resources") => (false, Some(Advice::And(MORE_ROOM))),
        // Also what a cluster says whose servers have not all met yet.
        () if says("no suitable peers") => (true, Some(Advice::And(MORE_ROOM))),
        () if says("temporarily unavailable") => (true, None),
        () if says("replicas > 1 not supported") => (
            false,
            Some(Advice::And("several replicas need servers that form a cluster")),
        ),
        () if says("resource does not exist") || says("no responders") => (
            false,
            Some(Advice::InPlace(
                "the servers have no JetStream: put a `jetstream` block into their configuration",
            )),
        ),
        () if says("JetStream not enabled for account") => (
            false,
            Some(Advice::And("enable `jetstream` for the account of these credentials")),
        ),
        () if says("timed out") => (
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
    fn what_passes_and_what_does_not() {
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
