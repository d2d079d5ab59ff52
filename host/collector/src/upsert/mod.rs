//! `POST /api/pipelineRuns.upsert`, as DX's page describes it, and `POST /api/pipelineJobs.upsert`: notifications and jobs are judged, stored,
//! and only then acknowledged.
//!
//! `body`: the bounds, the format and the arguments of the request.

mod body;

use self::body::{Bodies, Format, arguments, format, unknown};
use crate::request::{App, Caller, Gate, Intake, Journal, Schemes, json, refused, store_failed};
use crate::rules::Left;
use crate::store::StoreError;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::post;
use pipefold::dx::{
    ARGUMENT_NAMES, Arguments, ErrorCode, JOB_ARGUMENT_NAMES, JOB_METHOD_PATH, JobArguments, METHOD_PATH, SYNC_PATH,
};
use pipefold_sandbox::Notification;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// The state of upserts.
pub struct Upserts {
    intake: Arc<Intake>,
    gate: Arc<Gate>,
    journal: Arc<Journal>,
    bodies: Bodies,
}

/// The routes of upserts.
pub(crate) fn router(app: &App) -> Router {
    let state = Upserts {
        intake: Arc::clone(&app.intake),
        gate: Arc::clone(&app.gate),
        journal: Arc::clone(&app.journal),
        bodies: Bodies::new(&app.limits),
    };
    Router::new()
        .route(METHOD_PATH, post(upsert))
        .route(SYNC_PATH, post(upsert))
        .route(JOB_METHOD_PATH, post(upsert_job))
        .with_state(Arc::new(state))
}

/// Takes a notification of a run. The answer is DX's: `{"ok":true}` once it is on disk, else `ok` is false with a code and a message.
async fn upsert(State(state): State<Arc<Upserts>>, request: Request) -> Response {
    state.answer(request, Method::Run).await
}

/// Takes a job of a run, as [`upsert`] takes a run.
async fn upsert_job(State(state): State<Arc<Upserts>>, request: Request) -> Response {
    state.answer(request, Method::Job).await
}

/// A method of DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Run,
    Job,
}

/// A request as it was read.
struct Given<'r> {
    caller: &'r Caller,
    format: Format,
    body: Bytes,
    /// The time at which it was whole.
    read: Instant,
}

/// An address for the log.
struct LoggedAddress(Option<std::net::IpAddr>);

impl fmt::Display for LoggedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// A label and a name for the log, if there is one; the name stays within its quotes.
struct Named<'a>(&'static str, Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.map_or(Ok(()), |name| {
            let shown: String = name.chars().take(200).collect();
            write!(f, "{} {shown:?}", self.0)
        })
    }
}

impl Upserts {
    async fn answer(&self, request: Request, method: Method) -> Response {
        let (parts, body) = request.into_parts();
        let of = (&*self.gate, &*self.journal);
        let caller = match Caller::of(of, &parts.headers, &parts.extensions, Schemes::Bearer) {
            Ok(caller) => caller,
            Err(denied) => return denied.answer(Schemes::Bearer),
        };
        let mut pipeline = None;
        let taken = match self.read(&caller, &parts, body).await {
            Ok(given) => match method {
                Method::Run => self.take(&given, &mut pipeline).await,
                Method::Job => self.take_job(&given).await,
            },
            Err(answer) => Err(answer),
        };
        let answer = match taken {
            Ok(warnings) => return accepted(&warnings),
            Err(answer) => *answer,
        };
        tracing::info!(
            "refused a report from {}: {}{}{}",
            LoggedAddress(self.gate.address(&parts.headers, &parts.extensions)),
            answer.extensions().get::<ErrorCode>().map_or("?", |code| code.as_str()),
            Named(", token", caller.token.as_ref().map(|token| token.as_str())),
            // A policy may be there to hide names.
            Named(
                ", pipeline",
                pipeline.as_deref().filter(|_| !self.intake.has_policies())
            ),
        );
        answer
    }

    /// Reads a request of a caller that may report.
    async fn read<'r>(&self, caller: &'r Caller, parts: &Parts, body: Body) -> Result<Given<'r>, Box<Response>> {
        if !caller.access.writes() {
            self.journal.metrics.unauthorised.fetch_add(1, Relaxed);
            return Err(Box::new(refused(
                ErrorCode::InvalidAuth,
                "this token may read, and not report",
            )));
        }
        let counted = |answer| self.counted(answer);
        let format = format(&parts.headers).map_err(counted)?;
        let body = self.bodies.read(&parts.headers, body).await.map_err(counted)?;
        // Some senders have the arguments in the address, and no body.
        let (format, body) = match parts.uri.query() {
            Some(query) if body.trim_ascii().is_empty() => (Format::Form, Bytes::copy_from_slice(query.as_bytes())),
            _ => (format, body),
        };
        Ok(Given {
            caller,
            format,
            body,
            read: Instant::now(),
        })
    }

    /// Counts an answer that refuses a request.
    fn counted(&self, answer: Box<Response>) -> Box<Response> {
        let metrics = &self.journal.metrics;
        let counter = if answer.status().is_server_error() {
            &metrics.failed
        } else {
            &metrics.refused
        };
        counter.fetch_add(1, Relaxed);
        answer
    }

    /// Returns the answer to an error of the rules or of the store.
    fn failed(&self, error: impl Into<StoreError>) -> Box<Response> {
        Box::new(store_failed(&self.journal, error.into()))
    }

    /// Judges and stores a notification. Returns the warnings for the sender.
    async fn take(&self, given: &Given<'_>, pipeline: &mut Option<String>) -> Result<Vec<String>, Box<Response>> {
        let Given {
            caller, format, body, ..
        } = given;
        let notification: Notification = match arguments::<Arguments>(*format, body) {
            Ok(arguments) => arguments.into(),
            Err(why) => return Err(self.counted(Box::new(refused(ErrorCode::InvalidJson, why)))),
        };
        let name = notification.pipeline_name.clone();
        *pipeline = name.filter(|name| !name.trim().is_empty());
        if pipeline.as_ref().is_some_and(|name| !caller.access.may_write(name)) {
            let why = "this token may not report runs of this pipeline";
            return Err(self.counted(Box::new(refused(ErrorCode::NoPermission, why))));
        }
        let left = self.intake.admit(&notification).map_err(|error| self.failed(error))?;
        let reference_id = notification.reference_id.unwrap_or_default();
        self.keep(given, reference_id, None, left).await?;
        Ok(unknown(*format, body, &ARGUMENT_NAMES).into_iter().collect())
    }

    /// Judges and stores a job. Returns the warnings for the sender.
    async fn take_job(&self, given: &Given<'_>) -> Result<Vec<String>, Box<Response>> {
        let Given { format, body, .. } = given;
        let arguments: JobArguments = match arguments(*format, body) {
            Ok(arguments) => arguments,
            Err(why) => return Err(self.counted(Box::new(refused(ErrorCode::InvalidJson, why)))),
        };
        let rules = self.intake.rules();
        let job = tokio::task::block_in_place(|| rules.job(&arguments)).map_err(|error| self.failed(error))?;
        let (source, reference_id) = (
            arguments.pipeline_source.unwrap_or_default(),
            arguments.run_reference_id.unwrap_or_default(),
        );
        let left = self
            .intake
            .admit_job(given.caller.sender(), &reference_id, &source, job);
        let left = left.await.map_err(|error| self.failed(error))?;
        let is_kept = left.is_some();
        self.keep(given, reference_id, Some(source), left).await?;
        if is_kept {
            self.journal.metrics.jobs.fetch_add(1, Relaxed);
        }
        Ok(unknown(*format, body, &JOB_ARGUMENT_NAMES).into_iter().collect())
    }

    /// Stores what the policies left of a report, if anything.
    async fn keep(
        &self,
        given: &Given<'_>,
        reference_id: String,
        source: Option<String>,
        left: Option<Left>,
    ) -> Result<(), Box<Response>> {
        let metrics = &self.journal.metrics;
        let Some(left) = left else {
            metrics.dropped.fetch_add(1, Relaxed);
            return Ok(());
        };
        let kept = self
            .intake
            .keep(given.caller.sender(), reference_id, source, vec![left]);
        kept.await.map_err(|error| self.failed(error))?;
        metrics.accepted.fetch_add(1, Relaxed);
        metrics.durations.took(given.read.elapsed());
        Ok(())
    }
}

/// Returns `{"ok":true}` with the warnings.
fn accepted(warnings: &[String]) -> Response {
    #[derive(Serialize)]
    struct Accepted<'a> {
        ok: bool,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    }
    json(StatusCode::OK, &Accepted { ok: true, warnings })
}
