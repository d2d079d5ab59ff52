//! The stored runs as a GoCD server's Feeds API has them: for programs that know GoCD, and not DX.
//!
//! Addresses are those of GoCD, below `/go`: with ids and in the old dialect as up to GoCD 20.3, with counters and in the new dialect below
//! `/go/api/feed` as since 20.1 (see [`pipefold_gocd::Dialect`]). A DX run is a run of a pipeline with one stage, named `run`, in which the
//! run itself is the first job, and each of its steps one more.
//!
//! - A run is in its pipeline's feed once its status is success, failure or cancelled. While it is running or unknown, only its documents
//!   have it.
//! - Times in documents are to the second, as GoCD's; jobs have them exactly, as properties (the old dialect).
//! - A run that the token may not see counts as unknown: every address answers the same 404. GoCD's servers answered 401 or 403 for a
//!   pipeline, so that its name could be guessed by trying, and showed stages and jobs to anyone by their ids.
//! - Links have the configured address of the server, or the one it listens on; never the host of a request.
//!
//! Files: `visit`: a request, and the server's address; `instance`: a run in GoCD's terms; `lists`, `documents`: the documents; `answer`:
//! their form as HTTP answers.

mod answer;
mod documents;
mod instance;
mod lists;
mod visit;

pub use visit::{Feeds, PublicUrl, PublicUrlError};

use self::answer::{DocumentRefusal, not_allowed};
use self::visit::Visit;
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

/// The routes of GoCD's addresses, for `GET` and `HEAD`.
///
/// The server puts the [`Access`] of the caller into the extensions of each request; without one every address answers 404.
pub fn router(feeds: Arc<Feeds>) -> Router {
    // The path is parsed undecoded: a decoded `/` in a name would look like a separator.
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
        Err(refusal) => refusal.answer(&feeds.journal, dialect),
    }
}

/// Returns a refusal by the server in the form of GoCD's.
pub(crate) fn restated(path: &str, refusal: Response) -> Response {
    answer::restated(dialect(path), refusal)
}

/// Returns the dialect of the answer at an address, also for an unknown one.
fn dialect(path: &str) -> Dialect {
    if path.starts_with("/go/api/feed/") {
        Dialect::New
    } else {
        Dialect::Old
    }
}

async fn find(feeds: &Feeds, dialect: Dialect, request: &Parts) -> Result<Response, DocumentRefusal> {
    let access = request.extensions.get::<Access>().ok_or(DocumentRefusal::NoSuch)?;
    let server = feeds.server().ok_or(DocumentRefusal::NotYet)?;
    let (uri, headers) = (&request.uri, &request.headers);
    if uri.path() == visit::ABOUT {
        return Ok(visit::about());
    }
    let visit = Visit {
        feeds,
        access,
        server,
        dialect,
        headers,
    };
    // The query is used by the feed alone, in each dialect in its own way.
    match Resource::parse(uri.path()).ok_or(DocumentRefusal::NoSuch)? {
        Resource::Pipelines(_) => lists::pipelines(&visit).await,
        Resource::StageFeed { pipeline, .. } => lists::stages(&visit, &pipeline, uri.query().unwrap_or_default()).await,
        // As in GoCD the name is ignored, and some clients have another text there.
        Resource::PipelineById { id, .. } => documents::pipeline(&visit, RunKey::Id(id)).await,
        Resource::Pipeline(run) => documents::pipeline(&visit, Visit::key(&run)).await,
        Resource::StageById(id) => documents::stage(&visit, RunKey::Stage(id)).await,
        // GoCD's servers redirect by its name to the one by its id; here curl gets the document at once.
        Resource::Stage(of) | Resource::StageByName(of) => documents::stage(&visit, visit.key_of_stage(&of)?).await,
        Resource::JobById(id) => documents::job_by_id(&visit, id).await,
        Resource::Job(of) => documents::job_by_name(&visit, &of).await,
        Resource::StagePage(of) | Resource::PipelinePage(of) => {
            documents::to_run(&visit, uri.path(), visit.key_of_stage(&of)?).await
        }
        Resource::ValueStreamMap(run) => documents::to_run(&visit, uri.path(), Visit::key(&run)).await,
    }
}
