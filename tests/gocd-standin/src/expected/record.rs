//! One expected record, and its derivation from a history.

use pipefold_gocd::documents::StageResult;

use super::attempts::{Attempt, attempts};
use super::jobs::{self, ExpectedStage};
use super::{people, times};
use crate::history::{History, PipelineHistory, PipelineRun};
use crate::server::Generation;

/// The way in which a server was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Once, at the end.
    BackFill,
    /// At any times while the history grew, and at its end.
    Live,
}

/// The conditions, beside the history, that decide the expected records.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The server's age. For a server that has both kinds of documents and is read in the new ones: [`Generation::New`].
    pub generation: Generation,
    /// The way in which it was read.
    pub reading: Reading,
    /// True if the reader asked the JSON API for revisions.
    pub enriched: bool,
    /// The server's name in reference ids.
    pub server_id: String,
    /// The address of its pages, with `/go` at the end.
    pub pages: String,
}

impl Wanted {
    /// True if job documents have times.
    pub(super) fn has_times(&self) -> bool {
        self.generation == Generation::Old
    }

    /// True if the revisions of every run can be known.
    pub(super) fn has_revisions(&self) -> bool {
        self.generation != Generation::New || self.enriched
    }
}

/// The record that DX must hold of one run. A field with several values is right if it has any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The run's name.
    pub reference_id: String,
    /// True if no document that a reader must read mentions it yet.
    pub may_be_absent: bool,
    /// The pipeline.
    pub pipeline_name: String,
    /// Its start, with all right values.
    pub started_at: Vec<String>,
    /// Its status and its finish.
    pub outcomes: Vec<(&'static str, Option<String>)>,
    /// Its repository.
    pub repository: Option<&'static str>,
    /// Its commit.
    pub commit_sha: Vec<Option<String>>,
    /// Its branch.
    pub head_branch: Option<&'static str>,
    /// Its pull request.
    pub pr_number: Option<i64>,
    /// The person who started it: e-mail address and GitHub user.
    pub people: Vec<(Option<&'static str>, Option<&'static str>)>,
    /// Its page.
    pub source_url: String,
    /// The stages whose jobs DX must hold.
    pub stages: Vec<ExpectedStage>,
}

impl Expected {
    /// The records that DX must hold of a server after the first `events` events.
    #[must_use]
    pub fn of(history: &History, events: u64, wanted: &Wanted) -> Vec<Self> {
        let runs = history
            .pipelines
            .iter()
            .flat_map(|pipeline| pipeline.runs.iter().map(move |run| (pipeline, run)));
        runs.flat_map(|(pipeline, run)| of_run(pipeline, run, events, wanted))
            .collect()
    }
}

fn of_run(pipeline: &PipelineHistory, run: &PipelineRun, events: u64, wanted: &Wanted) -> Vec<Expected> {
    let is_listed = run.known(events).iter().any(|stage| stage.completed(events).is_some());
    let mut expected = Vec::new();
    for attempt in attempts(run, events) {
        let Some(first) = attempt.stages.first() else { continue };
        let has_ended = first.completed(events).is_some();
        if attempt.number > 1 && !has_ended && !wanted.has_times() {
            // No document has its start, and an approximate one would have to be taken back.
            continue;
        }
        let suffix = if attempt.number > 1 {
            format!("/attempt-{}", attempt.number)
        } else {
            String::new()
        };
        let name = pipeline.name.as_str();
        let counter = run.counter;
        let material = pipeline.materials.iter().find(|material| material.repository.is_some());
        let changes = people::changes(pipeline, run, events, wanted);
        expected.push(Expected {
            reference_id: format!("gocd/{}/{name}/{counter}{suffix}", wanted.server_id),
            may_be_absent: !is_listed || (attempt.number > 1 && !has_ended),
            pipeline_name: name.to_owned(),
            started_at: times::started(run, &attempt, events, wanted),
            outcomes: outcomes(&attempt, events, wanted.reading),
            repository: material.and_then(|material| material.repository),
            commit_sha: match material {
                Some(_) => changes
                    .iter()
                    .map(|change| Some(change.as_ref()?.revision.clone()))
                    .collect(),
                None => vec![None],
            },
            head_branch: material.and_then(|material| material.head_branch),
            pr_number: material.and_then(|material| material.pr_number),
            people: people::people(&first.approved_by, &changes),
            source_url: format!("{}/pipelines/value_stream_map/{name}/{counter}", wanted.pages),
            stages: jobs::stages(run, &attempt, events, wanted),
        });
    }
    expected
}

/// The outcomes of an attempt, by the documents that a reader may have seen.
fn outcomes(attempt: &Attempt<'_>, events: u64, reading: Reading) -> Vec<(&'static str, Option<String>)> {
    let at = |events| outcome(attempt, events);
    let last = at(events);
    if last.0 != "running" || reading == Reading::BackFill {
        return vec![last];
    }
    // A reader that came between two stages saw an end, and DX does not forget it.
    let ends = attempt.stages.iter().filter_map(|stage| stage.completed(events));
    let between = ends.map(|end| at(end.event)).filter(|outcome| outcome.0 != "running");
    std::iter::once(last.clone()).chain(between).collect()
}

fn outcome(attempt: &Attempt<'_>, events: u64) -> (&'static str, Option<String>) {
    let known: Vec<_> = attempt
        .stages
        .iter()
        .filter(|stage| stage.scheduled.happened(events))
        .collect();
    let mut worst = "success";
    for stage in &known {
        if stage.completed(events).is_none() {
            return ("running", None);
        }
        worst = match (worst, stage.result(events)) {
            ("failure", _) | (_, StageResult::Failed) => "failure",
            ("cancelled", _) | (_, StageResult::Cancelled) => "cancelled",
            _ => "success",
        };
    }
    // A stage that waited for a person comes after the end, except where the attempt began with it.
    let late = known
        .iter()
        .skip(1)
        .position(|stage| people::is_person(&stage.approved_by));
    let kept = late.map_or(known.len(), |place| place + 1);
    let end = known
        .iter()
        .take(kept)
        .filter_map(|stage| stage.completed(events))
        .max();
    (worst, end.map(|end| times::text(end.time)))
}
