//! The documents of a pipeline and of a stage, and the pages that lead to those for people.

use super::answer;
use super::answer::{Refusal, elsewhere};
use super::instance::{APPROVED_BY, Instance};
use super::job::job_name;
use super::material::materials;
use super::visit::Visit;
use crate::page::run_page;
use crate::store::RunKey;
use axum::response::Response;
use pipefold_gocd::documents::{JobLocator, Pipeline, Stage, Urn};
use pipefold_gocd::write;

pub async fn pipeline(visit: &Visit<'_>, key: RunKey) -> Result<Response, Refusal> {
    let run = visit.run(key).await?.summary;
    let instance = Instance::of(&run).ok_or(Refusal::NoSuch)?;
    let links = visit.links();
    let locator = &instance.stage.pipeline;
    let pipeline = Pipeline {
        name: locator.name.clone(),
        counter: locator.counter,
        label: Some(instance.label()),
        self_link: Some(links.pipeline(locator, run.id)),
        urn: Some(Urn::pipeline(locator)),
        // No reader follows these, and GoCD's own lead astray in the new dialect.
        inserted_before: None,
        inserted_after: None,
        scheduled: Some(instance.scheduled()),
        materials: materials(&instance, &links),
        stages: vec![links.stage(&instance.stage, run.stage_id)],
        approved_by: Some(APPROVED_BY.into()),
    };
    let body = write::pipeline(&pipeline, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}

pub async fn stage(visit: &Visit<'_>, key: RunKey) -> Result<Response, Refusal> {
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

/// Redirects to the collector's own page of a run.
pub async fn to_run(visit: &Visit<'_>, path: &str, key: RunKey) -> Result<Response, Refusal> {
    let run = visit.run(key).await?.summary;
    let page = run_page(&run.record.reference_id);
    Ok(elsewhere(&relative(path, &page)))
}

/// An address of this server as seen from another (RFC 3986, section 4.2): right for who calls the listener and for who comes through a
/// proxy, which may serve it below a path. Host and scheme are left out: clients stay on the one they called, and go on sending it their
/// password.
fn relative(from: &str, to: &str) -> String {
    let depth = from.matches('/').count().saturating_sub(1);
    format!("{}{}", "../".repeat(depth), to.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_is_as_long_as_the_way_down() {
        for (from, to, expected) in [
            ("/go/pipelines/web/1/run/1", "/runs/a%2Fb", "../../../../../runs/a%2Fb"),
            ("/go/x", "/runs/a", "../runs/a"),
            ("/x", "/runs/a", "runs/a"),
        ] {
            assert_eq!(relative(from, to), expected);
        }
    }
}
