//! The commands about what waits in the spool: `flush` and `status`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pipefold::config::parse_age;

use super::values::{duration, text};

/// Deliver what waits
///
/// Sends what earlier commands could not send, also what was recorded without a token. Ends when all is sent or the time is up. Pauses that
/// earlier commands noted are ignored.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold flush --timeout 30s
  pipefold flush --export runs.json      at the end of a job whose runner is thrown away
  pipefold flush --import runs.json      where DX can be reached
  pipefold --policy redact.wasm flush --rejudge      after a policy was mended
  pipefold flush --rejected              after an incident at DX, or a mended account
  pipefold flush --abandon 7d            end the runs of jobs that were killed")]
pub(crate) struct FlushArgs {
    /// How long to try, such as 30s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Only the run of this reference id
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) run: Option<String>,

    /// Also what was recorded for other tokens of the same DX
    #[arg(long)]
    pub(crate) other_tokens: bool,

    /// Apply the policies of this command in place of the recorded ones
    ///
    /// A notification is sent only through the policies it was recorded under. With this flag those of --policy and the configuration
    /// take their place: after a policy was mended, say. Without a policy it is an error.
    #[arg(long)]
    pub(crate) rejudge: bool,

    /// First take back what DX or the rules refused
    #[arg(long)]
    pub(crate) rejected: bool,

    /// End unfinished runs with nothing recorded for this long, such as 7d
    ///
    /// They are sent as cancelled, which DX does not take back when such a run succeeds later.
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) abandon: Option<Duration>,

    /// Write what waits to a file instead of sending it
    ///
    /// Notifications are written as they were recorded, before any policy: keep the file as private as the spool.
    #[arg(long, value_name = "FILE", conflicts_with = "import")]
    pub(crate) export: Option<PathBuf>,

    /// First take in what another machine exported
    #[arg(long, value_name = "FILE")]
    pub(crate) import: Option<PathBuf>,
}

/// Show what waits, and why
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold status --json")]
pub(crate) struct StatusArgs {}
