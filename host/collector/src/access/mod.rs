//! Tokens, and the pipelines that each may write and see.
//!
//! - `rights`: the rights of a token, and patterns for names of pipelines.
//! - `secret`: a token itself, which cannot be printed, its hash, and the entry that is stored.
//! - `file`: the file of tokens: adding, listing, revoking.
//! - `tokens`: the file as a running server reads it.
//! - `token_bucket`: rate limits.

mod file;
mod rights;
mod secret;
#[cfg(test)]
mod tests;
mod token_bucket;
mod tokens;

pub(crate) use file::Stamp;
pub use file::{MAX_TOKENS, TOKENS_FILE, TokenFile, TokensError};
pub use rights::{Access, Glob, GlobError, MAX_GLOB, MAX_GLOBS, Rights};
pub use secret::{MAX_TOKEN_NAME, Secret, SecretHash, TokenEntry, TokenName};
pub use token_bucket::{FailureKey, Rate, RateLimit};
pub use tokens::{Identity, Refusal, Tokens};
