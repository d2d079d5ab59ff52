//! The rest of the exchange for a server in DX's place: form bodies, the codes and statuses of refusals.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;
use pipefold_sandbox::{Fault, Violation, foreign};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, MapDeserializer};

use super::arguments::{Arguments, from_json};

/// The deepest nesting of a JSON body. DX's arguments have a depth of one; JSON libraries have similar limits, and an unknown field that
/// nests deeper is a mistake.
pub const MAX_DEPTH: usize = 128;

/// The fault of a body without arguments, with its position. Shows no more of the body than the name of an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(String);

/// Reads the arguments of a method from an untrusted JSON body, which is nested no deeper than [`MAX_DEPTH`].
///
/// # Errors
/// A body that is not a JSON object of arguments.
pub fn from_foreign_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if depth(body) > MAX_DEPTH {
        return Err(BodyError(format!("the JSON body is nested deeper than {MAX_DEPTH}")));
    }
    from_json(body).map_err(|why| BodyError(format!("the JSON body could not be parsed: {why}")))
}

/// Reads the arguments of a method from a body of `application/x-www-form-urlencoded` (WHATWG URL, section 5.1), strictly: an argument
/// given twice, or text that is not UTF-8, is an error.
///
/// # Errors
/// A body that is not such a form, or a wrong argument.
pub fn from_form<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let middle = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(middle);
        Ok((decode(name)?, decode(value.get(1..).unwrap_or_default())?))
    });
    let pairs = pairs.collect::<Result<Vec<_>, BodyError>>()?;
    let wrong = |why: ValueError| BodyError(format!("the form could not be read: {why}"));
    T::deserialize(MapDeserializer::new(pairs.into_iter())).map_err(wrong)
}

impl Arguments {
    /// Reads an untrusted JSON body: [`from_foreign_json`].
    ///
    /// # Errors
    /// A body that is not a JSON object of arguments.
    pub fn from_foreign_json(body: &[u8]) -> Result<Self, BodyError> {
        from_foreign_json(body)
    }
}

/// The depth of brackets outside texts. For other text than JSON any result is good: the parser refuses it.
fn depth(body: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// `+` is a space, `%` and two hex digits a byte; any other `%` is unchanged.
fn decode(text: &[u8]) -> Result<String, BodyError> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded = percent_decode(&spaced).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| BodyError("the form could not be read: it is not UTF-8".to_owned()))
}

/// The error code of a refused request. The first five are those of DX's page ("Errors"), which allows others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// There is no token, or it is not in the `Authorization` header.
    NotAuthed,
    /// The token is not known here, or may not report at all.
    InvalidAuth,
    /// The body could not be read.
    InvalidJson,
    /// A time could not be read.
    InvalidTimestamp,
    /// A required argument is absent.
    RequiredParamsMissing,
    /// Another argument is wrong; the message and the violations name it.
    InvalidArguments,
    /// A job's run is not known.
    RunNotFound,
    /// The token may not do this with this pipeline or run.
    NoPermission,
    /// The request is not one that this server's own pages or a program on this machine would send.
    Forbidden,
    /// There is nothing under this address.
    NotFound,
    /// The address does not take this method.
    MethodNotAllowed,
    /// The body, or the whole address, did not come in time.
    Timeout,
    /// The body is too large.
    TooLarge,
    /// The body is neither JSON nor a form.
    UnsupportedMediaType,
    /// Too many requests.
    RateLimited,
    /// The server cannot do it now; nothing was recorded.
    Unavailable,
    /// The server failed; nothing was recorded.
    Internal,
}

impl ErrorCode {
    /// The word in the answer's `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAuthed => "not_authed",
            Self::InvalidAuth => "invalid_auth",
            Self::InvalidJson => "invalid_json",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::RequiredParamsMissing => "required_params_missing",
            Self::InvalidArguments => "invalid_arguments",
            Self::RunNotFound => "pipeline_run_not_found",
            Self::NoPermission => "no_permission",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "request_timeout",
            Self::TooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "service_unavailable",
            Self::Internal => "internal_error",
        }
    }

    /// The HTTP status of the code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidJson => 400,
            Self::NotAuthed | Self::InvalidAuth => 401,
            Self::NoPermission | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::InvalidTimestamp | Self::RequiredParamsMissing | Self::InvalidArguments | Self::RunNotFound => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The code for violations of the rules: DX has codes for two kinds of faults, of which a missing argument takes precedence.
    #[must_use]
    pub fn of(violations: &[Violation]) -> Self {
        let has = |fault| violations.iter().any(|violation| violation.fault == fault);
        if has(Fault::RequiredParamsMissing) {
            Self::RequiredParamsMissing
        } else if has(Fault::InvalidTimestamp) {
            Self::InvalidTimestamp
        } else {
            Self::InvalidArguments
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The body of a refusal: an [`Answer`](super::Answer) for any client, and all violations for pipefold's own.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    ok: bool,
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation>,
}

impl Refusal {
    /// A refusal with a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            error: code.as_str(),
            message: message.into(),
            violations: Vec::new(),
        }
    }

    /// A refusal by the rules, with the sentence that they make together.
    #[must_use]
    pub fn of(violations: Vec<Violation>) -> Self {
        let code = ErrorCode::of(&violations);
        let message = foreign::listed(&violations);
        Self {
            violations,
            ..Self::new(code, message)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::dx::Answer;

    #[test]
    fn forms_and_json_give_the_same_arguments() {
        let form = b"pipeline_name=a+b&pr_number=%37&head_branch=%C3%A9%2f1&email=&unknown=1&started_at=12%3A00%zz&&=";
        let given: Arguments = from_form(form).unwrap();
        let json = r#"{"pipeline_name":"a b","pr_number":7,"head_branch":"é/1","email":"","started_at":"12:00%zz"}"#;
        assert_eq!(given, Arguments::from_json(json.as_bytes()).unwrap());
        assert_eq!(from_form::<Arguments>(b"").unwrap(), Arguments::default());
        for bad in [&b"email=a&email=b"[..], b"email=%ff", b"%ff=1", b"pr_number=x"] {
            assert!(from_form::<Arguments>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn depth_is_bounded_and_counted_outside_of_texts() {
        let nested = |depth: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(Arguments::from_foreign_json(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(Arguments::from_foreign_json(nested(MAX_DEPTH).as_bytes()).is_err());
        assert!(Arguments::from_foreign_json(nested(10_000).as_bytes()).is_err());
        let text = format!(r#"{{"email":"\"{}","x":[[],[],[]]}}"#, "[".repeat(1000));
        assert!(Arguments::from_foreign_json(text.as_bytes()).is_ok(), "{text}");
        assert!(Arguments::from_foreign_json(b"]]]]").is_err());
    }

    #[test]
    fn codes_of_the_rules_and_bodies_that_clients_read() {
        let violation = |fault, field: &str| Violation {
            fault,
            field: field.into(),
            message: "is wrong".into(),
        };
        let several = vec![
            violation(Fault::InvalidStatus, "status"),
            violation(Fault::InvalidTimestamp, "started_at"),
        ];
        assert_eq!(ErrorCode::of(&several), ErrorCode::InvalidTimestamp);
        assert_eq!(ErrorCode::of(&several[..1]), ErrorCode::InvalidArguments);
        let mut three = several.clone();
        three.push(violation(Fault::RequiredParamsMissing, "reference_id"));
        assert_eq!(ErrorCode::of(&three), ErrorCode::RequiredParamsMissing);
        let body = serde_json::to_vec(&Refusal::of(several)).unwrap();
        let said = "status: is wrong; started_at: is wrong";
        assert_eq!(
            Answer::parse(&body).unwrap(),
            Answer::refused("invalid_timestamp", said)
        );
        assert!(String::from_utf8(body).unwrap().contains(r#""fault":"invalid_status""#));
        let plain = serde_json::to_string(&Refusal::new(ErrorCode::NotAuthed, "why")).unwrap();
        assert_eq!(plain, r#"{"ok":false,"error":"not_authed","message":"why"}"#);
    }
}
