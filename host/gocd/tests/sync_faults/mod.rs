//! A faulty document, pipeline or answer costs itself, and nothing else.

mod documents;
mod restarts;
mod server;
use crate::sync_support::plain::*;

pub(crate) const BOTH: [bool; 2] = [true, false];

pub(crate) fn run(counter: u64, stages: &[PlainStage]) -> PlainRun {
    PlainRun {
        counter,
        stages: stages.to_vec(),
    }
}

pub(crate) fn forty() -> Vec<PlainRun> {
    (1..=40).map(|counter| passed(counter, counter as i64)).collect()
}

/// Returns true if a path is that of a run's own document.
pub(crate) fn is_own(path: &str, counter: u64) -> bool {
    path.ends_with(&format!("/p/{counter}.xml")) || path.ends_with(&format!("/{}.xml", 9000 + counter))
}

/// Returns true if a path is that of the run `n` of a run's stage.
pub(crate) fn is_stage(path: &str, counter: u64, stage: &str, n: u64) -> bool {
    path.ends_with(&format!("/p/{counter}/{stage}/{n}.xml"))
        || path.ends_with(&format!("/stages/{}.xml", id(counter, stage, n)))
}
