//! One connection: requests in, answers out, in the mode of the moment.

use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta};
use serde_json::json;

use crate::answer::Answer;
use crate::arguments;
use crate::dx;
use crate::endpoint::Endpoint;
use crate::http::{ReadError, Request, Stream};
use crate::mode::{Mode, RetryAfter};
use crate::recorded::Recorded;
use crate::socket::lock;
use crate::state::State;

/// The length of a huge answer: far more than any client should hold.
const HUGE: usize = 10 * 1024 * 1024;
/// The pause between two bytes of a slow answer: short enough that no per-read timeout catches it.
const DRIP: Duration = Duration::from_millis(100);

/// Serves a connection until either side closes it.
pub(crate) fn serve(state: &State, stream: impl Read + Write, connection: u64) {
    let mut stream = Stream::new(stream);
    loop {
        let request = match stream.read_request() {
            Ok(request) => request,
            Err(ReadError::Closed) => return,
            Err(ReadError::Bad(status)) => {
                let answer = dx::not_ok(status, "bad_request", "This is no request that the server can read.");
                // The client is beyond help if it does not take this either.
                let _ = stream.write(&answer.to_bytes(false, false));
                return;
            }
        };
        lock(&state.requests).push(record(&request, connection));
        let endpoint = Endpoint::of(&request.target);
        let run = endpoint.and_then(|endpoint| run_of(endpoint, &request));
        let mode = lock(&state.rules).take(endpoint, run.as_deref());
        if !respond(state, &mut stream, &request, &mode) || !request.keep_alive {
            return;
        }
    }
}

/// Answers. Returns true if the connection can be used again.
fn respond<S: Read + Write>(state: &State, stream: &mut Stream<S>, request: &Request, mode: &Mode) -> bool {
    let whole = |answer: Answer| answer.to_bytes(request.keep_alive, request.method == "HEAD");
    match mode {
        Mode::Hang => {
            stream.drain();
            false
        }
        Mode::CloseHalfWay => {
            let bytes = whole(dx::answer(state, request));
            // Ends inside the JSON: the head is complete and promises more.
            let _ = stream.write(&bytes[..bytes.len() - 4]);
            false
        }
        Mode::Slow(pause) => {
            std::thread::sleep(*pause);
            stream.write(&whole(dx::answer(state, request))).is_ok()
        }
        Mode::SlowDrip => {
            for byte in whole(dx::answer(state, request)) {
                if state.is_stopped() || stream.write(&[byte]).is_err() {
                    return false;
                }
                std::thread::sleep(DRIP);
            }
            true
        }
        _ => stream.write(&whole(composed(state, request, mode))).is_ok(),
    }
}

/// The answer of the modes that send one whole.
fn composed(state: &State, request: &Request, mode: &Mode) -> Answer {
    let page = |status, body: &str| {
        let body = body.as_bytes().to_vec();
        Answer {
            status,
            headers: Vec::new(),
            content_type: "text/html",
            body,
        }
    };
    match mode {
        Mode::TooManyRequests { retry_after } => {
            let mut answer = dx::not_ok(429, "ratelimited", "Too many requests.");
            answer
                .headers
                .extend(retry_after_value(*retry_after).map(|value| ("Retry-After", value)));
            answer
        }
        Mode::InternalError => dx::not_ok(500, "internal_error", "Something went wrong."),
        Mode::BadGateway => page(502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        Mode::NotOk { code, status } => dx::not_ok(*status, code, "The server was told to say so."),
        Mode::NotJson => page(200, "<html><body>Please sign in to the network.</body></html>"),
        Mode::Plain { status, body } => Answer {
            content_type: "text/plain",
            ..page(*status, body)
        },
        Mode::Redirect { status, to } => Answer {
            headers: vec![("Location", to.clone())],
            ..page(*status, "<html><body>Elsewhere.</body></html>")
        },
        Mode::Huge => {
            let mut answer = dx::answer(state, request);
            if answer.status == 200 {
                answer = dx::ok(&json!({ "ok": true, "message": "x".repeat(HUGE) }));
            }
            answer
        }
        _ => dx::answer(state, request),
    }
}

fn retry_after_value(retry_after: RetryAfter) -> Option<String> {
    match retry_after {
        RetryAfter::None => None,
        RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
        RetryAfter::Date(offset) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = DateTime::from_timestamp(i64::try_from(now.as_secs()).unwrap_or_default(), 0).unwrap_or_default();
            Some(
                (now + TimeDelta::seconds(offset))
                    .format("%a, %d %b %Y %H:%M:%S GMT")
                    .to_string(),
            )
        }
    }
}

/// The `reference_id` of the run that a request is about.
fn run_of(endpoint: Endpoint, request: &Request) -> Option<String> {
    let given = arguments::parse(request.header("content-type"), &request.body).ok()?;
    arguments::text(&given, endpoint.run_argument())
}

fn record(request: &Request, connection: u64) -> Recorded {
    Recorded {
        method: request.method.clone(),
        path: request.target.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        authorization: request.header("authorization").map(str::to_owned),
        connection,
        at: Instant::now(),
    }
}
