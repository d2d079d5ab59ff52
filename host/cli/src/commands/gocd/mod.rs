//! `gocd`: the reader of GoCD's feeds, from its flags to its summary.
//!
//! What is read and what a run means is pipefold-gocd's; here are its surroundings: `plan` says what was asked for, `state` keeps how far
//! it was read, `sink` hands runs to the reporter's spool, `deliverer` sends them meanwhile, `watcher` and `summary` tell people.

mod credentials;
mod deliverer;
mod dry_run;
mod plan;
mod run;
mod sink;
mod state;
mod stop;
mod summary;
mod totals;
mod users;
mod watcher;

use std::process::ExitCode;

use crate::args::{GlobalFlags, GocdArgs, GocdCommand};

/// `pipefold gocd`
pub(crate) fn run(global: &GlobalFlags, args: &GocdArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        GocdCommand::Sync { read, timeout } => run::sync(global, read, *timeout),
        GocdCommand::Watch { read, every } => run::watch(global, read, *every),
    }
}
