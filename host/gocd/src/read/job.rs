//! `<job>`.

use crate::documents::{ArtifactRoot, Job, JobStage, JobState, Property, Relation, StageResult, Urn};

use super::element::Element;
use super::error::{ReadError, ReadFault};
use super::feed::link;
use super::scanner::Scanner;
use super::stage::stage_pipeline;

pub(super) fn job(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Job, ReadError> {
    let name = at.attributes(root)?.needed_name("name", at, root)?;
    let (mut self_link, mut urn, mut pipeline, mut stage) = (None, None, None, None);
    let (mut result, mut state, mut agent, mut artifacts) = (None, None, None, None);
    let mut properties = Vec::new();
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                let link = link(at, &child)?.filter(|link| link.relation == Relation::SelfLink);
                self_link = link.map(|link| link.href).or(self_link);
            }
            "id" => urn = at.text(&child)?.as_deref().map(Urn::new),
            "pipeline" => pipeline = Some(stage_pipeline(at, &child)?),
            "stage" => stage = Some(job_stage(at, &child)?),
            "result" => result = at.text(&child)?.as_deref().map(StageResult::parse),
            "state" => state = at.text(&child)?.as_deref().map(JobState::parse),
            "properties" => {
                while let Some(element) = at.child(&child)? {
                    match element.name() {
                        "property" => properties.extend(property(at, &element)?),
                        _ => at.skip(&element)?,
                    }
                }
            }
            "agent" => {
                agent = at.attributes(&child)?.text("uuid");
                at.skip(&child)?;
            }
            "artifacts" => {
                let attributes = at.attributes(&child)?;
                let path = attributes.text("pathFromArtifactRoot");
                artifacts = attributes
                    .href("baseUri")
                    .map(|base_uri| ArtifactRoot { base_uri, path });
                at.skip(&child)?;
            }
            _ => at.skip(&child)?,
        }
    }
    Ok(Job {
        name,
        self_link,
        urn,
        pipeline: pipeline.ok_or_else(|| at.error_in(root, ReadFault::Missing("<pipeline>")))?,
        stage: stage.ok_or_else(|| at.error_in(root, ReadFault::Missing("<stage>")))?,
        result: result.unwrap_or_default(),
        state: state.unwrap_or_default(),
        properties,
        agent,
        artifacts,
    })
}

fn job_stage(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<JobStage, ReadError> {
    let attributes = at.attributes(element)?;
    let stage = JobStage {
        name: attributes.needed_name("name", at, element)?,
        counter: attributes.needed_counter("counter", at, element)?,
        href: attributes.href("href"),
    };
    at.skip(element)?;
    Ok(stage)
}

/// A property; none without a name or a value. The documentation's page has a `>` behind some numbers, which no server sends.
fn property(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<Option<Property>, ReadError> {
    let name = at.attributes(element)?.text("name");
    let value = at.long_text(element)?;
    let (Some(name), Some(value)) = (name, value) else {
        return Ok(None);
    };
    let is_known = name.starts_with("cruise_") || name.starts_with("tests_");
    let number = value
        .strip_suffix('>')
        .filter(|text| is_known && text.parse::<f64>().is_ok());
    let value = number.map_or_else(|| value.clone(), str::to_owned);
    Ok(Some(Property { name, value }))
}
