//! Feeds of stages, page by page, and the list of pipelines.

use super::answer;
use super::answer::DocumentRefusal;
use super::instance::{Instance, author};
use super::visit::Visit;
use crate::store::{FeedOrder, FeedQuery, PipelineQuery, RunSummary};
use axum::response::Response;
use chrono::Utc;
use pipefold_gocd::documents::{Author, ListedPipeline, Name, Pipelines, StageEntry, StageFeed};
use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, write};

/// The entries of a page, as in GoCD.
const RUNS_PER_PAGE: u16 = 25;

/// Answers with a page. The old dialect's order is that of the last change, the new one's that of the pipeline's counters.
pub async fn stages(visit: &Visit<'_>, pipeline: &Name, query: &str) -> Result<Response, DocumentRefusal> {
    visit.pipeline(pipeline).await?;
    let order = match visit.dialect {
        Dialect::Old => FeedOrder::Completion,
        Dialect::New => FeedOrder::Counter,
    };
    let query = FeedQuery {
        pipeline: pipeline.as_str().to_owned(),
        order,
        before: before(visit.dialect, query).map_err(|_| DocumentRefusal::Cursor)?,
        limit: RUNS_PER_PAGE,
    };
    let runs = visit.feeds.store.completed(query).await?;
    let links = visit.links();
    let next = runs.last().and_then(|last| match order {
        FeedOrder::Completion => last.completion,
        FeedOrder::Counter => Some(last.counter),
    });
    let entries: Vec<StageEntry> = runs.iter().filter_map(|run| entry(run, &links)).collect();
    let first = entries.first().and_then(|entry| entry.updated);
    let feed = StageFeed {
        title: Some(pipeline.as_str().to_owned()),
        id: Some(links.feed(pipeline, None)),
        author: Some("Go".into()),
        updated: Some(first.unwrap_or_else(|| Utc::now().fixed_offset())),
        self_link: Some(links.feed(pipeline, None)),
        next: next.map(|next| links.feed(pipeline, Some(next))),
        previous: None,
        entries,
    };
    Ok(answer::feed(
        visit.dialect,
        visit.headers,
        write::feed(&feed, visit.dialect),
    ))
}

fn entry(run: &RunSummary, links: &Links) -> Option<StageEntry> {
    let instance = Instance::of(run)?;
    let (stage, result) = (&instance.stage, instance.result());
    let author = author(&run.record).map(|name| Author {
        name,
        email: run.record.email.clone(),
    });
    Some(StageEntry {
        stage: stage.clone(),
        id: links.entry_id(stage),
        title: Some(Links::entry_title(stage, result)),
        updated: Some(instance.updated()),
        approver: None,
        authors: author.into_iter().collect(),
        cancelled_by: None,
        links: links.entry_links(stage, run.stage_id, run.id),
        categories: Links::categories(result),
    })
}

/// The parameter's name.
const BEFORE: &str = "before";

/// The error of a query whose cursor is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotANumber;

/// Parses a query: the number below which the page starts, or `None` for the latest page.
///
/// A server of the old dialect takes the leading digits of a text, and 0 where there are none, so that an invalid one gives an empty page.
/// One of the new dialect takes numbers of 32 bits alone, and ignores an empty one.
///
/// # Errors
/// In the new dialect, a cursor that is not such a number.
fn before(dialect: Dialect, query: &str) -> Result<Option<u64>, NotANumber> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == BEFORE);
    match dialect {
        // Rails takes the last of several.
        Dialect::Old => Ok(values.last().map(|(_, value)| leading(&value))),
        Dialect::New => match values.next() {
            None => Ok(None),
            Some((_, value)) if value.trim().is_empty() => Ok(None),
            Some((_, value)) => match value.parse::<i32>() {
                Ok(number) => Ok(Some(u64::try_from(number).unwrap_or(0))),
                Err(_) => Err(NotANumber),
            },
        },
    }
}

/// Returns the leading digits, as a number.
fn leading(text: &str) -> u64 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text.get(..end) {
        None | Some("") => 0,
        // A number above all that will ever exist.
        Some(digits) => digits.parse().unwrap_or(u64::MAX),
    }
}

/// The pipelines read at a time: a millisecond's work, so that other queries get their turn.
const PIPELINES_AT_ONCE: u16 = 1000;

/// Answers with all pipelines that the token may see, by name.
pub async fn pipelines(visit: &Visit<'_>) -> Result<Response, DocumentRefusal> {
    let links = visit.links();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let query = PipelineQuery {
            access: visit.access.clone(),
            after,
            limit: PIPELINES_AT_ONCE,
        };
        let page = visit.feeds.store.pipelines(query).await?;
        let is_last = page.len() < usize::from(PIPELINES_AT_ONCE);
        after = page.last().map(|last| last.name.clone());
        // A name that XML cannot carry is left out.
        listed.extend(page.iter().filter_map(|pipeline| {
            let name = Name::new(&pipeline.name).ok()?;
            let feed = links.feed(&name, None);
            Some(ListedPipeline { name, feed })
        }));
        if is_last {
            break;
        }
    }
    let list = Pipelines {
        self_link: Some(links.pipelines()),
        pipelines: visit.within_bounds(listed, |pipeline| pipeline.feed.as_str()),
        left_out: 0,
    };
    let body = write::pipelines(&list, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_in_each_dialect() {
        for (query, c, d) in [
            ("", None, Ok(None)),
            ("after=7", None, Ok(None)),
            ("before=7", Some(7), Ok(Some(7))),
            ("x=1&before=%37", Some(7), Ok(Some(7))),
            ("before=7&before=9", Some(9), Ok(Some(7))),
            ("before=", Some(0), Ok(None)),
            ("before", Some(0), Ok(None)),
            ("before=0", Some(0), Ok(Some(0))),
            ("before=-5", Some(0), Ok(Some(0))),
            ("before=abc", Some(0), Err(NotANumber)),
            ("before=7abc", Some(7), Err(NotANumber)),
            ("before=2147483647", Some(2_147_483_647), Ok(Some(2_147_483_647))),
            ("before=2147483648", Some(2_147_483_648), Err(NotANumber)),
            ("before=99999999999999999999", Some(u64::MAX), Err(NotANumber)),
            ("before=%ff", Some(0), Err(NotANumber)),
            ("before=\u{663}", Some(0), Err(NotANumber)),
        ] {
            assert_eq!(before(Dialect::Old, query), Ok(c), "{query}");
            assert_eq!(before(Dialect::New, query), d, "{query}");
        }
    }
}
