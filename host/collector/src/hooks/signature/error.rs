//! The reasons why a request is not taken for one of the CI system.

/// A fault of a signature. Shows neither the secret nor the signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The header that holds the proof is missing.
    #[error("the header {0} is missing: is the secret set in the CI system?")]
    Missing(&'static str),
    /// The header occurs more than once.
    #[error("the header {0} occurs more than once")]
    Doubled(&'static str),
    /// The header is not of the scheme's form.
    #[error("the header {0} is not of the form that the scheme has")]
    Malformed(&'static str),
    /// The proof was made with another secret, or for another request.
    #[error("the header {0} does not fit: the secret is another, or the request was changed on its way")]
    Wrong(&'static str),
    /// None of the secrets can be a key of this scheme.
    #[error("the header {0} needs a signing token `whsec_…`, and no secret of the source is one")]
    NoKey(&'static str),
    /// The signature leaves out a header.
    #[error("the signature does not cover the header {0}")]
    Uncovered(&'static str),
    /// A header that the signature covers is missing or occurs more than once.
    #[error("a header that the signature covers is missing or occurs more than once")]
    Covered,
    /// The request was signed too long ago.
    #[error("it was signed {age} s ago, and at most {most} s are allowed: a replay, or a clock that is wrong")]
    TooOld {
        /// Its age in seconds.
        age: u64,
        /// The most seconds.
        most: u64,
    },
    /// The request was signed too far in the future.
    #[error("it was signed {ahead} s in the future, and at most {most} s are allowed: a clock is wrong")]
    TooNew {
        /// The seconds that it is ahead.
        ahead: u64,
        /// The most seconds.
        most: u64,
    },
}
