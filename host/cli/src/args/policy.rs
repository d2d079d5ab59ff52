//! The commands about policies: `policy new`, `policy test`, `policy explain` and `policy verify`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use pipefold_sandbox::ComponentFile;

use super::commands::HookName;
use super::flags::{FieldFlags, path, text};

/// Begin a policy, test it, show what it does to a run, and verify its signature
///
/// A policy is asked before the built-in rules and decides what is reported of a run. `pipefold component` compiles and inspects those that
/// are WebAssembly components.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    New(NewArgs),
    Test(TestArgs),
    Explain(Box<ExplainArgs>),
    Verify(VerifyArgs),
}

/// Write a project with a policy, its tests and its CI files
///
/// The policy drops e-mail addresses and discards the runs of one branch. Its README has the commands to build and test it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold policy new rules our-policy
  pipefold policy new rust our-policy --name redact")]
pub struct NewArgs {
    /// Language of the policy
    #[arg(value_name = "LANGUAGE")]
    pub language: LanguageName,
    /// Directory to write to: a new one, or one with nothing in it but version control
    #[arg(value_name = "DIR", value_parser = path())]
    pub dir: PathBuf,
    /// Name of the policy [default: the name of the directory]
    ///
    /// At most 64 characters: a-z first, then a-z, 0-9, hyphen and underscore.
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub name: Option<String>,
}

/// The languages that a policy may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LanguageName {
    /// A crate, built by cargo alone
    Rust,
    /// A module, built by componentize-py
    Python,
    /// A module, built by componentize-qjs
    #[value(name = "javascript")]
    JavaScript,
    /// No code: a table of built-in rules in TOML
    Rules,
}

/// Ask policies the questions of a file, and compare the answers with the expected ones
///
/// Each line of CASES is a JSON object: `hook` (start, step or finish), `notification` or `history` as `pipefold hook` reads them, `expect` as
/// `pipefold hook` answers, and perhaps `name` and `config`, the settings of a component. Parts of an answer that `expect` does not name are
/// not compared; {"failure":"…"} expects a failure with this text. Policies that only monitor are tested as if they were enforced. The exit code is 1 if a case fails, and 2 if a file is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold policy test redact.wasm tests/cases.jsonl
  pipefold policy test pipefold-policy.toml tests/cases.jsonl --update")]
pub struct TestArgs {
    /// A component, with the grants `log` and `config`; or a TOML file with tables [[policy]], all of which are asked
    #[arg(value_name = "FILE", value_parser = text())]
    pub file: String,
    /// Cases, one JSON object a line
    #[arg(value_name = "CASES", value_parser = path())]
    pub cases: PathBuf,
    /// Write the answers into CASES, where `expect` is missing or differs
    ///
    /// All else in the file stays as it is, byte for byte. The failure of a policy is not written.
    #[arg(long)]
    pub update: bool,
}

/// Show what a run becomes: each field before and after, and the policy that changed it
///
/// The run comes from the flags, as for `start`, or from JSON, as for `hook`. Required fields that are missing get examples. Nothing is recorded
/// and nothing is sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold policy explain redact.wasm --email mona@example.com
  pipefold policy explain pipefold-policy.toml --step lint --head-branch renovate/serde
  pipefold policy explain --from history.json")]
pub struct ExplainArgs {
    /// A component or a TOML file with tables [[policy]] [default: the policies that other commands would use]
    #[arg(value_name = "FILE", value_parser = text())]
    pub file: Option<String>,
    /// JSON of one notification, or of a list with the notifications of a run; `-` is stdin
    #[arg(long, value_name = "JSON", value_parser = path(), conflicts_with = "FieldFlags")]
    pub from: Option<PathBuf>,
    /// The hook to ask [default: finish for a list, step for a step, else start]
    #[arg(long, value_name = "HOOK", value_parser = hook_of_policies())]
    pub hook: Option<HookName>,
    /// Name of the step that the notification is about
    #[arg(long, value_name = "NAME", value_parser = text(), conflicts_with = "from")]
    pub step: Option<String>,
    /// Name of the step that is unique in the run
    #[arg(long, value_name = "ID", value_parser = text(), requires = "step")]
    pub step_id: Option<String>,
    /// Result of the run or step
    #[arg(long, value_name = "STATUS", value_parser = text(), conflicts_with = "from")]
    pub status: Option<String>,
    #[command(flatten)]
    pub fields: FieldFlags,
}

/// Reads the name of a hook that policies have.
fn hook_of_policies() -> impl TypedValueParser<Value = HookName> {
    PossibleValuesParser::new(["start", "step", "finish"]).try_map(|word| HookName::from_str(&word, false))
}

/// Verify the minisign signature of a component, and show the digest to pin
///
/// The signature of FILE is FILE.minisig beside it, as `minisign -S` writes it. Policies and sources whose table has `key` are verified
/// each time they are loaded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold policy verify redact.wasm --key minisign.pub
  pipefold policy verify redact.wasm --key RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")]
pub struct VerifyArgs {
    /// The component; with @sha256:… it must have that digest
    #[arg(value_name = "FILE[@sha256:…]")]
    pub file: ComponentFile,
    /// The minisign public key that must have signed it, or the path of its file
    // Read by the command: the library's errors show a wrong value, and this one may be a secret key.
    #[arg(long, value_name = "KEY", value_parser = text())]
    pub key: String,
}
