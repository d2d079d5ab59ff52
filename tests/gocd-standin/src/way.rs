//! Ways in which one document fails, for simulations that go through all of them.

use std::time::Duration;

use crate::http::{Fault, Times};

/// A way in which one document fails while the server is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its answer is an error of the server's, or of a proxy before it.
    Status(u16),
    /// The connection ends in the middle of it.
    Cut,
    /// It ends in its middle, with a matching length in HTTP.
    CutShort,
    /// It takes longer than a reader waits.
    Slow,
    /// Once the server answers that it has no such document.
    MissingOnce,
    /// The server knows no such document.
    Missing,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status(500),
        Self::Status(502),
        Self::Status(503),
        Self::Status(504),
        Self::Cut,
        Self::CutShort,
        Self::Slow,
        Self::MissingOnce,
        Self::Missing,
    ];

    /// The same over HTTP. `patience` is how long a reader waits.
    #[must_use]
    pub fn fault(self, patience: Duration) -> (Fault, Times) {
        match self {
            Self::Status(status) => (Fault::Status(status), Times::Always),
            Self::Cut => (Fault::Truncated, Times::Always),
            Self::CutShort => (Fault::CutShort, Times::Always),
            Self::Slow => (Fault::Slow(patience * 2), Times::Always),
            Self::MissingOnce => (Fault::Status(404), Times::Next(1)),
            Self::Missing => (Fault::Status(404), Times::Always),
        }
    }
}
