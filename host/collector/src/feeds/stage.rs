//! The one stage of a run.

use super::answer;
use super::instance::{APPROVED_BY, Instance};
use super::job_name::job_name;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::store::RunKey;
use axum::response::Response;
use pipefold_gocd::documents::{JobLocator, Stage, Urn};
use pipefold_gocd::write;

pub(super) async fn document(visit: &Visit<'_>, key: RunKey) -> Result<Response, Refusal> {
    let detail = visit.run(key).await?;
    let instance = Instance::of(&detail.summary).ok_or(Refusal::NoSuch)?;
    let links = visit.links();
    let jobs = detail.jobs.iter().filter_map(|job| {
        let locator = JobLocator {
            stage: instance.stage.clone(),
            name: job_name(job.step.as_deref())?,
        };
        Some(links.job(&locator, job.id))
    });
    let stage = Stage {
        name: instance.stage.name.clone(),
        counter: instance.stage.counter,
        self_link: Some(links.stage(&instance.stage, detail.summary.stage_id)),
        urn: Some(Urn::stage(&instance.stage)),
        pipeline: instance.pipeline(&links),
        updated: Some(instance.updated()),
        result: instance.result(),
        state: instance.state(),
        approved_by: Some(APPROVED_BY.into()),
        jobs: visit.within_bounds(jobs.collect(), |href| href.as_str()),
    };
    let body = write::stage(&stage, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}
