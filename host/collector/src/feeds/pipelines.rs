//! The list of pipelines.

use super::answer;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::store::PipelineQuery;
use axum::response::Response;
use pipefold_gocd::documents::{ListedPipeline, Name, Pipelines};
use pipefold_gocd::write;

/// How many are asked for at a time: a millisecond's work, so that others get their turn.
const PAGE: u16 = 1000;

/// All that may be seen, by name.
pub(super) async fn document(visit: &Visit<'_>) -> Result<Response, Refusal> {
    let links = visit.links();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let query = PipelineQuery {
            access: visit.access.clone(),
            after,
            limit: PAGE,
        };
        let page = visit.app.store.pipelines(query).await?;
        let is_last = page.len() < usize::from(PAGE);
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
