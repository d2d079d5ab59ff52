//! Simulates a day of an organisation's pipeline runs through a fleet, and prints the outcome. `make simulate` runs it.
//!
//! - `arguments`: the command line.
//! - `run`: the simulation.
//! - `report`: what is printed.

mod arguments;
mod report;
mod run;

use std::process::ExitCode;

/// The end of a program that cannot do its work on this machine.
const CANNOT: u8 = 77;

fn main() -> ExitCode {
    let simulated = arguments::Arguments::parse(std::env::args_os().skip(1)).and_then(|arguments| {
        if let Err(why) = pipefold_tests::nats::server() {
            eprintln!("skipped: simulation: {why}");
            return Ok(ExitCode::from(CANNOT));
        }
        let result = run::run(&arguments)?;
        print!("{}", report::text(&arguments, &result));
        Ok(if result.is_right() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    });
    simulated.unwrap_or_else(|error| {
        eprintln!("fleet-simulation: {error:#}");
        ExitCode::FAILURE
    })
}
