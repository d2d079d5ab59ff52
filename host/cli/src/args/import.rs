//! The command that imports files: `import`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pipefold::config::parse_duration;
use pipefold::import::MOST_AT_ONCE;

use super::flags::number_within;

/// Send runs and jobs from a file, such as the history that a CI system exports
///
/// Each row of CSV, or of JSON lines, is one run under DX's names: pipeline_name, pipeline_source, reference_id, started_at and the others. A
/// row with a `step` is a job of the run with its reference_id. Policies and rules apply as for reports. Refused rows are written to a file of
/// their own, with the reason. An import that was interrupted is continued by the same command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold import history.csv --dry-run
  pipefold import history.csv --set pipeline_source=Jenkins --column started_at='Start time'
  zcat history.jsonl.gz | pipefold import - --format jsonl --refused refused.jsonl --state position
  pipefold import history.csv.refused.csv      after its rows were corrected")]
pub struct ImportArgs {
    /// The file; - is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Format of the file [default: by its ending: .csv, .tsv, .jsonl or .ndjson]
    #[arg(long, value_name = "FORMAT", help_heading = ROWS)]
    pub format: Option<FormatName>,

    /// Character between the cells of CSV, or `tab` [default: a comma; a tab in .tsv]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter, help_heading = ROWS)]
    pub delimiter: Option<u8>,

    /// Column of the file for one of DX's names (repeatable)
    #[arg(long = "column", value_name = "NAME=COLUMN", value_parser = pair, help_heading = ROWS)]
    pub columns: Vec<(String, String)>,

    /// Value for one of DX's names in all rows (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair, help_heading = ROWS)]
    pub constants: Vec<(String, String)>,

    /// Word of the file for a status of DX, such as passed=success (repeatable)
    #[arg(long = "status", value_name = "WORD=STATUS", value_parser = status, help_heading = ROWS)]
    pub statuses: Vec<(String, String)>,

    /// Requests a second, at most: DX takes a thousand a minute, a collector thousands a second
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0, value_parser = number_within(0.01, 100_000.0), allow_negative_numbers = true, help_heading = SENDING)]
    pub rate: f64,

    /// Concurrent requests, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = concurrency, allow_negative_numbers = true, help_heading = SENDING)]
    pub concurrency: usize,

    /// Time without an answer after which the import stops; the same command goes on from there
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration, help_heading = SENDING)]
    pub timeout: Duration,

    /// File that keeps the position meanwhile [default: FILE.import; none for stdin]
    #[arg(long, value_name = "FILE", help_heading = SENDING)]
    pub state: Option<PathBuf>,

    /// File for refused rows, in the format of the input [default: FILE.refused.csv or FILE.refused.jsonl]
    #[arg(long, value_name = "FILE", help_heading = SENDING)]
    pub refused: Option<PathBuf>,

    /// Begin again with the first row, and replace the file of refused rows
    #[arg(long, help_heading = SENDING)]
    pub restart: bool,
}

const ROWS: &str = "Rows";
const SENDING: &str = "Sending";

/// The names of the formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Comma-separated values with a header
    Csv,
    /// A JSON object a line
    Jsonl,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
        _ => Err("give one ASCII character, such as ; or the word tab".into()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give one of DX's names, = and a text")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

fn status(text: &str) -> Result<(String, String), String> {
    let (word, status) = text.split_once('=').ok_or("give a word, = and a status")?;
    let statuses = ["success", "failure", "cancelled", "running", "unknown"];
    match statuses.contains(&status.trim()) {
        true => Ok((word.trim().to_owned(), status.trim().to_owned())),
        false => Err(format!("the status is one of {}", statuses.join(", "))),
    }
}

fn concurrency(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_AT_ONCE).contains(number));
    number.ok_or_else(|| format!("give a number from 1 to {MOST_AT_ONCE}"))
}
