//! Flags that every command has.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::values::{path, text};

const HEADING: &str = "Reporting";

/// Where and how to report; before or after the command's name.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct GlobalFlags {
    /// Address of DX [env: DX_API_URL]
    ///
    /// The base address of DX's web API, or of a collector that speaks it. Plain http only to this machine.
    #[arg(long, global = true, value_name = "URL", value_parser = text())]
    pub(crate) dx_url: Option<String>,

    /// File that holds the token [env: DX_API_TOKEN, the token itself]
    ///
    /// A file that anyone may write is refused.
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub(crate) token_file: Option<PathBuf>,

    /// Certificates to trust besides the system's (PEM)
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub(crate) ca_file: Option<PathBuf>,

    /// Report into this queue instead of DX: NATS servers, with commas between them [env: PIPEFOLD_QUEUE]
    ///
    /// `tls://nats-1.example.com:4222`, or `nats://` on this machine. `pipefold forward` takes what is there to DX. Needs a build with the
    /// feature `fleet`.
    #[arg(long, global = true, value_name = "URL", value_parser = text())]
    pub(crate) queue: Option<String>,

    /// Credentials of a NATS user for the queue
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "queue_token_file", value_parser = path())]
    pub(crate) queue_credentials: Option<PathBuf>,

    /// File that holds the token of the NATS servers
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub(crate) queue_token_file: Option<PathBuf>,

    /// Directory where records wait until DX has them [env: PIPEFOLD_SPOOL]
    ///
    /// By default the CI system's temporary directory of the job, else $XDG_STATE_HOME/pipefold, else a directory of your own in the
    /// temporary directory. Where a runner dies with its job, put it on a volume.
    #[arg(long, global = true, value_name = "DIR", value_parser = path())]
    pub(crate) spool: Option<PathBuf>,

    /// Configuration file, instead of /etc/pipefold.toml [env: PIPEFOLD_CONFIG]
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub(crate) config: Option<PathBuf>,

    /// WebAssembly policy to apply before the built-in rules (repeatable) [env: PIPEFOLD_POLICY]
    ///
    /// A component that sees each notification first and may change or drop it. With @sha256:… the file must have that digest. The
    /// variable names several with commas between them. Policies of the configuration come first, then the variable's, then the flags';
    /// none replaces another. What was recorded under policies is sent only through them.
    #[arg(long = "policy", global = true, value_name = "FILE[@sha256:…]", value_parser = text())]
    pub(crate) policies: Vec<String>,

    /// Directory where compiled policies are kept [env: PIPEFOLD_POLICY_CACHE]
    ///
    /// By default $XDG_CACHE_HOME/pipefold, else ~/.cache/pipefold, else a directory of your own in the temporary directory. It must
    /// belong to you or to root, and be writable by the owner alone. `component compile` fills it.
    #[arg(long, global = true, value_name = "DIR", value_parser = path())]
    pub(crate) policy_cache: Option<PathBuf>,

    /// Report runs outside CI, using data from git [env: PIPEFOLD_LOCAL=true]
    ///
    /// Without this flag, a command outside CI reports nothing unless --pipeline-name, --pipeline-source or --reference-id (or their
    /// variables) name the run. With it, repository, branch, commit and e-mail address come from the git repository around the working
    /// directory, and the source is `local`. In a CI system it changes nothing.
    #[arg(long, global = true)]
    pub(crate) local: bool,

    /// Print the request, token hidden, and send nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,

    /// Answer in JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Exit non-zero if reporting fails
    ///
    /// Exit code 2 for bad input and 1 for other trouble, instead of a warning and 0. The exit code of a wrapped command is passed on all
    /// the same, unless it is 0; with bad input the command is not run at all.
    #[arg(long, global = true)]
    pub(crate) strict: bool,

    /// Say more on stderr; up to -vvv
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}
