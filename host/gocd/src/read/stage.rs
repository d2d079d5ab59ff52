//! `<stage>`.

use crate::documents::{Relation, Stage, StagePipeline, StageResult, StageState, Urn};

use super::element::Element;
use super::error::{ReadError, ReadFault};
use super::feed::link;
use super::scanner::Scanner;
use super::time::timestamp;

pub(super) fn stage(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Stage, ReadError> {
    let attributes = at.attributes(root)?;
    let name = attributes.needed_name("name", at, root)?;
    let counter = attributes.needed_counter("counter", at, root)?;
    let (mut self_link, mut urn, mut pipeline, mut updated) = (None, None, None, None);
    let (mut result, mut state, mut approved_by, mut jobs) = (None, None, None, Vec::new());
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                let link = link(at, &child)?.filter(|link| link.relation == Relation::SelfLink);
                self_link = link.map(|link| link.href).or(self_link);
            }
            "id" => urn = at.text(&child)?.as_deref().map(Urn::new),
            "pipeline" => pipeline = Some(stage_pipeline(at, &child)?),
            "updated" => updated = at.text(&child)?.as_deref().and_then(timestamp),
            "result" => result = at.text(&child)?.as_deref().map(StageResult::parse),
            "state" => state = at.text(&child)?.as_deref().map(StageState::parse),
            "approvedBy" => approved_by = at.line(&child)?,
            "jobs" => {
                while let Some(job) = at.child(&child)? {
                    if job.name() == "job" {
                        jobs.push(at.attributes(&job)?.needed_href("href", at, &job)?);
                    }
                    at.skip(&job)?;
                }
            }
            _ => at.skip(&child)?,
        }
    }
    Ok(Stage {
        name,
        counter,
        self_link,
        urn,
        pipeline: pipeline.ok_or_else(|| at.error_in(root, ReadFault::Missing("<pipeline>")))?,
        updated,
        result: result.unwrap_or_default(),
        state: state.unwrap_or_default(),
        approved_by,
        jobs,
    })
}

/// The `<pipeline>` within a stage or a job.
pub(super) fn stage_pipeline(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<StagePipeline, ReadError> {
    let attributes = at.attributes(element)?;
    let pipeline = StagePipeline {
        name: attributes.needed_name("name", at, element)?,
        counter: attributes.needed_counter("counter", at, element)?,
        label: attributes.text("label"),
        href: attributes.href("href"),
    };
    at.skip(element)?;
    Ok(pipeline)
}
