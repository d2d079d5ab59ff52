//! Reading GoCD: its documents, a whole server, and a server without news.

mod documents;
mod parsing;
mod syncing;

use anyhow::Result;
use gocd_standin::Generation;

use crate::arguments::Arguments;
use crate::report::yes;
use crate::table::Table;

/// The targets.
mod reach {
    /// Bytes of documents read in a second, in millions; the lower limit.
    pub(super) const RATE: f64 = 100.0;
    /// The same in times of what the XML library takes to read them and do nothing.
    pub(super) const OVER_LIBRARY: f64 = 3.0;
    /// A server with ten thousand runs, in seconds.
    pub(super) const SYNC: f64 = 60.0;
    /// The most memory that the reader holds meanwhile, in MiB.
    pub(super) const MEMORY: f64 = 60.0;
}

/// Runs of the servers that are read.
const RUNS: u64 = 10_000;

/// Measures, and prints a table.
///
/// # Errors
/// If a command fails, or a server does not start.
pub(crate) fn measure_and_print(arguments: &Arguments) -> Result<()> {
    let mut table = Table::new(["what", "measured", "beside it", "reach", "reached"]);
    let mut row = |what: String, measured: String, beside: String, reach: String, reached: bool| {
        table.row([what, measured, beside, reach, yes(reached)]);
    };
    let parsed = parsing::measure()?;
    row(
        format!("documents read, {} of {:.1} MB", parsed.documents, parsed.megabytes),
        format!("{:.0} MB/s", parsed.rate()),
        String::new(),
        format!("≥ {} MB/s", reach::RATE),
        parsed.rate() >= reach::RATE,
    );
    row(
        "the same, in times of the XML library alone".into(),
        format!("{:.1} ms", parsed.read.median()),
        format!("{:.1} ms, {:.1} ×", parsed.library.median(), parsed.ratio()),
        format!("≤ {} ×", reach::OVER_LIBRARY),
        parsed.ratio() <= reach::OVER_LIBRARY,
    );
    for runs in [RUNS / 10, RUNS] {
        let synced = syncing::of_the_collector(arguments, runs)?;
        let mib = synced.memory as f64 / f64::from(1 << 20);
        let seconds = synced.took.as_secs_f64();
        row(
            format!("`gocd sync` of {}, to the last run delivered", synced.what),
            format!("{seconds:.1} s, {mib:.0} MiB"),
            String::new(),
            format!("≤ {} s, {} MiB", reach::SYNC, reach::MEMORY),
            seconds <= reach::SYNC && mib <= reach::MEMORY,
        );
    }
    for (generation, feeds) in [(Generation::Old, "old"), (Generation::New, "new")] {
        let again = syncing::again(arguments, RUNS / 10, generation)?;
        row(
            format!("a second look at a GoCD server without news, {feeds} feeds"),
            format!("{} requests for feeds, {} for runs", again.of_feeds, again.of_runs),
            format!("{} pipelines, {} runs that may go on", again.pipelines, again.open),
            "≤ 1 each, and 2 for the server".into(),
            again.is_least(),
        );
    }
    println!("GoCD:\n\n{table}");
    Ok(())
}
