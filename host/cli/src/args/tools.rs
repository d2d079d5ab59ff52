//! The commands for looking around and for hosts in other languages: `hook`, `doctor`, `component`, `completions`, `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use pipefold_sandbox::ComponentFile;

use super::fields::FieldFlags;

/// Ask a hook for its verdict: JSON on stdin, JSON on stdout
///
/// For hosts in any language. Nothing is recorded and nothing is sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  echo '{\"pipeline_name\":\"build\",\"pipeline_source\":\"Jenkins\",\"reference_id\":\"1\",\"started_at\":\"2025-01-31\"}' |
    pipefold hook start")]
pub(crate) struct HookArgs {
    /// Which hook
    #[arg(value_name = "HOOK")]
    pub(crate) hook: HookName,
}

/// The hooks of the contract, and the merge that the default component exports besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookName {
    /// A run begins: one notification
    Start,
    /// A step of it: one notification
    Step,
    /// It has ended: the list of its notifications
    Finish,
    /// No verdict, only the run that a list of notifications makes
    Merge,
}

/// Show what was detected, from where, what would be sent, and whether DX can be reached
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold doctor --json")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) fields: FieldFlags,
}

/// Look at WebAssembly components, and compile them ahead
#[derive(Debug, Args)]
pub(crate) struct ComponentArgs {
    #[command(subcommand)]
    pub(crate) command: ComponentCommand,
}

/// What to do with a component.
#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Show a component's imports, exports, size, digest and limits, and whether it loads here
    #[command(after_help = "\
Example:
  pipefold component inspect policy.wasm --json")]
    Inspect {
        /// The component; with @sha256:… it must have that digest
        #[arg(value_name = "FILE[@sha256:…]")]
        file: ComponentFile,
    },
    /// Compile a component into the cache, so that no build has to
    ///
    /// It is compiled in a process of its own, with limits on its time and memory. Without this, the first command that uses a policy
    /// compiles it. Without FILE, the default component is compiled.
    #[command(after_help = "\
Examples:
  pipefold component compile policy.wasm
  sudo pipefold component compile policy.wasm --policy-cache /var/cache/pipefold")]
    Compile {
        /// The component; with @sha256:… it must have that digest [default: the default component]
        #[arg(value_name = "FILE[@sha256:…]")]
        file: Option<ComponentFile>,
    },
    /// Put the default component's compiled code into a pipefold executable, so that no process has to compile it
    ///
    /// For those who package or install pipefold. The code is for the processor that the executable was built for, and is checked at each
    /// start. IN must be of this version of pipefold, and may be this command itself.
    #[command(after_help = "\
Examples:
  pipefold component embed target/release/pipefold dist/pipefold
  pipefold component embed ~/.cargo/bin/pipefold ~/.cargo/bin/pipefold")]
    Embed {
        /// The executable
        #[arg(value_name = "IN")]
        executable: PathBuf,
        /// The executable to write; it may be IN
        #[arg(value_name = "OUT")]
        output: PathBuf,
    },
    /// The compiler process that the command starts: a component on stdin, its code on stdout. Hidden from users; defined elsewhere.
    #[command(skip)]
    CompileWorker,
}

/// Print a shell's completions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold completions bash > ~/.local/share/bash-completion/completions/pipefold
  pipefold completions zsh > ~/.zfunc/_pipefold
  pipefold completions fish > ~/.config/fish/completions/pipefold.fish")]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Print the manual page, or write one a command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold man | man -l -
  pipefold man --out /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Directory to write all pages to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
