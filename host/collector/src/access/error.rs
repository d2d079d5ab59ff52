//! What can go wrong with tokens.

use super::entry::TokenName;
use std::path::PathBuf;
use std::time::Duration;

/// An error in reading or changing the tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is a token of that name.
    #[error("there is a token named {0} already: revoke it first, or name the new one otherwise")]
    Exists(TokenName),
    /// There is no token of that name.
    #[error("there is no token named {0}: `pipefold token list` shows their names")]
    Unknown(TokenName),
    /// There are as many as there may be.
    #[error("there are {0} tokens, and there may be no more: revoke those that are not used")]
    TooMany(usize),
    /// The file's content is not a list of tokens.
    #[error("{} is no list of tokens ({why}): restore it, or remove it and make new tokens", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Evidence of that.
        why: String,
    },
    /// Others could put tokens of their own into the file.
    #[error("{} belongs to another user or may be written to by others, so its tokens cannot be trusted: look at them, then take it back and run `chmod 600`", .0.display())]
    NotOurs(PathBuf),
    /// The system refused something.
    #[error("could not {action} {}: {why}", .path.display())]
    Io {
        /// The action, such as `open`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// The system has no randomness to give.
    #[error("could not make a token: the system gives no random numbers ({0})")]
    Random(getrandom::Error),
}

/// The reason why a caller is not let in. The words are for the server's own log: the caller learns only that it is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such token, or not under that name.
    #[error("no such token")]
    Unknown,
    /// Too often.
    #[error("too many requests: again in {} seconds", .0.as_secs_f32().ceil())]
    TooOften(Duration),
    /// The tokens cannot be read. No one is let in, or a revoked token could come back to life.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}
