//! One upsert.

use crate::server::{App, Caller, Kind, Schemes, json, kind, read, refused, told};
use crate::store::{Append, FoldError, StoreError};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::Utc;
use pipefold::dx::{Answer, Arguments, ErrorCode, TAKES_STEPS};
use pipefold_sandbox::{Notification, Verdict, foreign::excerpt};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Takes a notification. The answer is DX's: `{"ok":true}` once it is on disk, else `ok` is false with a code and a sentence.
pub async fn upsert(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let caller = match Caller::of(&app, headers, &parts.extensions, Schemes::Bearer) {
        Ok(caller) => caller,
        Err(denied) => return denied.answer(Schemes::Bearer),
    };
    if !caller.access.writes() {
        app.metrics.unauthorised.fetch_add(1, Relaxed);
        return refused(ErrorCode::InvalidAuth, "this token may read, and not report");
    }
    let counted = |answer: Response| {
        let counter = if answer.status().is_server_error() {
            &app.metrics.failed
        } else {
            &app.metrics.refused
        };
        counter.fetch_add(1, Relaxed);
        answer
    };
    let kind = match kind(headers) {
        Ok(kind) => kind,
        Err(answer) => return counted(*answer),
    };
    let body = match read(&app, headers, body).await {
        Ok(body) => body,
        Err(answer) => return counted(*answer),
    };
    let began = Instant::now();
    let arguments = match kind {
        Kind::Json => Arguments::from_foreign_json(&body),
        Kind::Form => Arguments::from_form(&body),
    };
    match arguments {
        Ok(arguments) => {
            for notification in arguments.into_notifications() {
                if let Some(refusal) = keep(&app, &caller, notification, began).await {
                    return refusal;
                }
            }
            accepted()
        }
        Err(why) => counted(refused(ErrorCode::InvalidJson, why.to_string())),
    }
}

/// `{"ok":true}`, and that steps are welcome.
fn accepted() -> Response {
    let mut answer = json(StatusCode::OK, &Answer::accepted());
    let (name, value) = (
        HeaderName::from_static(TAKES_STEPS.0),
        HeaderValue::from_static(TAKES_STEPS.1),
    );
    answer.headers_mut().insert(name, value);
    answer
}

/// Keeps a notification, unless a policy drops it; or the answer that refuses it.
async fn keep(app: &App, caller: &Caller, notification: Notification, began: Instant) -> Option<Response> {
    let pipeline = notification
        .pipeline_name
        .as_deref()
        .filter(|name| !name.trim().is_empty());
    if pipeline.is_some_and(|name| !caller.access.may_write(name)) {
        app.metrics.refused.fetch_add(1, Relaxed);
        let why = "this token may not report runs of this pipeline";
        return Some(refused(ErrorCode::NoPermission, why));
    }
    let judge = || app.rules.judge(std::slice::from_ref(&notification));
    let verdict = if app.rules.may_be_slow() {
        tokio::task::block_in_place(judge)
    } else {
        judge()
    };
    match verdict {
        Ok(Verdict::Report(_) | Verdict::Hold) => {}
        Ok(Verdict::Discard(why)) => {
            tracing::debug!("a policy dropped a notification: {}", excerpt(&why));
            app.metrics.dropped.fetch_add(1, Relaxed);
            return None;
        }
        Err(error @ (FoldError::Refused(_) | FoldError::Failed(_))) => return Some(told(app, StoreError::from(error))),
    }
    let append = Append {
        notification,
        token: caller.name().to_owned(),
        access: (*caller.access).clone(),
        arrived: Utc::now(),
    };
    match app.store.append(append).await {
        Ok(appended) => {
            app.metrics.accepted.fetch_add(1, Relaxed);
            app.metrics.took(began.elapsed());
            app.announce(&appended.run.pipeline);
            None
        }
        Err(error) => Some(told(app, error)),
    }
}
