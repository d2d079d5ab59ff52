//! Who may write and see what: tokens, and the pipelines they are for.
//!
//! - `rights`: what the holder of a token may do, as data.
//! - `glob`: patterns for names of pipelines.
//! - `secret`: a token itself, which cannot be printed, and its hash, which can be stored.
//! - `entry`: a token as it is stored.
//! - `file`: the file they are stored in; adding, listing, revoking.
//! - `tokens`: the file as a running server sees it.
//! - `rate`: limits on how often.
//! - `error`: what can go wrong.

mod entry;
mod error;
mod file;
mod glob;
mod rate;
mod rights;
mod secret;
#[cfg(test)]
mod tests;
mod tokens;

pub use entry::{MAX_TOKEN_NAME, TokenEntry, TokenName};
pub use error::{Refusal, TokensError};
pub use file::{MAX_TOKENS, TOKENS_FILE, TokenFile};
pub use glob::{Glob, GlobError, MAX_GLOB};
pub use rate::{FailureKey, Rate, RateLimit};
pub use rights::{Access, MAX_GLOBS, Rights};
pub use secret::{Secret, SecretHash};
pub use tokens::{Identity, Tokens};
