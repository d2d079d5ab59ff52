//! The list of pipelines, and pages of feeds: `<pipelines>`, `<feed>` and its `<entry>`.

use super::element::{Element, unfit};
use super::error::{ReadError, ReadFault};
use super::scanner::Scanner;
use crate::Resource;
use crate::address::Href;
use crate::documents::{Author, Category, Link, ListedPipeline, Pipelines, Relation, StageEntry, StageFeed, timestamp};

pub(super) fn pipelines(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Pipelines, ReadError> {
    let mut list = Pipelines::default();
    let mut first_unfit = None;
    while let Some(child) = at.child(root)? {
        let attributes = at.attributes(&child)?;
        match child.name() {
            "link" if attributes.get("rel") == Some("self") => list.self_link = attributes.href("href"),
            "pipeline" => {
                let href = at.within(&child, attributes.needed("href"))?;
                // The address is the only place of the name. An invalid one affects no other pipeline.
                let feed = Href::new(href);
                match feed.as_ref().and_then(Href::resource).zip(feed) {
                    Some((Resource::StageFeed { pipeline: name, .. }, feed)) => {
                        list.pipelines.push(ListedPipeline { name, feed });
                    }
                    _ => {
                        list.left_out += 1;
                        first_unfit.get_or_insert_with(|| {
                            at.error_in(&child, unfit("href", "the address of a pipeline's feed", href))
                        });
                    }
                }
            }
            _ => {}
        }
        at.skip(&child)?;
    }
    match first_unfit {
        Some(error) if list.pipelines.is_empty() => Err(error),
        _ => Ok(list),
    }
}

pub(super) fn feed(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<StageFeed, ReadError> {
    let mut feed = StageFeed::default();
    while let Some(child) = at.child(root)? {
        match child.name() {
            "title" => feed.title = at.line(&child)?,
            "id" => feed.id = at.text(&child)?.as_deref().and_then(Href::new),
            "author" => feed.author = author(at, &child)?.map(|author| author.name),
            "updated" => feed.updated = at.text(&child)?.as_deref().and_then(timestamp),
            "link" => {
                let link = link(at, &child)?;
                if let Some(Link { relation, href, .. }) = link {
                    match relation {
                        Relation::SelfLink => feed.self_link = Some(href),
                        Relation::Next => feed.next = Some(href),
                        Relation::Previous => feed.previous = Some(href),
                        _ => {}
                    }
                }
            }
            "entry" => {
                if is_too_old(&feed) {
                    return Err(at.error_in(&child, ReadFault::TooOld));
                }
                feed.entries.push(entry(at, &child)?);
            }
            _ => at.skip(&child)?,
        }
    }
    if is_too_old(&feed) {
        Err(at.error(ReadFault::TooOld))
    } else {
        Ok(feed)
    }
}

/// Cruise 1.x and Go 2.0 have one feed for all pipelines, under an address of its own, and pages back by `after`.
fn is_too_old(feed: &StageFeed) -> bool {
    let path = |href: &Option<Href>, end: &str| href.as_ref().is_some_and(|href| href.as_str().ends_with(end));
    let end = "/api/feeds/stages.xml";
    path(&feed.id, end)
        || path(&feed.self_link, end)
        || feed
            .previous
            .as_ref()
            .is_some_and(|href| href.as_str().contains("?after="))
}

pub fn entry(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<StageEntry, ReadError> {
    let (mut id, mut title, mut updated, mut approver, mut cancelled_by) = (None, None, None, None, None);
    let (mut authors, mut links, mut categories) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(child) = at.child(root)? {
        match child.name() {
            "id" => id = at.text(&child)?,
            "title" => title = at.line(&child)?,
            "updated" => updated = at.text(&child)?.as_deref().and_then(timestamp),
            "author" if child.is_go() => approver = author(at, &child)?.map(|author| author.name),
            "author" => authors.extend(author(at, &child)?),
            "cancelledBy" => cancelled_by = author(at, &child)?.map(|author| author.name),
            "link" => links.extend(link(at, &child)?),
            "category" => categories.extend(category(at, &child)?),
            _ => at.skip(&child)?,
        }
    }
    let id = id.ok_or_else(|| at.error_in(root, ReadFault::Missing("id")))?;
    // The bare number of a job's transition: only Cruise 1.x and Go 2.0 have such ids.
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(at.error_in(root, ReadFault::TooOld));
    }
    let unfit = || {
        let expected = "the address of a stage's run, …/go/pipelines/NAME/COUNTER/STAGE/COUNTER";
        at.error_in(root, unfit("id", expected, &id))
    };
    let id = Href::new(id.strip_suffix('>').unwrap_or(&id)).ok_or_else(unfit)?;
    let Some(Resource::StagePage(stage)) = id.resource() else {
        return Err(unfit());
    };
    Ok(StageEntry {
        stage,
        id,
        title,
        updated,
        approver,
        authors,
        cancelled_by,
        links,
        categories,
    })
}

/// Reads a person; `None` without a name and an address. An address without a name is used for both.
fn author(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Option<Author>, ReadError> {
    let (mut name, mut email) = (None, None);
    while let Some(child) = at.child(root)? {
        match child.name() {
            "name" => name = at.line(&child)?,
            "email" => email = at.line(&child)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(name.or_else(|| email.clone()).map(|name| Author { name, email }))
}

/// Reads a link; `None` without an address. The caller notices if a needed link is missing.
pub fn link(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<Option<Link>, ReadError> {
    let attributes = at.attributes(element)?;
    let link = attributes.href("href").map(|href| Link {
        // Atom (RFC 4287, section 4.2.7.2): a link without a relation is an alternate.
        relation: attributes.get("rel").map_or(Relation::Alternate, Relation::parse),
        href,
        media_type: attributes.word("type"),
        title: attributes.text("title"),
    });
    at.skip(element)?;
    Ok(link)
}

fn category(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<Option<Category>, ReadError> {
    let attributes = at.attributes(element)?;
    let category = attributes.word("term").map(|term| Category {
        term,
        label: attributes.word("label"),
        scheme: attributes.word("scheme"),
    });
    at.skip(element)?;
    Ok(category)
}
