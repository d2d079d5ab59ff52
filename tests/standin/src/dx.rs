//! The answers of DX (DX's pages, "Facts", "Arguments" and "Errors").

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::arguments::{self, Refusal, Upsert, refuse, text};
use crate::endpoint::Endpoint;
use crate::http::Request;
use crate::socket::lock;
use crate::state::State;

/// Handles a request: records it, or returns the refusal.
pub(crate) fn answer(state: &State, request: &Request) -> Answer {
    let Some(endpoint) = Endpoint::of(&request.target) else {
        return not_ok(404, "unknown_method", "There is no such API method.");
    };
    if request.method != "POST" {
        return not_ok(405, "method_not_allowed", "This API method takes POST.");
    }
    let accepted = read(state, request).and_then(|given| match endpoint {
        Endpoint::Runs => upsert(state, given),
        Endpoint::Jobs => upsert_job(state, given),
    });
    match accepted {
        Ok(()) => ok(&json!({ "ok": true })),
        Err(Refusal { code, message }) => not_ok(status(code), code, &message),
    }
}

/// The arguments of a request with a valid token.
fn read(state: &State, request: &Request) -> Result<Map<String, Value>, Refusal> {
    let Some(token) = request.header("authorization").and_then(bearer) else {
        let message = "The API request does not include a valid API key for authentication.";
        return Err(refuse("not_authed", message.to_owned()));
    };
    if !lock(&state.tokens).iter().any(|known| known == token) {
        return Err(refuse("invalid_auth", "The provided API key is invalid.".to_owned()));
    }
    arguments::parse(request.header("content-type"), &request.body)
}

fn upsert(state: &State, given: Map<String, Value>) -> Result<(), Refusal> {
    let upsert = arguments::check(given)?;
    lock(&state.upserts).push(upsert);
    Ok(())
}

/// Records a job of a run that exists. DX's page gives no code for the other case.
fn upsert_job(state: &State, given: Map<String, Value>) -> Result<(), Refusal> {
    let job = arguments::check_job(given)?;
    // Held until the job is recorded, or the run could be forgotten in between.
    let upserts = lock(&state.upserts);
    // Of the source, too, the value given last is the record's.
    let last = upserts
        .iter()
        .rfind(|upsert| upsert.reference_id == job.run_reference_id);
    let source = |upsert: &Upsert| text(&upsert.given, "pipeline_source");
    if last.and_then(source).as_ref() != Some(&job.pipeline_source) {
        state.jobs_refused.fetch_add(1, Ordering::Relaxed);
        let (run, source) = (&job.run_reference_id, &job.pipeline_source);
        let message = format!("There is no pipeline run {run:?} of the source {source:?}; send it first.");
        return Err(refuse("pipeline_run_not_found", message));
    }
    lock(&state.jobs).push(job);
    Ok(())
}

/// The token in an `Authorization` header (RFC 6750, section 2.1; the scheme's case does not matter).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// DX's page gives no HTTP statuses; these are what an API of this kind sends.
fn status(code: &str) -> u16 {
    match code {
        "not_authed" | "invalid_auth" => 401,
        "invalid_json" => 400,
        _ => 422,
    }
}

/// Status 200 with this body.
pub(crate) fn ok(body: &serde_json::Value) -> Answer {
    let body = body.to_string().into_bytes();
    Answer {
        status: 200,
        headers: Vec::new(),
        content_type: "application/json",
        body,
    }
}

/// `{"ok":false}` with a code and a message.
pub(crate) fn not_ok(status: u16, code: &str, message: &str) -> Answer {
    Answer {
        status,
        ..ok(&json!({ "ok": false, "error": code, "message": message }))
    }
}
