//! The commands about what waits in the spool: `flush` and `status`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{duration, text};

/// Deliver what waits
///
/// Sends what earlier commands could not, also what was recorded without a token. Ends when all is sent or the time is up.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold flush --timeout 30s
  pipefold flush --export runs.json      at the end of a job whose runner is thrown away
  pipefold flush --import runs.json      where DX can be reached")]
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

    /// Write what waits to a file instead of sending it
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
