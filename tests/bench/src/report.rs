//! The tables: what was measured, beside what it is compared with and what was to be reached.

use std::process::Command;

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::bench::{Place, Results};
use crate::plugin;
use crate::samples::Samples;
use crate::table::Table;

/// The targets; each is an upper limit, and the smaller the better.
mod reach {
    /// `step` without a command, in times of `curl`'s POST.
    pub(super) const STEP: f64 = 0.3;
    /// The instructions of `step` without a command, in millions.
    pub(super) const INSTRUCTIONS: f64 = 2.0;
    /// `start` with delivery, in times of `curl`'s POST.
    pub(super) const START: f64 = 1.0;
    /// `exec -- true` with delivery, over `true` and `curl`'s POST, in milliseconds.
    pub(super) const EXEC: f64 = 3.0;
    /// The default budget of a finish: with a DX that hangs, `exec` may take this time over `true`, in milliseconds.
    pub(super) const HANGING: f64 = 5_000.0;
    /// One hook of the rules, in microseconds.
    pub(super) const HOOK: f64 = 40.0;
    /// The merge of a thousand notifications of two hundred steps, in microseconds.
    pub(super) const MERGE: f64 = 2_000.0;
    /// The translation of a delivery, beside a hook of the rules.
    pub(super) const TRANSLATION: f64 = 15.0;
    /// The memory of a process that runs a hook, in MiB.
    pub(super) const MEMORY: f64 = 20.0;
    /// The command's file, in MB.
    pub(super) const BINARY: f64 = 20.0;
}

/// Prints everything in Markdown.
///
/// # Errors
/// If a result of criterion or the command's file cannot be read.
pub(crate) fn print(arguments: &Arguments, results: &Results) -> Result<()> {
    println!("\n{}", machine(results));
    println!("{}", reached(arguments, results)?);
    println!("For comparison, medians in ms (10 to 90 % of the rounds):\n");
    println!("{}", comparison(results));
    Ok(())
}

fn reached(arguments: &Arguments, results: &Results) -> Result<Table> {
    let mut table = Table::new(["what", "pipefold", "beside it", "ratio", "reach", "reached"]);
    let true_alone = results.nothing.median();
    let places = [("http", &results.http), ("https", &results.https)];
    let what = "`step` without a command, recorded and synced";
    row_of_times(
        &mut table,
        what.into(),
        (&results.http.step, &results.http.curl),
        reach::STEP,
    );
    row_of_instructions(&mut table, results.instructions);
    for (scheme, place) in places {
        row_of_times(
            &mut table,
            format!("`start` with delivery, {scheme}"),
            (&place.start, &place.curl),
            reach::START,
        );
    }
    for (scheme, place) in places {
        let (over, curl) = (place.exec.median() - true_alone, place.curl.median());
        table.row([
            format!("`exec -- true` with delivery, over `true`, {scheme}"),
            format!("{over:.1} ms"),
            format!("curl's POST {curl:.1} ms"),
            format!("curl's {:+.1} ms", over - curl),
            format!("≤ curl's + {} ms", reach::EXEC),
            yes(over - curl <= reach::EXEC),
        ]);
    }
    let over = results.hanging.exec.median() - true_alone;
    let said = results.hanging.said;
    table.row([
        "`exec -- true` with a DX that hangs, over `true`, and said so".into(),
        format!("{over:.0} ms, {}", if said { "said" } else { "not said" }),
        format!("finish budget {:.0} ms", reach::HANGING),
        String::new(),
        "≤ the budget".into(),
        yes(said && over <= reach::HANGING),
    ]);
    if let Some(criterion) = &arguments.criterion {
        let measure = |benchmark: &str| plugin::median(criterion, benchmark);
        rows_of_the_plugin(&mut table, measure)?;
    }
    let most = results.peaks.iter().filter(|(name, _)| !name.starts_with("curl"));
    let (name, most) = most.max_by_key(|(_, peak)| *peak).context("no memory was measured")?;
    let curl = results.peaks.iter().filter(|(name, _)| name.starts_with("curl"));
    let curl = curl.map(|(_, peak)| *peak).max().unwrap_or(0);
    table.row([
        format!("peak memory of a process, the largest of all commands (`{name}`)"),
        format!("{:.1} MiB", mib(*most)),
        format!("curl {:.1} MiB", mib(curl)),
        format!("{:.2} ×", mib(*most) / mib(curl)),
        format!("≤ {} MiB", reach::MEMORY),
        yes(mib(*most) <= reach::MEMORY),
    ]);
    let file = &arguments.pipefold;
    let size = std::fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?;
    let size = size.len() as f64 / 1e6;
    table.row([
        "the binary".into(),
        format!("{size:.1} MB"),
        String::new(),
        String::new(),
        format!("≤ {} MB", reach::BINARY),
        yes(size <= reach::BINARY),
    ]);
    Ok(table)
}

fn row_of_times(table: &mut Table, what: String, (ours, curl): (&Samples, &Samples), reach: f64) {
    let ratio = ours.median() / curl.median();
    table.row([
        what,
        format!("{:.1} ms", ours.median()),
        format!("curl's POST {:.1} ms", curl.median()),
        format!("{ratio:.2} ×"),
        format!("≤ {reach:.1} ×"),
        yes(ratio <= reach),
    ]);
}

fn row_of_instructions(table: &mut Table, instructions: Option<u64>) {
    let millions = instructions.map(|count| count as f64 / 1e6);
    table.row([
        "`step` without a command, instructions".into(),
        millions.map_or("not measured".into(), |millions| format!("{millions:.2} M")),
        String::new(),
        String::new(),
        format!("≤ {:.1} M", reach::INSTRUCTIONS),
        millions.map_or(String::new(), |millions| yes(millions <= reach::INSTRUCTIONS)),
    ]);
}

fn rows_of_the_plugin(table: &mut Table, measure: impl Fn(&str) -> Result<f64>) -> Result<()> {
    let (wasm, native) = (measure("step/wasm")?, measure("step/native")?);
    table.row([
        "one hook of the rules (`step`), from the second call on".into(),
        microseconds(wasm),
        format!("native {}", microseconds(native)),
        String::new(),
        format!("≤ {} µs", reach::HOOK),
        yes(wasm <= reach::HOOK),
    ]);
    for length in [1, 10, 100, 1_000] {
        let (wasm, native) = (
            measure(&format!("merge/wasm/{length}"))?,
            measure(&format!("merge/native/{length}"))?,
        );
        let ratio = wasm / native;
        // A short history is all instance and no merge: the issue is what a long one costs.
        let is_long = length == 1_000;
        table.row([
            format!("merge of {length} in the sandbox"),
            microseconds(wasm),
            format!("native {}", microseconds(native)),
            format!("{ratio:.2} ×"),
            if is_long {
                format!("≤ {}", microseconds(reach::MERGE))
            } else {
                String::new()
            },
            if is_long {
                yes(wasm <= reach::MERGE)
            } else {
                String::new()
            },
        ]);
    }
    let translation = measure("translate/wasm")?;
    table.row([
        "a delivery of GitHub of 20 KB, translated by a source".into(),
        microseconds(translation),
        format!("a hook of the rules {}", microseconds(wasm)),
        format!("{:.1} ×", translation / wasm),
        format!("≤ {} ×", reach::TRANSLATION),
        yes(translation <= reach::TRANSLATION * wasm),
    ]);
    Ok(())
}

/// Takes what was measured of one thing in a place.
type OfPlace = fn(&Place) -> &Samples;

fn comparison(results: &Results) -> Table {
    let mut table = Table::new(["", "http", "https", "http, spool in memory"]);
    let columns = [Some(&results.http), Some(&results.https), results.in_memory.as_ref()];
    let rows: [(&str, OfPlace); 6] = [
        ("curl's POST", |place| &place.curl),
        ("`start`", |place| &place.start),
        ("`step`", |place| &place.step),
        ("`finish`", |place| &place.finish),
        ("`exec -- true`", |place| &place.exec),
        ("one file made durable, by itself", |place| &place.durable),
    ];
    for (name, samples) in rows {
        let [http, https, in_memory] = columns.map(|place| place.map_or(String::new(), |place| spread(samples(place))));
        table.row([name.into(), http, https, in_memory]);
    }
    let alone = |name: &str, value: String| [name.to_owned(), value, String::new(), String::new()];
    table.row(alone("`start` that makes its spool", spread(&results.first_start)));
    table.row(alone("`true`", spread(&results.nothing)));
    for (name, peak) in &results.peaks {
        table.row(alone(&format!("peak memory: {name}"), format!("{:.1} MiB", mib(*peak))));
    }
    table
}

/// The machine of the measurement.
fn machine(results: &Results) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("an unknown CPU", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let curl = Command::new("curl").arg("--version").output();
    let curl = curl.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let curl = curl.unwrap_or_default();
    let curl = curl.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let file_system = results.http.file_system.as_deref().unwrap_or("an unknown file system");
    format!(
        "Medians of {} rounds on {cores} cores of {cpu}, {curl}, the spool on {file_system}, where making one file durable (write, sync, rename, \
         sync of the directory) takes {:.2} ms and starting `true` {:.2} ms. DX is a server on this machine; `curl` posts the body of `start` to it. \
         The spool has the runs of the rounds before, two a round, all delivered.\n",
        results.nothing.count(),
        results.http.durable.median(),
        results.nothing.median(),
    )
}

fn spread(samples: &Samples) -> String {
    format!(
        "{:.2} ({:.2} to {:.2})",
        samples.median(),
        samples.quantile(10),
        samples.quantile(90)
    )
}

pub(crate) fn microseconds(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.2} µs"),
        ..10.0 => format!("{value:.1} µs"),
        ..1_000.0 => format!("{value:.0} µs"),
        _ => format!("{:.2} ms", value / 1e3),
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(crate) fn yes(reached: bool) -> String {
    if reached { "yes" } else { "**no**" }.into()
}
