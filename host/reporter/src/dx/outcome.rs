//! What became of a request.

use std::fmt;
use std::time::Duration;

/// For how long DX has to go on refusing a run with a code that its page does not list before that counts as final: "other errors can be
/// returned in the case where the service is down", and an incident may last over a long weekend.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// What became of one request, and so what is to be done with the run. Texts from DX in it are short, on one line and without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// DX said `ok`.
    Accepted,
    /// DX will never take this run: `invalid_json`, `invalid_timestamp` or `required_params_missing`. Not to be retried.
    Rejected {
        /// DX's error code.
        code: String,
        /// DX's words; may be empty.
        message: String,
    },
    /// DX said no for a reason that its page does not list, so it may pass. To be given up only when that went on for days.
    Refused {
        /// The HTTP status.
        status: u16,
        /// DX's error code.
        code: String,
        /// DX's words; may be empty.
        message: String,
    },
    /// DX does not take the token: `not_authed`, `invalid_auth` or `account_inactive`. To be kept until there is another.
    Unauthorised {
        /// DX's error code.
        code: String,
        /// DX's words; may be empty.
        message: String,
    },
    /// It will not go better before something is put right: the address, a certificate, this machine's network. To be kept, and not tried
    /// again by the same command.
    Unreachable {
        /// What happened, in one line.
        why: String,
    },
    /// It may go better another time.
    Retry {
        /// For how long the server asked to be left alone, at most [`MAX_RETRY_AFTER`](super::MAX_RETRY_AFTER).
        after: Option<Duration>,
        /// What happened, in one line.
        why: String,
    },
    /// The server named another address, which was not followed: the token is not for it. To be kept until the address is corrected.
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host it named, or `the same host`.
        to_host: String,
    },
}

impl Outcome {
    /// Whether DX has the run now.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

impl fmt::Display for Outcome {
    /// One line for people, with what to do where something can be done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, message: &str| match message {
            "" => Ok(()),
            message => write!(f, ": {message}"),
        };
        match self {
            Self::Accepted => f.write_str("DX accepted the run"),
            Self::Rejected { code, message } => {
                write!(f, "DX rejected the run as {code}")?;
                said(f, message)
            }
            Self::Refused { status, code, message } => {
                write!(f, "DX refused the run with status {status}, {code}")?;
                said(f, message)
            }
            Self::Unauthorised { code, message } => {
                write!(f, "DX did not take the token, {code}")?;
                said(f, message)?;
                f.write_str(" (correct DX_API_TOKEN or the token file)")
            }
            Self::Retry { why, .. } | Self::Unreachable { why } => f.write_str(why),
            Self::Redirected { status, to_host } => {
                write!(f, "DX redirects to {to_host} ({status}): correct DX_API_URL")
            }
        }
    }
}
