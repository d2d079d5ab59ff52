//! Faults of notifications, and their messages.
//!
//! Validation collects findings, which borrow and cost no allocation; only those returned become a [`Violation`] with a message.
//! Findings are ordered, so that a history's violations depend on its notifications alone, not on their order or repetition.

use crate::field::Field;
use crate::limits::{MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES, MAX_HISTORY_BYTES, MAX_HISTORY_NOTIFICATIONS};
use crate::timestamp::TimestampError;
use crate::{Fault, Violation};

/// The most violations in an answer: more than a person reads, and small enough that a host can always copy them.
const MAX_LISTED: usize = 100;

/// The longest quote of a value in a message, in bytes: enough to recognise it.
const MAX_QUOTED_BYTES: usize = 64;

/// A fault of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding<'a> {
    pub field: Field,
    pub problem: Problem<'a>,
}

/// The kind of a fault, with its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem<'a> {
    Missing,
    /// The attribute's key, the text's size in bytes, and the largest allowed.
    TooLong(Option<Quote<'a>>, usize, usize),
    /// The attribute's key, the control character, and the index of its first byte.
    Control(Option<Quote<'a>>, char, usize),
    Timestamp(Quote<'a>, TimestampError),
    FinishBeforeStart(Quote<'a>, Quote<'a>),
    Status(Quote<'a>),
    NoRepository {
        commit: bool,
        pr: bool,
    },
    PrNumber(i64),
    /// The number of attributes.
    TooManyAttributes(usize),
    /// The key of an attribute.
    AttributeKey(Quote<'a>),
    /// Two of the ids given.
    MixedRuns(Quote<'a>, Quote<'a>),
    /// The number of notifications.
    TooMany(usize),
    /// The history's size in bytes.
    TooLarge(usize),
}

/// A given value, cut to [`MAX_QUOTED_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quote<'a> {
    text: &'a str,
    cut: bool,
}

impl<'a> From<&'a str> for Quote<'a> {
    fn from(text: &'a str) -> Self {
        let end = text.floor_char_boundary(MAX_QUOTED_BYTES);
        Self {
            text: text.get(..end).unwrap_or_default(),
            cut: end < text.len(),
        }
    }
}

impl std::fmt::Display for Quote<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Everything outside printable ASCII is escaped: a message goes to terminals and logs.
        write!(
            f,
            "\"{}{}\"",
            self.text.escape_default(),
            if self.cut { "..." } else { "" }
        )
    }
}

/// The findings as violations: sorted, each once, and at most [`MAX_LISTED`] with one for the rest.
pub fn violations(mut findings: Vec<Finding<'_>>) -> Vec<Violation> {
    findings.sort_unstable();
    findings.dedup();
    let (listed, rest) = findings.split_at(findings.len().min(MAX_LISTED));
    let mut violations: Vec<Violation> = listed.iter().map(Finding::violation).collect();
    if let Some(next) = rest.first() {
        violations.push(Violation {
            fault: next.problem.fault(),
            field: Field::History.name().into(),
            message: format!(
                "{} more violations are not listed; correct the listed ones first",
                rest.len()
            ),
        });
    }
    violations
}

impl Finding<'_> {
    fn violation(&self) -> Violation {
        Violation {
            fault: self.problem.fault(),
            field: self.field.name().into(),
            message: self.message(),
        }
    }

    fn message(&self) -> String {
        match self.problem {
            Problem::Missing => format!("required, but absent or blank; give {}", expected(self.field)),
            Problem::TooLong(key, bytes, most) => format!(
                "{}{bytes} bytes long; at most {most} are allowed: shorten it",
                prefix(key)
            ),
            Problem::Control(key, character, index) => {
                format!(
                    "{}has the control character U+{:04X} at byte {index}; remove it: text must be printable",
                    prefix(key),
                    u32::from(character)
                )
            }
            Problem::Timestamp(value, error) => format!(
                "{value} {}; give ISO 8601, such as 2025-01-01T12:05:00Z",
                match error {
                    TimestampError::Form => "is not an ISO 8601 timestamp",
                    TimestampError::Day => "is not a valid date",
                    TimestampError::Time => "is not a valid time of day",
                    TimestampError::Zone => "has an offset from UTC past 23:59",
                    TimestampError::Range => "is outside the years 0000 to 9999 in UTC",
                }
            ),
            Problem::FinishBeforeStart(finish, start) => {
                format!(
                    "{finish} is before the start {start}; give a finish at or after the start of the same notification"
                )
            }
            Problem::Status(value) => {
                format!("invalid status {value}: expected failure, running, success, cancelled or unknown")
            }
            Problem::NoRepository { commit, pr } => format!(
                "absent or blank, but required with {}; give the repository's full name, such as getdx/some_repo",
                match (commit, pr) {
                    (true, true) => "commit_sha and pr_number",
                    (true, false) => "commit_sha",
                    (false, _) => "pr_number",
                }
            ),
            Problem::PrNumber(number) => format!("{number} is not a pull request's number; expected 1 or greater"),
            Problem::TooManyAttributes(count) => {
                format!("{count} attributes; at most {MAX_ATTRIBUTES} are allowed: give fewer")
            }
            Problem::AttributeKey(key) => format!(
                "{key} is not an attribute's key; give 1 to {MAX_ATTRIBUTE_KEY_BYTES} of a-z, 0-9, dot, underscore and hyphen"
            ),
            Problem::MixedRuns(one, other) => {
                format!(
                    "names more than one run, among them {one} and {other}; give the notifications of one run at a time"
                )
            }
            Problem::TooMany(count) => {
                format!(
                    "{count} notifications; at most {MAX_HISTORY_NOTIFICATIONS} a run are allowed: send fewer steps"
                )
            }
            Problem::TooLarge(bytes) => {
                format!(
                    "{bytes} bytes of text; at most {MAX_HISTORY_BYTES} a run are allowed: send fewer or shorter notifications"
                )
            }
        }
    }
}

impl Problem<'_> {
    fn fault(self) -> Fault {
        match self {
            Self::Missing => Fault::RequiredParamsMissing,
            Self::Timestamp(..) | Self::FinishBeforeStart(..) => Fault::InvalidTimestamp,
            Self::Status(_) => Fault::InvalidStatus,
            Self::NoRepository { .. } => Fault::RepositoryRequired,
            Self::PrNumber(_) => Fault::InvalidPrNumber,
            Self::TooLong(..) | Self::TooManyAttributes(_) | Self::TooMany(_) | Self::TooLarge(_) => Fault::TooLong,
            Self::AttributeKey(_) => Fault::InvalidAttribute,
            Self::Control(..) => Fault::InvalidText,
            Self::MixedRuns(..) => Fault::MixedRuns,
        }
    }
}

/// The beginning of a message about the value of an attribute.
fn prefix(key: Option<Quote<'_>>) -> String {
    key.map(|key| format!("{key}: ")).unwrap_or_default()
}

/// The expected value of a required field; the examples are DX's.
fn expected(field: Field) -> &'static str {
    match field {
        Field::PipelineName => "the pipeline's name, such as integration_tests",
        Field::PipelineSource => "the CI system that runs it, such as Tekton",
        Field::ReferenceId => "the run's globally unique name, the same in each of its notifications",
        Field::StartedAt => "the time it began in ISO 8601, such as 2025-01-01T12:05:00Z",
        _ => "a value",
    }
}
