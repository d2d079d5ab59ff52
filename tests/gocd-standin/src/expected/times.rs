//! The starts of attempts.

use chrono::{DateTime, SecondsFormat, Utc};

use super::attempts::Attempt;
use super::record::{Reading, Wanted};
use crate::history::PipelineRun;

/// The start times that may rightly be reported.
///
/// With jobs' times the truth. Without, the first attempt began when the pipeline's document says, which moves when stages are run again,
/// and then at the end of its first stage; any other attempt at the end of its first stage. A reader that came before it moved has the right time.
pub(super) fn started(run: &PipelineRun, attempt: &Attempt<'_>, events: u64, wanted: &Wanted) -> Vec<String> {
    let Some(first) = attempt.stages.first() else {
        return Vec::new();
    };
    let begun = first.scheduled.time;
    let Some(end) = first.completed(events) else {
        let ends = first.jobs.iter().filter_map(|job| job.ended(events));
        return std::iter::once(begun)
            .chain(ends.map(|end| end.time))
            .map(text)
            .collect();
    };
    if wanted.has_times() {
        return vec![text(begun)];
    }
    if attempt.number > 1 {
        return vec![text(end.time)];
    }
    let scheduled = run.latest(events).into_iter().map(|stage| stage.scheduled.time).min();
    let told = scheduled.filter(|scheduled| *scheduled <= end.time).unwrap_or(end.time);
    match wanted.reading {
        Reading::BackFill => vec![text(told)],
        Reading::Live => vec![text(told), text(begun)],
    }
}

/// A time as DX has it.
pub(super) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
