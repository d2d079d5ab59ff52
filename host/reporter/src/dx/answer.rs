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
}

impl Answer {
    /// `{"ok":true}`.
    #[must_use]
    pub fn accepted() -> Self {
        Self {
            ok: true,
            error: None,
            message: None,
        }
    }

    /// An error with its code and a sentence.
    #[must_use]
    pub fn refused(error: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            error: Some(error.into()),
            message: Some(message.into()),
        }
    }

    /// Reads a body. None if it is not an object with a boolean `ok`: then it is not DX that answered.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
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
