//! Which address leads where.

use super::answer::{Refusal, not_allowed};
use super::visit::{Feeds, Visit};
use super::{answer, documents, job, lists, visit};
use crate::access::Access;
use crate::store::RunKey;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any;
use pipefold_gocd::{Dialect, Resource};
use std::sync::Arc;

/// GoCD's addresses, for `GET` and `HEAD`.
///
/// The server puts the [`Access`] of the caller into the extensions of each request; without one there is nothing.
pub fn router(feeds: Arc<Feeds>) -> Router {
    // The path is taken apart as it came: decoded, a `/` in a name would look like one between two.
    Router::new().route("/go/{*rest}", any(serve)).with_state(feeds)
}

async fn serve(State(feeds): State<Arc<Feeds>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let dialect = dialect(request.uri.path());
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return not_allowed(dialect);
    }
    match find(&feeds, dialect, &request).await {
        Ok(found) => found,
        Err(refusal) => refusal.answer(&feeds.app, dialect),
    }
}

/// A refusal by the server, in the words of GoCD's.
pub(crate) fn restated(path: &str, refusal: Response) -> Response {
    answer::restated(dialect(path), refusal)
}

/// In which dialect an address is answered, also if there is nothing under it.
fn dialect(path: &str) -> Dialect {
    if path.starts_with("/go/api/feed/") {
        Dialect::New
    } else {
        Dialect::Old
    }
}

async fn find(feeds: &Feeds, dialect: Dialect, request: &Parts) -> Result<Response, Refusal> {
    let access = request.extensions.get::<Access>().ok_or(Refusal::NoSuch)?;
    let server = feeds.server().ok_or(Refusal::NotYet)?;
    let (uri, headers) = (&request.uri, &request.headers);
    if uri.path() == visit::ABOUT {
        return Ok(visit::about());
    }
    let visit = Visit {
        app: &feeds.app,
        access,
        server,
        dialect,
        headers,
    };
    // Without the query, in which only the feed looks, each dialect in its own way.
    match Resource::parse(uri.path()).ok_or(Refusal::NoSuch)? {
        Resource::Pipelines(_) => lists::pipelines(&visit).await,
        Resource::StageFeed { pipeline, .. } => lists::stages(&visit, &pipeline, uri.query().unwrap_or_default()).await,
        // As in GoCD the name does not matter, and clients know: some put another word there.
        Resource::PipelineById { id, .. } => documents::pipeline(&visit, RunKey::Id(id)).await,
        Resource::Pipeline(run) => documents::pipeline(&visit, Visit::key(&run)).await,
        Resource::StageById(id) => documents::stage(&visit, RunKey::Stage(id)).await,
        // Where GoCD's servers redirect by its name to the one by its id: who asks by curl sees the document.
        Resource::Stage(of) | Resource::StageByName(of) => documents::stage(&visit, visit.key_of_stage(&of)?).await,
        Resource::JobById(id) => job::by_id(&visit, id).await,
        Resource::Job(of) => job::by_name(&visit, &of).await,
        Resource::StagePage(of) | Resource::PipelinePage(of) => {
            documents::to_run(&visit, uri.path(), visit.key_of_stage(&of)?).await
        }
        Resource::ValueStreamMap(run) => documents::to_run(&visit, uri.path(), Visit::key(&run)).await,
    }
}
