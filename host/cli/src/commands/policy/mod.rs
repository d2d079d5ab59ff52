//! `policy`: the commands about policies.

mod verify;

use std::process::ExitCode;

use crate::args::{GlobalFlags, PolicyArgs, PolicyCommand};

/// `pipefold policy`
pub fn run(global: &GlobalFlags, args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PolicyCommand::Verify(args) => verify::run(global, args),
    }
}
