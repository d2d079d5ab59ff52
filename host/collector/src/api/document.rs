//! `GET /api/openapi.json`: what there is, for programs that make clients and tests of it.

use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;

/// Kept by hand; a test compares it with what the server answers.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// The OpenAPI document. It says nothing of what is kept, and is for everyone.
pub async fn document() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff")],
        DOCUMENT,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| match value {
                Value::String(text) if key == "$ref" => found.push(text),
                value => references(value, found),
            }),
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn it_is_of_this_version_and_its_references_lead_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            assert!(
                document.pointer(reference.strip_prefix('#').unwrap()).is_some(),
                "{reference}"
            );
        }
    }
}
