//! Forms of arguments that senders in use post, besides those of DX's page: DX's plugin for Jenkins, and scripts that report history.

use chrono::{DateTime, SecondsFormat};
use serde::de::{Deserialize, Deserializer};

use super::arguments::{Scalar, text};

/// The older name of DX's method, with the same arguments.
pub const SYNC_PATH: &str = "/api/pipelineRuns.sync";

/// Digits of unix seconds from 2001 to 2286. A date without separators has eight digits.
const SECONDS: usize = 10;

/// Digits of unix milliseconds in the same time.
const MILLISECONDS: usize = 13;

/// Reads a time: unix seconds or milliseconds, as number or text, become RFC 3339. Other text stays, and the rules judge it.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let given = match Scalar::deserialize(deserializer)? {
        Scalar::Absent => return Ok(None),
        Scalar::Text(text) => text,
        Scalar::Whole(number) => number.to_string(),
        // Its shortest decimal form: an exponent occurs only far outside the range.
        Scalar::Float(number) => number.to_string(),
    };
    Ok(Some(unix(given.trim()).unwrap_or(given)))
}

/// Reads a status: a result of Jenkins becomes DX's word for it. Other text stays, and the rules judge it.
pub(super) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text(deserializer)?.map(|given| {
        let word = match given.trim().to_ascii_lowercase().as_str() {
            "success" => "success",
            "failure" | "failed" | "unstable" => "failure",
            "aborted" | "not_built" => "cancelled",
            _ => return given,
        };
        word.to_owned()
    }))
}

/// A unix time in decimal digits, perhaps with a fraction, as RFC 3339. None for any other text.
fn unix(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = match whole.len() {
        // Finer than a millisecond no clock of a CI system is.
        SECONDS => format!("{whole}{:0<3.3}", fraction).parse().ok()?,
        MILLISECONDS => whole.parse().ok()?,
        _ => return None,
    };
    let time = DateTime::from_timestamp_millis(whole)?;
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use crate::dx::{Arguments, from_form};

    /// The start as the rules get it; None if the body is refused or has none.
    fn started_at(value: &str) -> Option<String> {
        let body = format!(r#"{{"started_at":{value}}}"#);
        Arguments::from_json(body.as_bytes()).ok()?.started_at
    }

    fn status(value: &str) -> String {
        let body = format!(r#"{{"status":"{value}"}}"#);
        Arguments::from_json(body.as_bytes()).unwrap().status.unwrap()
    }

    #[test]
    fn unix_times_become_rfc_3339() {
        for (value, time) in [
            ("1735733100", "2025-01-01T12:05:00Z"),
            ("\"1735733100\"", "2025-01-01T12:05:00Z"),
            ("\" 1735733100 \"", "2025-01-01T12:05:00Z"),
            ("1735733100250", "2025-01-01T12:05:00.250Z"),
            ("\"1735733100000\"", "2025-01-01T12:05:00Z"),
            ("1735733100.25", "2025-01-01T12:05:00.250Z"),
            ("\"1735733100.123456789\"", "2025-01-01T12:05:00.123Z"),
            ("1735733100.0", "2025-01-01T12:05:00Z"),
            ("9999999999", "2286-11-20T17:46:39Z"),
        ] {
            assert_eq!(started_at(value).as_deref(), Some(time), "{value}");
        }
    }

    #[test]
    fn other_times_are_left_to_the_rules() {
        for value in [
            "2025-01-01T12:05:00",
            "20250101",
            "2025",
            "0",
            "-1735733100",
            "17357331000",
            "1735733100.",
            ".5",
            "soon",
        ] {
            assert_eq!(started_at(&format!("\"{value}\"")).as_deref(), Some(value));
        }
        for value in ["17", "1.5", "-1735733100.5"] {
            assert_eq!(started_at(value).as_deref(), Some(value));
        }
        for value in ["true", "[]", "{}"] {
            assert_eq!(started_at(value), None, "{value}");
        }
        assert_eq!(started_at("null"), None);
    }

    #[test]
    fn results_of_jenkins_become_words_of_dx() {
        for (result, word) in [
            ("SUCCESS", "success"),
            ("failed", "failure"),
            ("UNSTABLE", "failure"),
            ("aborted", "cancelled"),
            ("not_built", "cancelled"),
            ("running", "running"),
            ("unknown", "unknown"),
            ("ok", "ok"),
            ("Running", "Running"),
        ] {
            assert_eq!(status(result), word);
        }
    }

    #[test]
    fn a_form_has_the_same_forms() {
        let given: Arguments = from_form(b"started_at=1735733100&finished_at=1735733400250&status=aborted").unwrap();
        assert_eq!(given.started_at.as_deref(), Some("2025-01-01T12:05:00Z"));
        assert_eq!(given.finished_at.as_deref(), Some("2025-01-01T12:10:00.250Z"));
        assert_eq!(given.status.as_deref(), Some("cancelled"));
    }
}
