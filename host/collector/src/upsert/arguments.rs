//! Reading the body of an upsert, and what DX would not have understood in it.

use crate::request::Kind;
use pipefold::dx::{ARGUMENT_NAMES, Arguments, STEP_ARGUMENT_NAMES};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Unknown arguments that are named. More of them are another mistake than a wrong name.
const MOST_NAMED: usize = 8;

/// Characters of an unknown name that are shown: the longest known one has 15.
const SHOWN: usize = 40;

/// Reads a body. Some tools begin a text with a byte order mark, which is no part of the JSON (RFC 8259, section 8.1).
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(super) fn read(kind: Kind, body: &[u8]) -> Result<Arguments, String> {
    let body = text(body);
    let begins = body.trim_ascii_start().first();
    match (kind, begins) {
        (Kind::Form, Some(b'{' | b'[')) => Err(
            "the body looks like JSON and was sent as a form: send the header `Content-Type: application/json`"
                .to_owned(),
        ),
        (Kind::Form, _) => Arguments::from_form(body).map_err(|why| why.to_string()),
        // What reads it recognises an array; nothing at all is a body that was cut.
        (Kind::Json, Some(b'{' | b'[') | None) => Arguments::from_foreign_json(body).map_err(|why| why.to_string()),
        (Kind::Json, Some(_)) => {
            Err("the JSON body is not an object of arguments, such as {\"pipeline_name\": …}".to_owned())
        }
    }
}

/// Says which arguments of a body that was read are not known, if there are any.
pub fn unknown(kind: Kind, body: &[u8]) -> Option<String> {
    let body = text(body);
    let names: Vec<Cow<'_, str>> = match kind {
        Kind::Json => {
            let all: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(body).ok()?;
            all.into_keys().collect()
        }
        Kind::Form => form_urlencoded::parse(body).map(|(name, _)| name).collect(),
    };
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| !known().any(|known| known == **name))
        .map(|name| name.chars().filter(|c| !c.is_control()).take(SHOWN).collect())
        .collect();
    let more = unknown.len().saturating_sub(MOST_NAMED);
    let mut named = unknown[..unknown.len() - more].join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    (!unknown.is_empty()).then(|| format!("unknown arguments, which DX ignores: {named}"))
}

/// The names of all arguments that an upsert may have.
fn known() -> impl Iterator<Item = &'static str> {
    ARGUMENT_NAMES.into_iter().chain(STEP_ARGUMENT_NAMES)
}

fn text(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_those_who_try_it_are_told() {
        let why = |kind, body: &str| read(kind, body.as_bytes()).unwrap_err();
        assert!(why(Kind::Form, r#" {"pipeline_name":"p"}"#).contains("Content-Type: application/json"));
        for body in ["null", "3", "\"x\""] {
            assert!(why(Kind::Json, body).contains("not an object"), "{body}");
        }
        assert!(why(Kind::Json, "[]").contains("array"));
        assert!(why(Kind::Json, "").contains("parsed"));
        let marked = read(Kind::Json, "\u{feff}{\"pipeline_name\":\"p\"}".as_bytes()).unwrap();
        assert_eq!(marked.pipeline_name.as_deref(), Some("p"));
    }

    #[test]
    fn unknown_arguments_are_named_and_known_ones_are_not() {
        let of = |kind, body: &str| unknown(kind, body.as_bytes());
        let body: Vec<String> = known().map(|name| format!("\"{name}\":null")).collect();
        let body = format!("{{{}}}", body.join(","));
        assert_eq!(of(Kind::Json, &body), None);
        let told = of(Kind::Json, r#"{"branch":"main","commit":{"a":[1]},"status":"success"}"#).unwrap();
        assert!(told.ends_with(": branch, commit"), "{told}");
        let told = of(Kind::Form, "status=x&state=y").unwrap();
        assert!(told.ends_with(": state"), "{told}");
        let many: Vec<String> = (0..20).map(|n| format!("x{n}=1")).collect();
        assert!(of(Kind::Form, &many.join("&")).unwrap().ends_with("and 12 more"));
        assert!(of(Kind::Form, &"x".repeat(100_000)).unwrap().len() < 200);
    }
}
