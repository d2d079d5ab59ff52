//! Answers.

use pipefold_gocd::Dialect;

use super::Generation;

/// An answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those about the body's length and the connection.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of a type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body: body.into(),
        }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A document, with the headers that the server's age brings.
    pub(super) fn document(body: String, dialect: Dialect, generation: Generation, is_feed: bool) -> Self {
        let content_type = if is_feed && dialect == Dialect::Old {
            "application/atom+xml; charset=utf-8"
        } else {
            "application/xml; charset=utf-8"
        };
        let answer = Self::new(200, content_type, body).with("Cache-Control", "max-age=0, private, must-revalidate");
        match (dialect, generation) {
            (Dialect::Old, Generation::Old) | (Dialect::New, Generation::Both) => answer,
            (Dialect::Old, _) => answer
                .with("X-GoCD-API-Deprecated-In", "v20.1.0")
                .with("X-GoCD-API-Removal-In", "v20.4.0")
                .with("X-GoCD-API-Deprecation-Info", "https://api.gocd.org/20.1.0/#api-changelog"),
            (Dialect::New, _) => answer
                .with("X-GoCD-API-Deprecated-In", "v25.4.0")
                .with("X-GoCD-API-Removal-In", "v25.1.0")
                .with("X-GoCD-API-Deprecation-Info", "https://api.gocd.org/25.4.0/#api-changelog")
                .with(
                    "Warning",
                    "299 GoCD/v25.4.0 \"The Feeds API version v1 has been deprecated without replacement in GoCD Release v25.4.0. This API \
                     will be removed in GoCD Release v25.1.0. Users should migrate to modern JSON-based alternatives.\"",
                ),
        }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// An error of the new documents' routes: XML if the request takes it.
    pub(super) fn refusal(status: u16, element: &str, message: &str, takes_xml: bool) -> Self {
        if takes_xml {
            let body = format!("<{element}>\n  <message>{message}</message>\n</{element}>\n");
            return Self::new(status, "application/xml; charset=utf-8", body);
        }
        let body = serde_json::json!({ "message": message }).to_string();
        Self::new(status, "application/json;charset=utf-8", body)
    }

    /// A page for people.
    pub(super) fn page(status: u16, text: &str) -> Self {
        let body = format!("<!DOCTYPE html>\n<html><head><title>Go</title></head><body><p>{text}</p></body></html>\n");
        Self::new(status, "text/html; charset=utf-8", body)
    }
}
