//! A pipeline's run.

use super::answer;
use super::instance::{APPROVED_BY, Instance};
use super::material::materials;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::store::RunKey;
use axum::response::Response;
use pipefold_gocd::documents::{Pipeline, Urn};
use pipefold_gocd::write;

pub(super) async fn document(visit: &Visit<'_>, key: RunKey) -> Result<Response, Refusal> {
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
