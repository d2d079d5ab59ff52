//! DX's answer (DX's page, "Errors").

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of an answer. As JSON: `{"ok":true}`, or `{"ok":false,"error":"invalid_json","message":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the request was accepted. Callers must look at this and not only at the HTTP status.
    pub ok: bool,
    /// The error code, if it was not.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A sentence for people.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A fuller sentence, in some answers.
    #[serde(default, deserialize_with = "details", skip_serializing)]
    error_details: Option<String>,
}

impl Answer {
    /// `{"ok":true}`.
    #[must_use]
    pub fn accepted() -> Self {
        Self {
            ok: true,
            error: None,
            message: None,
            error_details: None,
        }
    }

    /// An error with its code and a sentence.
    #[must_use]
    pub fn refused(error: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            error: Some(error.into()),
            message: Some(message.into()),
            error_details: None,
        }
    }

    /// What it says to people: `error_details.message` where it has one, as DX's own command reads it, else `message`.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        self.error_details.as_deref().or(self.message.as_deref())
    }

    /// Reads a body. None if it is not an object with a boolean `ok`: then it is not DX that answered.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        // RFC 8259, section 8.1: a reader may pass over a byte order mark.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        // An array would do for serde, not for DX.
        if !body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        serde_json::from_slice(body).ok()
    }
}

/// Text as it is; anything else but null as JSON, since what DX wanted to say is worth more than its type.
fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// The message in an object; anything else is none.
fn details<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(
        match Value::deserialize(deserializer)?.get_mut("message").map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        },
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        assert_eq!(Answer::parse(br#" {"ok":true,"more":[1]} "#), Some(Answer::accepted()));
        let refused = Answer::refused("invalid_json", "no");
        assert_eq!(
            serde_json::to_string(&refused).unwrap(),
            r#"{"ok":false,"error":"invalid_json","message":"no"}"#
        );
        assert_eq!(
            Answer::parse(br#"{"ok":false,"error":"invalid_json","message":"no"}"#),
            Some(refused)
        );
        assert_eq!(serde_json::to_string(&Answer::accepted()).unwrap(), r#"{"ok":true}"#);
        let odd = Answer::parse(br#"{"ok":false,"error":17,"message":{"text":"no"}}"#).unwrap();
        assert_eq!(
            (odd.error.as_deref(), odd.message.as_deref()),
            (Some("17"), Some(r#"{"text":"no"}"#))
        );
        assert_eq!(Answer::parse(br#"{"ok":false,"error":null}"#).unwrap().error, None);
    }

    #[test]
    fn the_fuller_sentence_is_the_one_that_is_told() {
        let words = |body: &str| Answer::parse(body.as_bytes()).unwrap().words().map(str::to_owned);
        let full = r#"{"ok":false,"error":"e","message":"short","error_details":{"message":"full","code":7}}"#;
        assert_eq!(words(full).as_deref(), Some("full"));
        assert_eq!(
            words(r#"{"ok":false,"error_details":{"message":"full"}}"#).as_deref(),
            Some("full")
        );
        for odd in ["7", "null", "[]", "{}", r#"{"message":7}"#, r#"{"message":""}"#] {
            let body = format!(r#"{{"ok":false,"message":"short","error_details":{odd}}}"#);
            assert_eq!(words(&body).as_deref(), Some("short"), "{odd}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!(
            r#"{{"ok":false,"message":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Answer::parse(deep.as_bytes()), None);
    }

    #[test]
    fn anything_else_is_not_from_dx() {
        for body in [
            "",
            "{}",
            "[]",
            "[true]",
            "true",
            "\"ok\"",
            r#"{"ok":"true"}"#,
            r#"{"ok":1}"#,
            "<html>",
            r#"{"ok":true"#,
            "\u{0}",
        ] {
            assert_eq!(Answer::parse(body.as_bytes()), None, "{body}");
        }
    }
}
