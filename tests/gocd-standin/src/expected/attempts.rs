//! Runs to attempts.

use crate::history::{PipelineRun, StageRun};

/// Stages' runs that make one run of DX, in the order in which they were scheduled, and so ended.
pub(super) struct Attempt<'a> {
    pub(super) number: usize,
    pub(super) stages: Vec<&'a StageRun>,
}

/// A stage that the attempt already holds begins the next.
pub(super) fn attempts(run: &PipelineRun, events: u64) -> Vec<Attempt<'_>> {
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    for stage in run.known(events) {
        let begins = attempts
            .last()
            .is_none_or(|attempt| attempt.stages.iter().any(|other| other.name == stage.name));
        if begins {
            attempts.push(Attempt {
                number: attempts.len() + 1,
                stages: Vec::new(),
            });
        }
        if let Some(attempt) = attempts.last_mut() {
            attempt.stages.push(stage);
        }
    }
    attempts
}
