//! What can be wrong with a server's address.

use thiserror::Error;

/// Why a text is not the address of a GoCD server. The messages never show it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The scheme is neither `http` nor `https`.
    #[error("the address of a GoCD server begins with http:// or https://, such as https://ci.example.com/go")]
    Scheme,
    /// There is no host, or what stands there is none.
    #[error("the GoCD server's address names no host; it looks like https://ci.example.com/go")]
    Host,
    /// It holds a user name or a password.
    #[error(
        "the GoCD server's address holds a user name or password; give these by themselves, for addresses are printed and stored"
    )]
    Credentials,
    /// It is longer than any that browsers take.
    #[error("the GoCD server's address is longer than 2048 bytes; it looks like https://ci.example.com/go")]
    TooLong,
    /// It has a query or a fragment, or a character that no address has.
    #[error(
        "the GoCD server's address has characters that do not belong there; it ends in /go, without `?`, `#` or spaces"
    )]
    Character,
}
