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

use anyhow::{Result, ensure};

use self::arguments::Arguments;

/// Measures a part, and prints its table.
type Part = fn(&Arguments) -> Result<()>;

/// The parts, in the order of docs/performance.md.
const PARTS: [(&str, Part); 6] = [
    ("commands", |arguments| {
        report::print(arguments, &bench::run(arguments)?)
    }),
    ("jobs", jobs::measure_and_print),
    ("policies", policies::measure_and_print),
    ("collector", collector::measure_and_print),
    ("gocd", gocd::measure_and_print),
    ("fleet", fleet::measure_and_print),
];

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    let done = match arguments.split_first() {
        Some((first, command)) if first == memory::FLAG => memory::measure_here(command),
        Some((first, _)) if first == collector::BARE_FLAG => collector::serve_bare(),
        _ => Arguments::parse(arguments).and_then(|arguments| {
            let is_asked = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
            let asked: Vec<Part> = PARTS
                .iter()
                .filter(|(name, _)| is_asked(name))
                .map(|(_, part)| *part)
                .collect();
            ensure!(
                !asked.is_empty(),
                "--only names no part: there are {}",
                PARTS.map(|(name, _)| name).join(", ")
            );
            asked.into_iter().try_for_each(|part| part(&arguments))
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
