//! Stages' runs to attempts.

use std::cmp::Reverse;

use super::history::RunHistory;
use super::settings::Reruns;
use super::times::Timed;
use super::warning::Warning;
use crate::Resource;
use crate::documents::{Name, StageResult, StageState};

/// The stages that make one run of DX.
pub struct Part<'h> {
    /// Those that count, in the order in which they ended; one under way is the last.
    pub stages: Vec<Timed<'h>>,
    /// When the first of all began, also of those that do not count.
    pub all: Vec<Timed<'h>>,
}

/// Splits a run. The order is that of completion: with the stages' counters alone, an attempt that begins with the second run of a late
/// stage and goes on with the first of the next could not be told from its predecessor.
pub fn split<'h>(history: &'h RunHistory, reruns: Reruns, warnings: &mut Vec<Warning>) -> Vec<Part<'h>> {
    let all = in_order(history, warnings);
    if all.is_empty() {
        return Vec::new();
    }
    match reruns {
        Reruns::Merge => vec![Part {
            stages: all.clone(),
            all,
        }],
        Reruns::Latest { .. } => {
            let is_latest = |timed: &Timed<'_>| {
                let stage = timed.stage;
                !all.iter()
                    .any(|other| other.stage.name.is_same(&stage.name) && other.stage.counter > stage.counter)
            };
            vec![Part {
                stages: all.iter().filter(|timed| is_latest(timed)).cloned().collect(),
                all,
            }]
        }
        Reruns::Attempts => {
            let mut attempts: Vec<Vec<Timed<'h>>> = Vec::new();
            for timed in all {
                let holds = |attempt: &&mut Vec<Timed<'h>>| {
                    !attempt.iter().any(|other| other.stage.name.is_same(&timed.stage.name))
                };
                match attempts.last_mut().filter(holds) {
                    Some(attempt) => attempt.push(timed),
                    None => attempts.push(vec![timed]),
                }
            }
            attempts
                .into_iter()
                .map(|stages| Part {
                    all: stages.clone(),
                    stages,
                })
                .collect()
        }
    }
}

/// The stages' runs that say something, each once, in the order in which they ended.
fn in_order<'h>(history: &'h RunHistory, warnings: &mut Vec<Warning>) -> Vec<Timed<'h>> {
    let mut all: Vec<Timed<'h>> = Vec::new();
    for stage in &history.stages {
        if stage.state.is_active() || stage.result != StageResult::Unknown {
            all.push(Timed::new(history, stage, warnings));
        } else if stage.state == StageState::Completed {
            warnings.push(Warning::UnknownResult {
                stage: stage.name.clone(),
                counter: stage.counter,
            });
        }
    }
    // Of the same run told twice, the last word comes first, and the rest goes.
    all.sort_by_cached_key(|timed| {
        let stage = timed.stage;
        (
            stage.name.as_str().to_ascii_lowercase(),
            stage.counter,
            Reverse(stage.updated),
            stage.state.is_active(),
        )
    });
    all.dedup_by(|one, other| one.stage.name.is_same(&other.stage.name) && one.stage.counter == other.stage.counter);
    let places = places(history);
    all.sort_by_key(|timed| {
        let stage = timed.stage;
        let place = places.iter().position(|name| name.is_same(&stage.name));
        // Only what is under way has not ended; without a time it is after what has one.
        (
            stage.state.is_active(),
            timed.ended.is_none(),
            timed.ended,
            stage.id,
            place,
            stage.counter,
        )
    });
    all
}

/// The stages in the order of the pipeline, as far as its document says: the new dialect's links have their names.
fn places(history: &RunHistory) -> Vec<Name> {
    let stages = history.pipeline.iter().flat_map(|pipeline| pipeline.stage_resources());
    stages
        .filter_map(|resource| match resource {
            Resource::Stage(stage) => Some(stage.name),
            _ => None,
        })
        .collect()
}
