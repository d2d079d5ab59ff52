//! The import of a file of runs and jobs: rows of CSV or JSON lines under DX's names, sent one by one.
//!
//! - `reading`: the rows, in bounded memory. `mapping`: the notification of a row. `judging`: the policies and the rules.
//! - `sending`: the threads that send, their rate and their pauses.
//! - `state`: the position that a later import goes on from. `refusals`: the file of refused rows.
//! - `ledger`: the rows under way and the results. `course`: one import from its beginning to its end.
//!
//! A row is settled when DX answered, or when it is in the file of refused rows. The position is written after each answer, before the
//! thread that got it takes another row: a process that is killed has at most one row for each thread sent again.

mod course;
mod judging;
mod ledger;
mod mapping;
mod reading;
mod refusals;
mod sending;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use course::{Ended, Import, Watcher};
pub use mapping::{MappingOptions, format_of};
pub use reading::{Input, MAX_ROW};

/// The most requests under way at a time.
pub const MOST_AT_ONCE: usize = 64;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// The settings of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The format of the input.
    pub format: Format,
    /// The character between the cells of CSV.
    pub delimiter: u8,
    /// The names of columns, and values for all rows.
    pub mapping: MappingOptions,
    /// Requests a second, at most.
    pub per_second: f64,
    /// Requests under way at a time, up to [`MOST_AT_ONCE`].
    pub at_once: usize,
    /// The time without an answer of DX after which the import ends.
    pub patience: Duration,
    /// The file of the position; none if the import cannot go on from one.
    pub state: Option<PathBuf>,
    /// The file of refused rows.
    pub refused: PathBuf,
    /// Begins again, over an earlier import's state and its file of refused rows.
    pub restart: bool,
    /// Reads and judges all rows, and neither sends nor writes anything.
    pub is_dry: bool,
}

/// The results so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows that are settled.
    pub rows: u64,
    /// Upserts of runs that DX accepted; in a dry run, that would be sent.
    pub runs: u64,
    /// Upserts of jobs that DX accepted, likewise.
    pub jobs: u64,
    /// Rows that are refused by the rules, the policies or DX, or could not be read.
    pub refused: u64,
    /// Rows that a policy dropped.
    pub dropped: u64,
    /// Rows about jobs that the settings or the server leave out.
    pub left_out: u64,
}

/// The reason why an import could not begin, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An option is wrong.
    #[error("{0}")]
    Options(String),
    /// The header lacks a column, or could not be read.
    #[error("{0}")]
    Header(String),
    /// The input could not be read.
    #[error("the input could not be read: {0}")]
    Read(io::Error),
    /// The file of the position.
    #[error("{0}")]
    State(String),
    /// The file of refused rows.
    #[error("{0}")]
    Refusals(String),
    /// The input is not the one of the earlier import.
    #[error("the file was changed before the row where the import goes on: give --restart to begin again")]
    Changed,
    /// The policies or the rules cannot be loaded.
    #[error("{0}")]
    Judge(String),
}
