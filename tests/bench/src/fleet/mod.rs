//! A fleet: three NATS nodes that each keep everything, forwarders, and a server that answers as DX, all on the same cores.
//!
//! - `flow`: what comes is forwarded while it comes.
//! - `backlog`: what came before is forwarded.
//! - `doubling`: a DX that takes its time, told by one forwarder, by two, and by four.

mod backlog;
mod doubling;
mod flow;

use std::time::Duration;

use anyhow::{Result, ensure};
use pipefold_simulation::check::check;
use pipefold_simulation::dx::Dx;
use pipefold_simulation::load::of_burst;

use crate::arguments::Arguments;
use crate::report::yes;
use crate::table::Table;

/// The targets.
mod reach {
    /// Notifications a second, from publishing to DX's `ok`, with two forwarders; the lower limit.
    pub(super) const RATE: f64 = 3_000.0;
    /// Requests to DX a run whose steps come within the window.
    pub(super) const REQUESTS: f64 = 1.1;
    /// The most memory of a forwarder, in MiB.
    pub(super) const MEMORY: f64 = 60.0;
    /// The rate of two forwarders in multiples of one, where DX is the bottleneck.
    pub(super) const DOUBLE: f64 = 1.8;
}

/// Nodes, each with a copy.
const NODES: usize = 3;

/// The time for which a forwarder gathers the upserts of one run: the command's default.
const WINDOW: Duration = Duration::from_secs(2);

/// More requests a second than can be reached: the limit is not what is measured.
const RATE: f64 = 20_000.0;

/// Notifications of a run.
const EACH: u32 = 5;

/// A queue from which nothing goes for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// Measures, and prints a table; or says that there was nothing to measure with.
///
/// # Errors
/// If something does not start, or a record is wrong in the end.
pub(crate) fn measure_and_print(arguments: &Arguments) -> Result<()> {
    if let Err(why) = pipefold_tests::nats::server() {
        println!(
            "The fleet: not measured, neither its rate nor its requests a run, its memory, its backlog or its doubling: {why}\n"
        );
        return Ok(());
    }
    let mut table = Table::new(["what", "measured", "beside it", "reach", "reached"]);
    let mut row = |what: String, measured: String, beside: String, reach: String, reached: bool| {
        table.row([what, measured, beside, reach, yes(reached)]);
    };
    let publishing = flow::publishing_alone(arguments)?;
    let flow = flow::fast(arguments)?;
    row(
        format!(
            "{} notifications, from publishing to DX's `ok`, two forwarders",
            flow.notifications
        ),
        format!("{:.0} a second", flow.rate()),
        format!("publishing alone: {publishing:.0} a second"),
        format!("≥ {} a second", reach::RATE),
        flow.rate() >= reach::RATE,
    );
    let steady = flow::at_the_rate(arguments)?;
    row(
        format!(
            "requests to DX a run, whose {EACH} notifications come within {} s, {} a second in all",
            WINDOW.as_secs(),
            reach::RATE
        ),
        format!("{:.3}", steady.requests_a_run()),
        format!("as fast as they are taken: {:.3}", flow.requests_a_run()),
        format!("≤ {}", reach::REQUESTS),
        steady.requests_a_run() <= reach::REQUESTS,
    );
    let backlog = backlog::measure(arguments)?;
    row(
        format!("a backlog of {} notifications, two forwarders", backlog.notifications),
        format!("{:.0} a second", backlog.rate()),
        format!("while they came: {:.0} a second", flow.rate()),
        format!("≥ {} a second", reach::RATE),
        backlog.rate() >= reach::RATE,
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let memory = mib(backlog.memory.max(flow.memory));
    row(
        "the most memory of a forwarder meanwhile".into(),
        format!("{memory:.0} MiB"),
        format!("without the backlog: {:.0} MiB", mib(flow.memory)),
        format!("≤ {} MiB", reach::MEMORY),
        memory <= reach::MEMORY,
    );
    let [one, two, four] = doubling::measure(arguments)?;
    row(
        format!(
            "two forwarders, in times of one, where DX takes {} ms",
            doubling::DELAY.as_millis()
        ),
        format!("{:.2} × ({two:.0} runs a second)", two / one),
        format!("one: {one:.0} runs a second; four: {four:.0}, {:.2} × two", four / two),
        format!("≥ {} ×", reach::DOUBLE),
        two >= reach::DOUBLE * one,
    );
    println!("The fleet, {NODES} nodes with everything on each, and DX on the same cores:\n\n{table}");
    Ok(())
}

/// Checks that the measured work was really done: each record is the fold of the published upserts.
fn ensure_right(dx: &Dx, runs: u32) -> Result<()> {
    let found = check(dx.records(), runs, |run| of_burst(runs, EACH, run));
    ensure!(
        found.right == runs && dx.records().counts().refused == 0,
        "{} records of {runs} are right: {:?} {:?}",
        found.right,
        found.example,
        dx.records().first_refusal()
    );
    Ok(())
}

/// Runs something that has to wait, in this thread.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
