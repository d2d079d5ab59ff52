//! The commands about policies: `policy verify`.

use clap::{Args, Subcommand};
use pipefold_sandbox::ComponentFile;

use super::flags::text;

/// Verify the signature of a policy
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    Verify(VerifyArgs),
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
