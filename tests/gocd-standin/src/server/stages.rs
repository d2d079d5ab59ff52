//! Documents of stages' runs.

use pipefold_gocd::documents::{Stage, StagePipeline, StageResult, StageState, Urn};
use pipefold_gocd::{Dialect, write};

use super::routes::Asked;
use super::runs::zoned;
use crate::history::{PipelineHistory, PipelineRun, StageRun};

pub(super) fn document(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    run: &PipelineRun,
    stage: &StageRun,
    dialect: Dialect,
) -> String {
    let events = asked.server.events;
    let links = asked.server.links(&asked.base, dialect);
    let locator = stage.locator(&run.locator(pipeline));
    let result = stage.result(events);
    let state = match stage.completed(events) {
        Some(_) => StageState::Completed,
        None if result == StageResult::Failed => StageState::Failing,
        None => StageState::Building,
    };
    let document = Stage {
        name: stage.name.clone(),
        counter: stage.counter,
        self_link: Some(links.stage(&locator, stage.id)),
        urn: Some(Urn::stage(&locator)),
        pipeline: StagePipeline {
            name: pipeline.name.clone(),
            counter: run.counter,
            label: Some(format!("1.0-{}", run.counter)),
            href: Some(links.pipeline(&locator.pipeline, run.id)),
        },
        updated: Some(zoned(pipeline, stage.updated(events))),
        result,
        state,
        approved_by: Some(stage.approved_by.clone()),
        jobs: stage
            .jobs
            .iter()
            .map(|job| links.job(&job.locator(&locator), job.id))
            .collect(),
    };
    write::stage(&document, dialect)
}
