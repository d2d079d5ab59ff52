//! The answers to deliveries, and what is remembered of them.

use super::delivery::Unread;
use super::recent::{RunName, Seen};
use super::signature::{BadSignature, Scheme};
use super::sources::{Hook, Outcome};
use super::take::Taken;
use crate::request::{Denied, Journal, Schemes, json, refused, retry_later, store_error};
use crate::store::StoreError;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::response::Response;
use chrono::{DateTime, Utc};
use pipefold::dx::ErrorCode;
use pipefold_sandbox::foreign;
use serde::Serialize;
use std::time::Duration;

/// The characters of an outcome that are remembered.
const SHOWN: usize = 300;

/// The runs of a delivery that are remembered: a name may have 4 KiB.
const MOST_RUNS: usize = 10;

/// An answer with its outcome.
pub struct Answered {
    response: Response,
    outcome: Outcome,
    /// The outcome of the delivery in words, for people with the right to read runs.
    words: String,
    runs: Vec<RunName>,
    /// True if the delivery had a good signature.
    is_signed: bool,
}

/// The body of an answer without a fault.
#[derive(Default, Serialize)]
struct Accepted<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<usize>,
}

impl Answered {
    fn new(outcome: Outcome, response: Response, words: impl Into<String>) -> Self {
        Self {
            response,
            outcome,
            words: words.into(),
            runs: Vec::new(),
            is_signed: true,
        }
    }

    /// Everything that policies left is on disk.
    pub fn taken(taken: Taken) -> Self {
        let Taken { runs, jobs, dropped } = taken;
        let body = Accepted {
            ok: true,
            runs: Some(runs.len()),
            jobs: Some(jobs),
            dropped: (dropped > 0).then_some(dropped),
            ..Accepted::default()
        };
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let words = if runs.is_empty() {
            "dropped by a policy".to_owned()
        } else if dropped > 0 {
            let (runs, jobs) = (counted(runs.len(), "run"), counted(jobs, "job"));
            format!("{runs}, {jobs}; {dropped} dropped by a policy")
        } else {
            format!("{}, {}", counted(runs.len(), "run"), counted(jobs, "job"))
        };
        let outcome = if runs.is_empty() {
            Outcome::Dropped
        } else {
            Outcome::Accepted
        };
        Self {
            runs,
            ..Self::new(outcome, json(StatusCode::OK, &body), words)
        }
    }

    /// The delivery reports nothing. The reason is remembered if it `may_show`.
    pub fn ignored(reason: &str, may_show: bool) -> Self {
        let body = Accepted {
            ok: true,
            ignored: Some(reason),
            ..Accepted::default()
        };
        let words = if may_show {
            format!("ignored: {reason}")
        } else {
            "ignored".to_owned()
        };
        Self::new(Outcome::Ignored, json(StatusCode::OK, &body), words)
    }

    /// The delivery could not be read.
    pub fn unread(Unread(code, why): Unread, is_signed: bool) -> Self {
        let outcome = if code == ErrorCode::Unavailable {
            Outcome::Failed
        } else {
            Outcome::Refused
        };
        let response = if outcome == Outcome::Failed {
            retry_later(code, &why, Duration::from_secs(5))
        } else {
            refused(code, why.clone())
        };
        Self {
            is_signed,
            ..Self::new(outcome, response, why)
        }
    }

    /// The source refuses the delivery. The reason is remembered if it `may_show`.
    pub fn refused_by_source(Unread(code, why): Unread, may_show: bool) -> Self {
        let words = if may_show {
            format!("refused by the source: {why}")
        } else {
            "refused by the source".to_owned()
        };
        Self::new(Outcome::Refused, refused(code, why), words)
    }

    /// The runs of the delivery are not stored. The reason is remembered if it `may_show`.
    pub fn not_stored(journal: &Journal, error: StoreError, may_show: bool) -> Self {
        let (outcome, words) = match error.is_about_request() {
            true if may_show => (Outcome::Refused, format!("refused: {error}")),
            true => (Outcome::Refused, "refused by the rules".to_owned()),
            false => (Outcome::Failed, "not stored; see the server's log".to_owned()),
        };
        Self::new(outcome, store_error(journal, error), words)
    }

    /// The server could not take the delivery.
    pub fn failed(why: &str, seconds: u64) -> Self {
        let response = retry_later(ErrorCode::Unavailable, why, Duration::from_secs(seconds));
        Self::new(Outcome::Failed, response, why)
    }

    /// There are too many.
    pub fn limited(wait: Duration) -> Self {
        let why = "too many requests";
        Self::new(Outcome::Limited, retry_later(ErrorCode::RateLimited, why, wait), why)
    }

    /// A proxy or a page of another site sent it, where no proof is asked for.
    pub fn foreign(denied: Denied) -> Self {
        Self {
            is_signed: false,
            ..Self::new(
                Outcome::Unsigned,
                denied.answer(Schemes::Bearer),
                "not sent by a program on this machine",
            )
        }
    }

    /// There is no good signature. The sender does not learn what is wrong with it.
    pub fn unsigned(scheme: Scheme, bad: &BadSignature) -> Self {
        let mut response = refused(
            ErrorCode::InvalidAuth,
            "the signature or the secret is missing or wrong",
        );
        // RFC 9110, section 15.5.2, asks for a challenge. Some clients send a password only after this one.
        let challenge = if scheme == Scheme::Basic {
            "Basic realm=\"pipefold\", charset=\"UTF-8\""
        } else {
            "Bearer realm=\"pipefold\""
        };
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        Self {
            is_signed: false,
            ..Self::new(Outcome::Unsigned, response, bad.to_string())
        }
    }

    /// Counts and remembers the delivery, and returns the response.
    pub fn remembered(self, hook: &Hook, at: DateTime<Utc>, event: Option<String>, id: Option<String>) -> Response {
        hook.counters.count(self.outcome);
        // A flood would leave nothing else in the memory.
        if self.outcome != Outcome::Limited {
            let seen = Seen {
                at,
                event,
                id,
                status: self.response.status().as_u16(),
                outcome: foreign::cut(&self.words, SHOWN),
                runs: self.runs.into_iter().take(MOST_RUNS).collect(),
            };
            hook.recent.add(seen, self.is_signed);
        }
        self.response
    }
}
