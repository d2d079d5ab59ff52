//! `<pipelines>`.

use crate::documents::{ListedPipeline, Pipelines};
use crate::{Href, Resource};

use super::element::Element;
use super::error::ReadError;
use super::scanner::Scanner;

pub(super) fn pipelines(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Pipelines, ReadError> {
    let mut list = Pipelines::default();
    let mut unfit = None;
    while let Some(child) = at.child(root)? {
        let attributes = at.attributes(&child)?;
        match child.name() {
            "link" if attributes.get("rel") == Some("self") => list.self_link = attributes.href("href"),
            "pipeline" => {
                let href = attributes.needed("href", at, &child)?;
                // The address is the only place where the name stands. One that cannot be used costs no other pipeline.
                let feed = Href::new(href);
                match feed.as_ref().and_then(Href::resource).zip(feed) {
                    Some((Resource::StageFeed { pipeline: name, .. }, feed)) => {
                        list.pipelines.push(ListedPipeline { name, feed });
                    }
                    _ => {
                        list.left_out += 1;
                        unfit.get_or_insert_with(|| at.unfit(&child, "href", "the address of a pipeline's feed", href));
                    }
                }
            }
            _ => {}
        }
        at.skip(&child)?;
    }
    match unfit {
        Some(error) if list.pipelines.is_empty() => Err(error),
        _ => Ok(list),
    }
}
