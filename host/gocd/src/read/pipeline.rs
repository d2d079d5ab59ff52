//! `<pipeline>`.

use crate::documents::{Pipeline, Relation, Urn};

use super::element::Element;
use super::error::ReadError;
use super::feed::link;
use super::material::materials;
use super::scanner::Scanner;
use super::time::timestamp;

pub(super) fn pipeline(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Pipeline, ReadError> {
    let attributes = at.attributes(root)?;
    let mut pipeline = Pipeline {
        name: attributes.needed_name("name", at, root)?,
        counter: attributes.needed_counter("counter", at, root)?,
        label: attributes.text("label"),
        self_link: None,
        urn: None,
        inserted_before: None,
        inserted_after: None,
        scheduled: None,
        materials: Vec::new(),
        stages: Vec::new(),
        approved_by: None,
    };
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                if let Some(link) = link(at, &child)? {
                    let place = match &link.relation {
                        Relation::SelfLink => &mut pipeline.self_link,
                        Relation::Other(name) if name == "insertedBefore" => &mut pipeline.inserted_before,
                        Relation::Other(name) if name == "insertedAfter" => &mut pipeline.inserted_after,
                        _ => continue,
                    };
                    *place = Some(link.href);
                }
            }
            "id" => pipeline.urn = at.text(&child)?.as_deref().map(Urn::new),
            "scheduleTime" => pipeline.scheduled = at.text(&child)?.as_deref().and_then(timestamp),
            "materials" => pipeline.materials = materials(at, &child)?,
            "stages" => {
                while let Some(stage) = at.child(&child)? {
                    if stage.name() == "stage" {
                        pipeline
                            .stages
                            .push(at.attributes(&stage)?.needed_href("href", at, &stage)?);
                    }
                    at.skip(&stage)?;
                }
            }
            "approvedBy" => pipeline.approved_by = at.line(&child)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(pipeline)
}
