//! Measures pipefold as whole processes, beside `curl` posting the same body to the same server on this machine, and prints the table of
//! docs/performance.md. `make bench` runs it.
//!
//! - `arguments`: what it is told: where the command and criterion's results are.
//! - `bench`: the rounds: every command once in each, so that a busy moment hits all alike.
//! - `scene`: a server that stands in for DX, a spool, and the commands to be measured there.
//! - `samples`: durations and their median.
//! - `instructions`: what a command executes, counted.
//! - `memory`: the most memory that a process held.
//! - `disk`: the file system of the spool, and what syncing costs there by itself.
//! - `jobs`: a `finish` with many jobs.
//! - `policies`: a step behind a policy, beside one without.
//! - `plugin`: criterion's results.
//! - `collector`: `pipefold serve` under load, beside a route that only parses and answers.
//! - `gocd`: documents beside the XML library alone, and whole servers read.
//! - `fleet`: NATS nodes and forwarders, from publishing to DX's `ok`.
//! - `report`, `table`: what was measured, beside what was to be reached.

mod arguments;
mod bench;
mod collector;
mod disk;
mod fleet;
mod gocd;
mod instructions;
mod jobs;
mod memory;
mod plugin;
mod policies;
mod report;
mod samples;
mod scene;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    let done = match arguments.split_first() {
        Some((first, command)) if first == memory::FLAG => memory::measure_here(command),
        Some((first, _)) if first == collector::BARE_FLAG => collector::serve_bare(),
        _ => arguments::Arguments::parse(arguments).and_then(|arguments| {
            if arguments.only_fleet {
                return fleet::measure_and_print(&arguments);
            }
            let results = bench::run(&arguments)?;
            report::print(&arguments, &results)?;
            jobs::measure_and_print(&arguments)?;
            policies::measure_and_print(&arguments)?;
            collector::measure_and_print(&arguments)?;
            gocd::measure_and_print(&arguments)?;
            fleet::measure_and_print(&arguments)
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipefold-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
