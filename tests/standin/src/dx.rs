//! The answers of DX (DX's page, "Facts", "Arguments" and "Errors").

use serde_json::json;

use crate::answer::Answer;
use crate::arguments::{self, Refusal};
use crate::http::Request;
use crate::socket::lock;
use crate::state::State;

/// The method's path. A prefix before it is accepted, for servers behind a gateway.
const PATH: &str = "/api/pipelineRuns.upsert";

/// Handles a request: records it, or returns the refusal.
pub(crate) fn answer(state: &State, request: &Request) -> Answer {
    let path = request.target.split('?').next().unwrap_or_default();
    if !path.ends_with(PATH) {
        return not_ok(404, "unknown_method", "There is no such API method.");
    }
    if request.method != "POST" {
        return not_ok(405, "method_not_allowed", "This API method takes POST.");
    }
    match upsert(state, request) {
        Ok(()) => ok(&json!({ "ok": true })),
        Err(Refusal { code, message }) => not_ok(status(code), code, &message),
    }
}

fn upsert(state: &State, request: &Request) -> Result<(), Refusal> {
    let Some(token) = request.header("authorization").and_then(bearer) else {
        let message = "The API request does not include a valid API key for authentication.".to_owned();
        return Err(Refusal {
            code: "not_authed",
            message,
        });
    };
    if !lock(&state.tokens).iter().any(|known| known == token) {
        return Err(Refusal {
            code: "invalid_auth",
            message: "The provided API key is invalid.".to_owned(),
        });
    }
    let given = arguments::parse(request.header("content-type"), &request.body)?;
    let upsert = arguments::check(given)?;
    lock(&state.upserts).push(upsert);
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
