//! The ways in which the server can misbehave, and for how long.

use std::time::Duration;

use crate::endpoint::Endpoint;

/// The server's reaction to a request.
///
/// Unless noted otherwise, a request in a mode leaves no trace in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the rules of DX's page.
    Normal,
    /// The socket is closed: the kernel refuses connections, and open ones are cut. Holds until another mode is set.
    RefuseConnections,
    /// The request is read and never answered.
    Hang,
    /// The request is honoured, half of the answer is sent, then the connection is cut.
    CloseHalfWay,
    /// Status 429, with DX's kind of body.
    TooManyRequests {
        /// The `Retry-After` header.
        retry_after: RetryAfter,
    },
    /// Status 500, with DX's kind of body.
    InternalError,
    /// Status 502 with a page of HTML, as a proxy in front of DX sends it.
    BadGateway,
    /// `{"ok":false}` with this code and this HTTP status.
    NotOk {
        /// The value of `error`.
        code: String,
        /// The HTTP status.
        status: u16,
    },
    /// Status 200 with a page of HTML, as a captive portal sends it.
    NotJson,
    /// Any status and body.
    Plain {
        /// The HTTP status.
        status: u16,
        /// The body, sent as `text/plain`.
        body: String,
    },
    /// A redirect.
    Redirect {
        /// The HTTP status, such as 302 or 307.
        status: u16,
        /// The `Location` header.
        to: String,
    },
    /// The request is honoured, and the answer is correct and 10 MB long.
    Huge,
    /// The request is honoured, and the answer comes one byte every 100 ms.
    SlowDrip,
    /// The request is honoured, and the answer comes after this time.
    Slow(Duration),
}

impl Mode {
    /// The answers of a server that lacks an API method, for [`Standin::misbehave_at`](crate::Standin::misbehave_at): 404 and 405, each as
    /// DX's JSON first and then as plain text.
    #[must_use]
    pub fn lacking() -> [Self; 4] {
        let json = |status, code: &str| Self::NotOk {
            code: code.to_owned(),
            status,
        };
        let plain = |status, body: &str| Self::Plain {
            status,
            body: body.to_owned(),
        };
        [
            json(404, "unknown_method"),
            plain(404, "Not Found"),
            json(405, "method_not_allowed"),
            plain(405, "Method Not Allowed"),
        ]
    }
}

/// A `Retry-After` header, in each of its forms (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// No such header.
    None,
    /// A number of seconds.
    Seconds(u64),
    /// A date, this many seconds from now; negative is in the past.
    Date(i64),
}

/// The number of requests for which a mode holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Until the modes are reset.
    Always,
    /// For the next so many requests.
    Next(u32),
}

/// A mode with its condition.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) mode: Mode,
    pub(crate) times: Times,
    /// The API method that it is limited to.
    pub(crate) endpoint: Option<Endpoint>,
    /// The run whose requests, and those of its jobs, it is limited to.
    pub(crate) reference_id: Option<String>,
}

/// The rules in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn push(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// The mode for a request about a run or one of its jobs: that of the oldest rule that fits, which is used up by one.
    pub(crate) fn take(&mut self, endpoint: Option<Endpoint>, reference_id: Option<&str>) -> Mode {
        self.0.retain(|rule| rule.times != Times::Next(0));
        let fits = |rule: &&mut Rule| {
            (rule.endpoint.is_none() || rule.endpoint == endpoint)
                && (rule.reference_id.is_none() || rule.reference_id.as_deref() == reference_id)
        };
        let Some(rule) = self.0.iter_mut().find(fits) else {
            return Mode::Normal;
        };
        if let Times::Next(left) = &mut rule.times {
            *left -= 1;
        }
        rule.mode.clone()
    }
}
