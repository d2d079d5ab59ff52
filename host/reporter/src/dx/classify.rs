//! Turns an HTTP answer into an [`Outcome`].

use super::client::Answer;
use crate::http::{quote, retry_after};
use crate::token::Token;
use chrono::{DateTime, Utc};
use std::fmt;
use std::time::Duration;
use ureq::http::Uri;

/// The parts of an HTTP answer that decide the outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// The status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// The body, or as much of it as was read.
    pub body: &'a [u8],
}

/// Returns the outcome of an answer. A date in `Retry-After` is relative to `now`; `token` is removed from quoted text.
#[must_use]
pub fn classify(reply: &Reply<'_>, now: DateTime<Utc>, token: Option<&Token>) -> Outcome {
    let status = reply.status;
    let answer = Answer::parse(reply.body);
    let retry = |why: String| Outcome::Retry {
        after: reply.retry_after.and_then(|text| retry_after(text, now)),
        why,
    };
    let words = |answer: &Answer| {
        let code = answer
            .error
            .as_deref()
            .map(|code| quote(code, token.map(Token::expose)))
            .filter(|code| !code.is_empty());
        let message = answer
            .text()
            .map(|message| quote(message, token.map(Token::expose)))
            .unwrap_or_default();
        (code.unwrap_or_else(|| "without a code".to_owned()), message)
    };
    match (status, answer) {
        (301 | 302 | 303 | 307 | 308, _) => Outcome::Redirected {
            status,
            to_host: redirected_to(reply.location, token),
        },
        (200..=299, Some(Answer { ok: true, .. })) => Outcome::Accepted,
        (408 | 425 | 429 | 500..=599, Some(answer)) => {
            let (code, message) = words(&answer);
            let said = if message.is_empty() {
                code
            } else {
                format!("{code}: {message}")
            };
            retry(format!("DX answered with status {status}, {said}"))
        }
        (200..=299 | 400..=499, Some(answer @ Answer { ok: false, .. })) => {
            let (code, message) = words(&answer);
            match code.as_str() {
                "invalid_json" | "invalid_timestamp" | "required_params_missing" => Outcome::Rejected { code, message },
                "not_authed" | "invalid_auth" | "account_inactive" => Outcome::Unauthorised { code, message },
                _ => Outcome::Refused { status, code, message },
            }
        }
        (_, Some(_)) => retry(format!(
            "the server answered with status {status} to a run, which neither accepts nor refuses it"
        )),
        // No proxy answers so by itself: there is no such page at this address, or not for a POST.
        (404 | 405 | 410, None) => Outcome::Unreachable {
            why: format!("the answer is not from DX (status {status}): correct DX_API_URL, or what is in front of DX"),
        },
        (_, None) => retry(format!(
            "the answer is not from DX (status {status}), but perhaps from a proxy"
        )),
    }
}

/// The host in a `Location` header. Not more of it: a path or a query may have secrets.
pub fn redirected_to(location: Option<&str>, token: Option<&Token>) -> String {
    let uri = location.and_then(|location| location.parse::<Uri>().ok());
    uri.as_ref().and_then(Uri::host).map_or_else(
        || "the same host".to_owned(),
        |host| quote(host, token.map(Token::expose)),
    )
}

/// The time for which DX has to refuse a run with a code that its page does not list until that counts as final: "other errors can be
/// returned in the case where the service is down", and an incident may last over a long weekend.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// The outcome of one request, which decides about the run. Texts from DX in it are short, on one line and without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// DX said `ok`.
    Accepted,
    /// DX will never accept this run: `invalid_json`, `invalid_timestamp` or `required_params_missing`. Not to be sent again.
    Rejected {
        /// DX's error code.
        code: String,
        /// DX's message; may be empty.
        message: String,
    },
    /// DX refused the run for a reason that its page does not list, so it may pass. To be given up only after days.
    Refused {
        /// The HTTP status.
        status: u16,
        /// DX's error code.
        code: String,
        /// DX's message; may be empty.
        message: String,
    },
    /// DX does not accept the token: `not_authed`, `invalid_auth` or `account_inactive`. To be kept until there is another token.
    Unauthorised {
        /// DX's error code.
        code: String,
        /// DX's message; may be empty.
        message: String,
    },
    /// The request fails until something is corrected: the address, a certificate, this machine's network. To be kept, and not sent again
    /// by the same command.
    Unreachable {
        /// The error, in one line.
        why: String,
    },
    /// The request may succeed another time.
    Retry {
        /// The pause that the server asked for, at most [`MAX_RETRY_AFTER`](super::MAX_RETRY_AFTER).
        after: Option<Duration>,
        /// The error, in one line.
        why: String,
    },
    /// The server has no such method: it is no DX, or one without jobs.
    NoMethod {
        /// The HTTP status.
        status: u16,
    },
    /// The server named another address, which was not followed: the token is not for it. To be kept until the address is corrected.
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host of the other address, or `the same host`.
        to_host: String,
    },
}

impl Outcome {
    /// Returns true if DX has the run now.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

impl fmt::Display for Outcome {
    /// One line for people, with advice if there is any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, message: &str| match message {
            "" => Ok(()),
            message => write!(f, ": {message}"),
        };
        match self {
            Self::Accepted => f.write_str("DX accepted it"),
            Self::Rejected { code, message } => {
                write!(f, "DX rejected it as {code}")?;
                said(f, message)
            }
            Self::Refused { status, code, message } => {
                write!(f, "DX refused it with status {status}, {code}")?;
                said(f, message)
            }
            Self::Unauthorised { code, message } => {
                write!(f, "DX did not take the token, {code}")?;
                said(f, message)?;
                f.write_str(" (correct DX_API_TOKEN or the token file)")
            }
            Self::Retry { why, .. } | Self::Unreachable { why } => f.write_str(why),
            Self::NoMethod { status } => write!(f, "the server has no such method (status {status})"),
            Self::Redirected { status, to_host } => {
                write!(f, "DX redirects to {to_host} ({status}): correct DX_API_URL")
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// A Wednesday.
    const NOW: &str = "2025-01-01T12:00:00Z";

    fn outcome(status: u16, body: &str) -> Outcome {
        classify(
            &Reply {
                status,
                body: body.as_bytes(),
                ..Reply::default()
            },
            NOW.parse().unwrap(),
            None,
        )
    }

    fn no(code: &str) -> String {
        format!(r#"{{"ok":false,"error":"{code}","message":"because"}}"#)
    }

    #[test]
    fn accepted_only_with_2xx_and_ok() {
        for status in [200, 201, 202, 299] {
            assert_eq!(outcome(status, r#"{"ok":true}"#), Outcome::Accepted);
        }
        for status in [100, 199, 304, 400, 401, 404, 429, 500, 503] {
            assert!(
                matches!(outcome(status, r#"{"ok":true}"#), Outcome::Retry { .. }),
                "{status}"
            );
        }
        for body in ["", "{}", "ok", "<html>", r#"{"ok":"true"}"#, r#"{"ok":true"#] {
            assert!(
                matches!(outcome(200, body), Outcome::Retry { after: None, .. }),
                "{body}"
            );
        }
    }

    #[test]
    fn codes_decide_under_2xx_and_4xx() {
        let message = || "because".to_owned();
        for status in [200, 400, 401, 403, 404, 422] {
            for code in ["invalid_json", "invalid_timestamp", "required_params_missing"] {
                assert_eq!(
                    outcome(status, &no(code)),
                    Outcome::Rejected {
                        code: code.into(),
                        message: message()
                    }
                );
            }
            for code in ["not_authed", "invalid_auth", "account_inactive"] {
                assert_eq!(
                    outcome(status, &no(code)),
                    Outcome::Unauthorised {
                        code: code.into(),
                        message: message()
                    }
                );
            }
            let refused = Outcome::Refused {
                status,
                code: "other".into(),
                message: message(),
            };
            assert_eq!(outcome(status, &no("other")), refused);
        }
        let bare = Outcome::Refused {
            status: 400,
            code: "without a code".into(),
            message: String::new(),
        };
        assert_eq!(outcome(400, r#"{"ok":false}"#), bare);
    }

    #[test]
    fn trouble_that_may_pass_is_retried_whatever_the_code() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            for body in [
                no("invalid_json"),
                no("invalid_auth"),
                no("other"),
                "<html>".to_owned(),
                String::new(),
            ] {
                assert!(
                    matches!(outcome(status, &body), Outcome::Retry { .. }),
                    "{status} {body}"
                );
            }
        }
        let Outcome::Retry { why, .. } = outcome(503, &no("down")) else {
            panic!("not retried")
        };
        assert_eq!(why, "DX answered with status 503, down: because");
    }

    #[test]
    fn answers_without_dx_s_json_are_another_servers() {
        for status in [400, 401, 403, 407, 413, 600, 0] {
            assert!(
                matches!(outcome(status, "<html>Denied</html>"), Outcome::Retry { .. }),
                "{status}"
            );
        }
        for status in [404, 405, 410] {
            assert!(
                matches!(outcome(status, "<html>Not here</html>"), Outcome::Unreachable { .. }),
                "{status}"
            );
        }
    }

    #[test]
    fn redirects_are_named_by_host_only() {
        let redirect = |location| {
            let reply = Reply {
                status: 307,
                location,
                body: br#"{"ok":true}"#,
                ..Reply::default()
            };
            match classify(&reply, NOW.parse().unwrap(), None) {
                Outcome::Redirected { status: 307, to_host } => to_host,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            redirect(Some("https://user:secret@evil.example:8443/a?b=c")),
            "evil.example"
        );
        assert_eq!(redirect(Some("/login")), "the same host");
        assert_eq!(redirect(Some("\0")), "the same host");
        assert_eq!(redirect(None), "the same host");
        for status in [301, 302, 303, 308] {
            assert!(matches!(outcome(status, ""), Outcome::Redirected { .. }));
        }
        for status in [300, 304, 305] {
            assert!(matches!(outcome(status, ""), Outcome::Retry { .. }));
        }
    }

    #[test]
    fn retry_after_in_both_forms_and_clamped() {
        let after = |text| {
            let reply = Reply {
                status: 429,
                retry_after: Some(text),
                body: b"",
                ..Reply::default()
            };
            match classify(&reply, NOW.parse().unwrap(), None) {
                Outcome::Retry { after, .. } => after.map(|after| after.as_secs()),
                other => panic!("{other:?}"),
            }
        };
        let cases = [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("3600", Some(3600)),
            ("3601", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Wed, 01 Jan 2025 12:00:30 GMT", Some(30)),
            ("Wed, 01 Jan 2025 11:59:00 GMT", Some(0)),
            ("Thu, 01 Jan 2026 12:00:00 GMT", Some(3600)),
            ("Thu, 01 Jan 2025 12:00:30 GMT", None),
            ("2025-01-01T12:00:30Z", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(after(text), seconds, "{text}");
        }
    }

    #[test]
    fn dx_s_message_is_bounded_and_without_the_token() {
        let token = Token::new("sesame-open".to_owned()).unwrap();
        let long = "x".repeat(5000);
        let body =
            format!(r#"{{"ok":false,"error":"bad sesame-open","message":"\u001b[2J key sesame\u002dopen {long}"}}"#);
        for status in [200, 400, 500] {
            let reply = Reply {
                status,
                body: body.as_bytes(),
                ..Reply::default()
            };
            let text = format!("{:?}", classify(&reply, NOW.parse().unwrap(), Some(&token)));
            assert!(
                text.contains("(token)") && !text.contains("sesame") && !text.contains("u{1b}"),
                "{text}"
            );
            assert!(text.len() < 900, "{}", text.len());
        }
        let location = Some("https://sesame-open.example/");
        let reply = Reply {
            status: 302,
            location,
            ..Reply::default()
        };
        let text = format!("{:?}", classify(&reply, NOW.parse().unwrap(), Some(&token)));
        assert!(!text.contains("sesame"), "{text}");
    }
}
