//! A recorded notification as it is on disk, and the names of runs and records.

use super::error::SpoolError;
use pipefold_sandbox::{ChainDigest, Notification, Report};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The largest record, in bytes. A notification has 15 texts of at most 4 KiB and 32 attributes of at most 1 KiB, and a verdict as many and a
/// job, which JSON may lengthen; twice that.
pub const MAX_RECORD: u64 = 512 * 1024;

/// The form of a record. A record with a higher number comes from a newer program and is left alone. Form 1 had no policies, so it cannot
/// be sent safely; form 2 had no jobs in its verdict.
const VERSION: u32 = 3;

/// The hook of a notification.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// `pipeline-start`
    Start,
    /// `step`
    Step,
    /// `pipeline-finish`: the run is over.
    Finish,
}

/// The DX and token that a notification was recorded for: a process delivers only notifications for its own.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(default)]
pub struct Destination {
    /// The DX URL; none if none was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A short digest of the token, never the token; none if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The result of judging a notification, when it was recorded or last judged.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "the common case is the large one")]
pub enum Judgement {
    /// The run and its jobs are to be sent to DX now.
    Report(Report),
    /// The notification is recorded, and nothing is to be sent yet.
    Hold,
    /// A policy discarded the notification, for this reason.
    Discard(String),
    /// The plugin failed, for this reason: to be judged again before anything is sent.
    Unjudged(String),
}

/// One recorded notification. As JSON at most 512 KiB.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    version: u32,
    /// The notification's hook.
    pub hook: Hook,
    /// The time of recording: RFC 3339.
    pub recorded_at: String,
    /// The DX and token it is for.
    pub destination: Destination,
    /// The policies that it was recorded under: it is sent only through them.
    #[serde(default, skip_serializing_if = "PolicyChain::is_empty")]
    pub policies: PolicyChain,
    /// The judgement when it was recorded or last judged.
    pub verdict: Judgement,
    /// The notification. Its `reference_id` names the run.
    pub notification: Notification,
}

/// The reason why the bytes of a file are not a record.
#[derive(Debug, PartialEq, Eq)]
pub enum NotARecord {
    /// A newer pipefold wrote the record; this one cannot read it.
    Newer,
    /// The record is torn, foreign or in the wrong place.
    Broken(String),
}

impl Entry {
    /// A record of `notification` without policies, in the current form.
    #[must_use]
    pub fn new(
        hook: Hook,
        recorded_at: String,
        destination: Destination,
        verdict: Judgement,
        notification: Notification,
    ) -> Self {
        Self {
            version: VERSION,
            hook,
            recorded_at,
            destination,
            policies: PolicyChain::default(),
            verdict,
            notification,
        }
    }

    /// Returns the record bound to policies.
    #[must_use]
    pub fn under(self, policies: PolicyChain) -> Self {
        Self { policies, ..self }
    }

    /// The run it belongs to; none without a `reference_id`.
    #[must_use]
    pub fn run_key(&self) -> Option<RunKey> {
        self.notification.reference_id.as_deref().map(RunKey::of)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, SpoolError> {
        let mut bytes = serde_json::to_vec(self).map_err(|e| SpoolError::Encode { reason: e.to_string() })?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_RECORD {
            return Err(SpoolError::TooLarge {
                size: bytes.len() as u64,
                limit: MAX_RECORD,
            });
        }
        Ok(bytes)
    }

    /// Reads a record of run `key`.
    pub(super) fn decode(bytes: &[u8], key: RunKey) -> Result<Self, NotARecord> {
        let entry = Self::decode_any(bytes)?;
        if entry.run_key() != Some(key) {
            return Err(NotARecord::Broken("belongs to another run".into()));
        }
        Ok(entry)
    }

    /// Reads a record of any run.
    pub(super) fn decode_any(bytes: &[u8]) -> Result<Self, NotARecord> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if bytes.is_empty() {
            return Err(NotARecord::Broken("is empty".into()));
        }
        // Read alone first: a later version need not have these fields.
        let form: Versioned = serde_json::from_slice(bytes).map_err(|e| NotARecord::Broken(what_is_wrong(&e)))?;
        match form.version {
            VERSION => serde_json::from_slice(bytes).map_err(|e| NotARecord::Broken(what_is_wrong(&e))),
            0..VERSION => Err(NotARecord::Broken("has no known version".into())),
            _ => Err(NotARecord::Newer),
        }
    }
}

/// Describes a fault and its position, without quoting the file, which may be foreign.
pub fn what_is_wrong(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "is cut short",
        serde_json::error::Category::Data => "is JSON, but not of this kind",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Policies in their order, as a record names them. The empty chain is the default plugin alone.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyChain {
    /// The digest over component, grants, directory, settings and failure mode of each policy.
    pub digest: ChainDigest,
    /// The policies' names, outermost first, for messages.
    pub names: Vec<String>,
}

impl PolicyChain {
    /// Returns true if there are no policies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digest.is_empty()
    }

    /// Returns true if both have the same policies, under any names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl std::fmt::Display for PolicyChain {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

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

/// A digest of a request that DX accepted, or of a name in it: the first half of its sha256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StateDigest([u8; 16]);

impl StateDigest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(first_half(Sha256::digest(bytes).into()))
    }
}

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
    /// [`SpoolError::Random`] if the system gives no random numbers.
    pub(crate) fn random() -> Result<Self, SpoolError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|e| SpoolError::Random { reason: e.to_string() })?;
        Ok(Self(bits))
    }

    /// A new id for a record of this hook. Ids of a run's end sort before those of its start, and these before those of its steps, so that
    /// these are read first if a run is too large to be read whole.
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

    /// Returns true if the record may be of a run's end. Earlier versions gave ids without regard to the hook, so only the record decides.
    pub(super) fn may_be_a_finish(self) -> bool {
        self.0[0] == FINISH
    }

    /// Returns true if the record may be of a run's start or end.
    pub(super) fn may_be_about_the_run(self) -> bool {
        self.0[0] <= START
    }

    /// Two random bytes of the id.
    pub(super) fn last_bytes(self) -> [u8; 2] {
        [self.0[14], self.0[15]]
    }

    /// Returns true for one id in 64: the process that records it does the housekeeping.
    pub(super) fn is_on_duty(self) -> bool {
        self.0[15].is_multiple_of(64)
    }
}

/// The first 128 bits of the digest of `ids`, whatever their order.
pub fn digest_of(ids: &std::collections::BTreeSet<EntryId>) -> String {
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
    // Strict, so that one run or record has exactly one name: `from_str_radix` alone would accept capitals, a sign and fewer digits.
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
named_by_hex!(StateDigest);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::spool::tests::entry;

    #[test]
    fn a_record_is_read_back_as_written() {
        let entry = entry("a/b", Hook::Finish, 7);
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode(&bytes, RunKey::of("a/b")), Ok(entry));
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&json["version"], &json["hook"], &json["verdict"]),
            (&VERSION.into(), &"finish".into(), &"hold".into())
        );
    }

    #[test]
    fn every_cut_and_every_wrong_place_is_refused() {
        let bytes = entry("a/b", Hook::Step, 1).encode().unwrap();
        for end in 0..bytes.len() - 1 {
            assert!(
                matches!(
                    Entry::decode(&bytes[..end], RunKey::of("a/b")),
                    Err(NotARecord::Broken(_))
                ),
                "{end}"
            );
        }
        assert_eq!(
            Entry::decode(&bytes, RunKey::of("c")),
            Err(NotARecord::Broken("belongs to another run".into()))
        );
    }

    #[test]
    fn a_later_version_is_not_a_broken_file() {
        assert_eq!(
            Entry::decode(br#"{"version":4,"new":[]}"#, RunKey::of("a")),
            Err(NotARecord::Newer)
        );
        assert!(matches!(
            Entry::decode(br#"{"version":0}"#, RunKey::of("a")),
            Err(NotARecord::Broken(_))
        ));
        assert!(matches!(
            Entry::decode(br#"{"version":1}"#, RunKey::of("a")),
            Err(NotARecord::Broken(_))
        ));
        assert!(matches!(
            Entry::decode(br#"{"version":3}"#, RunKey::of("a")),
            Err(NotARecord::Broken(_))
        ));
    }

    #[test]
    fn a_record_past_the_limit_is_refused() {
        let mut entry = entry("a", Hook::Step, 1);
        entry.notification.email = Some("x".repeat(MAX_RECORD as usize));
        assert!(matches!(entry.encode(), Err(SpoolError::TooLarge { .. })));
    }

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
