//! The printed report.

use std::fmt::Write;
use std::time::Duration;

use pipefold_simulation::load::Day;

use crate::arguments::Arguments;
use crate::run::Simulated;

/// The report: one fact a line.
pub(crate) fn text(arguments: &Arguments, result: &Simulated) -> String {
    let day = Day::of(arguments.runs, arguments.runs_a_day);
    let runs = f64::from(arguments.runs);
    let simulated = |time: Duration| words(time.mul_f64(arguments.speed));
    let lag = |percent: usize| {
        let at = (result.lags.len().saturating_sub(1) * percent + 50) / 100;
        let lag = result.lags.get(at).copied().unwrap_or_default();
        format!("{} (here {})", simulated(lag), words(lag))
    };
    let mut out = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(out, "{what:<34}{value}");
    };
    line(
        "simulated",
        format!(
            "{} runs in {}, as dense as {} a day, {} × as fast as a clock",
            arguments.runs,
            words(day.length()),
            arguments.runs_a_day,
            arguments.speed
        ),
    );
    line(
        "fleet",
        format!(
            "{} nodes, {} forwarders, window {}",
            arguments.nodes,
            arguments.forwarders,
            words(arguments.window)
        ),
    );
    line(
        "published",
        format!(
            "{}, {:.2} a run, in {}; {} were there already, {} tries repeated",
            result.published,
            result.published as f64 / runs,
            words(result.publishing),
            result.duplicates,
            result.failed
        ),
    );
    line("the load was late by at most", words(result.behind));
    line(
        "DX's limit",
        match arguments.limit {
            0 => "none".to_owned(),
            limit => format!("{limit} a minute; asked for {:.2} × that", arguments.ask),
        },
    );
    line(
        "requests about runs accepted by DX",
        format!("{}, {:.3} a run", result.dx.accepted, result.dx.accepted as f64 / runs),
    );
    line(
        "  about jobs, besides these",
        format!(
            "{}, {:.3} a job; {} before their run",
            result.dx.jobs,
            result.dx.jobs as f64 / result.found.jobs.max(1) as f64,
            result.dx.early
        ),
    );
    line(
        "answered 429",
        format!("{}, at most {} in a row", result.dx.limited, result.dx.worst_burst),
    );
    line("refused by DX", result.dx.refused.to_string());
    if let Some(why) = &result.refusal {
        line("  the first", why.clone());
    }
    line("most upserts in the queue", result.backlog.to_string());
    for (what, percent) in [
        ("lag of a run's end: half within", 50),
        ("  99 in 100 within", 99),
        ("  all within", 100),
    ] {
        line(what, lag(percent));
    }
    let drained = result.took.saturating_sub(result.publishing);
    line(
        "empty after the last upsert by",
        format!("{} (here {})", simulated(drained), words(drained)),
    );
    line(
        "memory of a forwarder",
        format!("{:.0} MiB", result.memory as f64 / f64::from(1 << 20)),
    );
    line(
        "records at DX",
        format!(
            "{} are the fold of what was published, {} are missing, {} are different; {} jobs",
            result.found.right, result.found.missing, result.found.different, result.found.jobs
        ),
    );
    if let Some(example) = &result.found.example {
        line("  the first", example.clone());
    }
    out
}

/// A duration in the usual unit, from milliseconds to hours.
fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}
