//! `<pipelines>`.

use crate::Resource;
use crate::documents::{ListedPipeline, Pipelines};

use super::element::Element;
use super::error::ReadError;
use super::scanner::Scanner;

pub(super) fn pipelines(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Pipelines, ReadError> {
    let mut list = Pipelines::default();
    while let Some(child) = at.child(root)? {
        let attributes = at.attributes(&child)?;
        match child.name() {
            "link" if attributes.get("rel") == Some("self") => list.self_link = attributes.href("href"),
            "pipeline" => {
                let feed = attributes.needed_href("href", at, &child)?;
                // The address is the only place where the name stands.
                let Some(Resource::StageFeed { pipeline: name, .. }) = feed.resource() else {
                    return Err(at.unfit(&child, "href", "the address of a pipeline's feed", feed.as_str()));
                };
                list.pipelines.push(ListedPipeline { name, feed });
            }
            _ => {}
        }
        at.skip(&child)?;
    }
    Ok(list)
}
