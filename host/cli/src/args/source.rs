//! The commands about sources: `source list` and `source test`.

use clap::{Args, Subcommand};

use super::flags::text;

/// List the sources of webhooks, and test one with a delivery
///
/// A source translates what a CI system posts to a webhook into notifications of runs. `pipefold serve --source NAME` takes deliveries.
#[derive(Debug, Args)]
pub struct SourceArgs {
    #[command(subcommand)]
    pub command: SourceCommand,
}

/// The commands about sources.
#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// List the built-in sources, and those of the operator's file
    List,
    /// Show what becomes of a delivery: its notifications, the verdict on each run, and the requests to DX
    ///
    /// The body comes from stdin, as the CI system sends it. No signature is checked, nothing is recorded and nothing is sent. The output is
    /// JSON. The exit code is 2 if the source or the rules refuse the delivery.
    #[command(after_help = "\
Examples:
  pipefold source test github --header 'X-GitHub-Event: workflow_run' <delivery.json
  pipefold source test ours=ours.wasm --setting team=web <delivery.json")]
    Test {
        /// A built-in source, one of the operator's file, or another one with its component, NAME=FILE.wasm
        #[arg(value_name = "NAME[=FILE[@sha256:HEX]]", value_parser = text())]
        source: String,
        /// A header of the delivery, such as 'X-GitHub-Event: workflow_run' (repeatable)
        #[arg(long = "header", value_name = "NAME: VALUE", value_parser = text())]
        headers: Vec<String>,
        /// A setting of the source (repeatable)
        #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = text())]
        settings: Vec<String>,
    },
}
