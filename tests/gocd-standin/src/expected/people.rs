//! The changes that a run was made from, and the person who started it.

use super::record::{Reading, Wanted};
use crate::history::facts::address_of;
use crate::history::{Change, Kind, PipelineHistory, PipelineRun};

/// The change that the run was made from, and whether it can be known: several where it may be, but need not.
pub(super) fn changes<'a>(
    pipeline: &'a PipelineHistory,
    run: &PipelineRun,
    events: u64,
    wanted: &Wanted,
) -> Vec<Option<&'a Change>> {
    let is_code = |kind: &Kind| matches!(kind, Kind::Git { .. } | Kind::Mercurial { .. });
    let materials = &pipeline.materials;
    let place = materials
        .iter()
        .position(|material| material.repository.is_some())
        .or_else(|| materials.iter().position(|material| is_code(&material.kind)));
    let Some(place) = place else {
        return vec![None];
    };
    let material = &materials[place];
    let change = run.revisions[place].first().map(|change| &material.changes[*change]);
    if wanted.has_revisions() {
        return vec![change];
    }
    if wanted.reading == Reading::Live {
        return vec![None, change];
    }
    // Documents have the newest change only, and it is this run's if nothing came after.
    let is_newest = material.newest(events).map(|newest| &newest.revision) == change.map(|change| &change.revision);
    // No feed has what has not ended a stage yet.
    let is_listed = |run: &PipelineRun| run.known(events).iter().any(|stage| stage.completed(events).is_some());
    let mut later = pipeline.runs.iter().filter(|other| other.counter > run.counter);
    if !is_newest || later.clone().any(is_listed) {
        vec![None]
    } else if is_listed(run) && !was_begun_again(run, events) && later.all(|other| other.known(events).is_empty()) {
        vec![change]
    } else {
        vec![None, change]
    }
}

/// True if no document has the run's start any more, and so none shows whether a change came after it.
fn was_begun_again(run: &PipelineRun, events: u64) -> bool {
    let first = run.stages.first().map(|stage| stage.id);
    run.latest(events).iter().all(|stage| Some(stage.id) != first)
}

/// The e-mail address or GitHub user of who set an attempt going.
pub(super) fn people(
    approved_by: &str,
    changes: &[Option<&Change>],
) -> Vec<(Option<&'static str>, Option<&'static str>)> {
    match approved_by {
        "changes" => changes
            .iter()
            .map(|change| {
                let author = change.and_then(|change| change.author);
                (
                    author.and_then(|author| author.email),
                    author.and_then(|author| author.github),
                )
            })
            .collect(),
        "timer" => vec![(None, None)],
        name => vec![(address_of(name), None)],
    }
}

/// True if a person approved the stage.
pub(super) fn is_person(approved_by: &str) -> bool {
    !matches!(approved_by, "changes" | "timer")
}
