//! The pause that a server asks for.

use chrono::{DateTime, NaiveDateTime, Utc};
use std::time::Duration;

/// The longest pause that a server can ask for. A longer one is cut, or a wrong header could stop a runner's deliveries for good.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A `Retry-After` header: seconds or a date (RFC 9110, sections 10.2.3 and 5.6.7), within 0 and [`MAX_RETRY_AFTER`]; none if it is neither.
#[must_use]
pub fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds is still a number.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    Some((date.and_utc() - now).to_std().unwrap_or_default().min(MAX_RETRY_AFTER))
}
