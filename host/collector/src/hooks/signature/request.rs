//! A request whose signature is to be checked, and the reading of its headers.

use super::BadSignature;
use axum::http::{HeaderMap, Method};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A request, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path and the query, as they were sent.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The bytes of the body.
    pub body: &'a [u8],
    /// The time of receipt.
    pub now: DateTime<Utc>,
    /// The most time between that of a signature and `now`, in both directions, where the scheme signs a time.
    pub max_age: Duration,
}

impl<'a> SignedRequest<'a> {
    /// Returns true if the request has the header.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.headers.contains_key(name)
    }

    /// Returns the value of a header that occurs once.
    pub(super) fn header(&self, name: &'static str) -> Result<&'a [u8], BadSignature> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Err(BadSignature::Missing(name)),
            (Some(value), None) => Ok(value.as_bytes()),
            (Some(_), Some(_)) => Err(BadSignature::Doubled(name)),
        }
    }

    /// Returns the value of a header that occurs once and is ASCII.
    pub(super) fn text(&self, name: &'static str) -> Result<&'a str, BadSignature> {
        let value = self.header(name)?;
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
        text.ok_or(BadSignature::Malformed(name))
    }

    /// Checks a time in seconds since 1970 that is signed. Call it last, so that only the CI system's own requests are called old.
    pub(super) fn check_age(&self, signed: i64) -> Result<(), BadSignature> {
        let most = self.max_age.as_secs();
        let now = self.now.timestamp();
        let apart = now.abs_diff(signed);
        if apart <= most {
            Ok(())
        } else if signed < now {
            Err(BadSignature::TooOld { age: apart, most })
        } else {
            Err(BadSignature::TooNew { ahead: apart, most })
        }
    }
}

/// Returns the seconds since 1970 of a text of digits alone.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
