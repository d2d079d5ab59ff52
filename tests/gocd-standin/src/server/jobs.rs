//! Documents of jobs.

use chrono::SecondsFormat;
use pipefold_gocd::documents::{Job, JobStage, JobState, Property, StagePipeline, StageResult, Urn};
use pipefold_gocd::{Dialect, write};

use super::Generation;
use super::routes::Asked;
use super::runs::zoned;
use crate::history::{JobRun, PipelineHistory, PipelineRun, StageRun};

/// The old dialect's.
pub(super) fn by_id(asked: &Asked<'_>, id: u64) -> Option<String> {
    asked.runs().find_map(|(pipeline, run)| {
        let known = run.known(asked.server.events);
        let (stage, job) = known
            .into_iter()
            .find_map(|stage| Some((stage, stage.jobs.iter().find(|job| job.id == id)?)))?;
        Some(document(asked, pipeline, run, stage, job, Dialect::Old))
    })
}

/// The new dialect's. For a job that was taken over from an earlier run of the stage that one's document comes.
pub(super) fn by_name(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    run: &PipelineRun,
    stage: &StageRun,
    name: &str,
) -> Option<String> {
    let named = |stage: &StageRun| stage.jobs.iter().position(|job| job.name.as_str() == name);
    let place = named(stage)?;
    let runs = run.known(asked.server.events);
    let mut earlier = runs
        .into_iter()
        .filter(|other| other.name == stage.name && other.counter <= stage.counter)
        .rev();
    let original = earlier.find(|other| !other.jobs[place].is_copied).unwrap_or(stage);
    Some(document(
        asked,
        pipeline,
        run,
        original,
        &original.jobs[place],
        Dialect::New,
    ))
}

fn document(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    run: &PipelineRun,
    stage: &StageRun,
    job: &JobRun,
    dialect: Dialect,
) -> String {
    let links = asked.server.links(&asked.base, dialect);
    let of_stage = stage.locator(&run.locator(pipeline));
    let locator = job.locator(&of_stage);
    let end = job.ended(asked.server.events);
    let has_times = asked.server.generation == Generation::Old && !job.is_copied;
    let document = Job {
        name: job.name.clone(),
        self_link: Some(links.job(&locator, job.id)),
        urn: Some(Urn::job(&locator)),
        pipeline: StagePipeline {
            name: pipeline.name.clone(),
            counter: run.counter,
            label: Some(format!("1.0-{}", run.counter)),
            href: None,
        },
        stage: JobStage {
            name: stage.name.clone(),
            counter: stage.counter,
            href: Some(links.stage(&of_stage, stage.id)),
        },
        result: end.map_or(StageResult::Unknown, |_| job.result),
        state: end.map_or(JobState::Scheduled, |_| JobState::Completed),
        properties: if has_times {
            properties(asked, pipeline, run, stage, job)
        } else {
            Vec::new()
        },
        agent: (end.is_some() && job.was_built).then(|| "8511cc52-9d29-4dba-9f9f-4ae6de1019f2".to_owned()),
        artifacts: Some(links.artifacts(&locator)),
    };
    write::job(&document, dialect)
}

/// The properties that old servers add once the job has ended.
fn properties(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    run: &PipelineRun,
    stage: &StageRun,
    job: &JobRun,
) -> Vec<Property> {
    let Some(end) = job.ended(asked.server.events) else {
        return Vec::new();
    };
    let time = |time| zoned(pipeline, time).to_rfc3339_opts(SecondsFormat::Secs, true);
    let begun = time(stage.scheduled.time);
    let ended = time(end.time);
    let building = job.was_built.then(|| ("cruise_timestamp_04_building", begun.clone()));
    let all = [
        ("cruise_job_id", job.id.to_string()),
        ("cruise_job_result", job.result.as_str().to_owned()),
        ("cruise_pipeline_counter", run.counter.to_string()),
        ("cruise_stage_counter", stage.counter.to_string()),
        ("cruise_timestamp_01_scheduled", begun.clone()),
    ];
    let property = |(name, value): (&str, String)| Property {
        name: name.to_owned(),
        value,
    };
    all.into_iter()
        .chain(building)
        .chain([("cruise_timestamp_06_completed", ended)])
        .map(property)
        .collect()
}
