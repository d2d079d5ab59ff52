//! The names of runs and of records on disk.

use super::entry::Hook;
use super::error::SpoolError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// First byte of the id of a run's end, and of its start.
const FINISH: u8 = 0;
const START: u8 = 1;

/// Text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 32 lower-case hexadecimal digits")]
pub struct ParseKeyError;

/// The directory name of a run: 32 hex digits of the sha256 of its `reference_id` (DESIGN, section 5).
///
/// A digest, because a `reference_id` may be long or hold slashes, and 128 bits of one do not collide by accident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RunKey([u8; 16]);

/// The file name of a record: 32 hex digits, nearly all of them random.
///
/// Random but for its first byte, because containers that share a spool share process ids and clocks too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EntryId([u8; 16]);

impl RunKey {
    /// The key of the run that `reference_id` names.
    #[must_use]
    pub fn of(reference_id: &str) -> Self {
        Self(first_half(Sha256::digest(reference_id.as_bytes()).into()))
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl EntryId {
    /// A new id.
    ///
    /// # Errors
    /// [`SpoolError::Random`] when the system gives no random numbers.
    pub(crate) fn random() -> Result<Self, SpoolError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|e| SpoolError::Random { reason: e.to_string() })?;
        Ok(Self(bits))
    }

    /// A new id for a record of this hook. Ids of a run's end sort before those of its start, and these before those of its steps, so
    /// that what decides is read first where a run is too large to be read whole.
    ///
    /// # Errors
    /// As [`EntryId::random`].
    pub(super) fn random_for(hook: Hook) -> Result<Self, SpoolError> {
        let mut id = Self::random()?;
        id.0[0] = match hook {
            Hook::Finish => FINISH,
            Hook::Start => START,
            Hook::Step => id.0[0].max(START + 1),
        };
        Ok(id)
    }

    /// Whether the record may be of a run's end. Earlier versions gave ids without regard to the hook, so only the record can tell.
    pub(super) fn may_be_a_finish(self) -> bool {
        self.0[0] == FINISH
    }

    /// Whether the record may be of a run's start or end.
    pub(super) fn may_be_about_the_run(self) -> bool {
        self.0[0] <= START
    }

    /// Two random bytes of it.
    pub(super) fn last_bytes(self) -> [u8; 2] {
        [self.0[14], self.0[15]]
    }

    /// True for one id in 64: who gets such a one does the housekeeping.
    pub(super) fn is_on_duty(self) -> bool {
        self.0[15].is_multiple_of(64)
    }
}

/// The first 128 bits of the digest of `ids`, whatever their order.
pub(super) fn digest_of(ids: &std::collections::BTreeSet<EntryId>) -> String {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.0);
    }
    hex(first_half(hash.finalize().into()))
}

fn first_half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn parse(text: &str) -> Result<[u8; 16], ParseKeyError> {
    // Strict, so that one run or record has exactly one name: `from_str_radix` alone would take capitals, a sign and fewer digits.
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ParseKeyError);
    }
    u128::from_str_radix(text, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| ParseKeyError)
}

macro_rules! named_by_hex {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), hex(self.0))
            }
        }
        impl FromStr for $name {
            type Err = ParseKeyError;
            fn from_str(text: &str) -> Result<Self, ParseKeyError> {
                parse(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseKeyError;
            fn try_from(text: String) -> Result<Self, ParseKeyError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                hex(value.0)
            }
        }
    };
}
named_by_hex!(RunKey);
named_by_hex!(EntryId);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_run_key_is_the_start_of_the_sha256() {
        // `printf abc | sha256sum`
        assert_eq!(RunKey::of("abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!("ba7816bf8f01cfea414140de5dae2223".parse(), Ok(RunKey::of("abc")));
    }

    #[test]
    fn only_the_one_spelling_is_a_name() {
        let id = EntryId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        let hex = RunKey::of("abc").to_string();
        for bad in [
            "",
            "abc",
            &hex.to_uppercase(),
            &hex[1..],
            &format!("+{}", &hex[1..]),
            &format!("{hex}0"),
            "../../../../../../../../etc/passwd",
        ] {
            assert_eq!(bad.parse::<RunKey>(), Err(ParseKeyError), "{bad}");
        }
    }
}
