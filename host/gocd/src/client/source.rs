//! Where documents come from, and why one cannot be had.

use std::time::Duration;

use crate::address::Resource;
use crate::documents::PipelineLocator;

/// A source of a GoCD server's answers: the client, or a test.
pub trait Source {
    /// The document's bytes, not empty. One request, redirects within the server and repetitions aside; bounded in size and time.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no document. What may pass was tried several times by then.
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError>;

    /// What the server's JSON API says of a pipeline's run (GoCD API, "Get pipeline instance": `/go/api/pipelines/NAME/COUNTER`), for the
    /// revisions that the new dialect's documents do not have. Bounded in the same way.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer in JSON.
    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError>;
}

/// Why a GoCD server gave no document. No text has a password or a token; texts of the server are short, on one line and without them.
///
/// [`BadCredentials`](Self::BadCredentials) is about everything that is asked for, the others about what was asked for just now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// 401 with `WWW-Authenticate`: the server does not take the credentials, or wants some where none were given.
    #[error("the GoCD server does not take the user name and password or the token, or wants some: correct them")]
    BadCredentials,
    /// 403, or 401 without `WWW-Authenticate`, which is how servers up to 18.4 and from 20.1 on say it.
    #[error("the GoCD server does not let this user see it: give the user the view permission on the pipeline's group")]
    NoPermission,
    /// 404.
    #[error("the GoCD server knows no such document: it was renamed or deleted, or never was")]
    NotFound,
    /// No answer, or one that may be another another time: 408, 425, 429 and 5xx.
    #[error("{why}")]
    Unavailable {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// For how long the server asked to be left alone, at most [`MAX_RETRY_AFTER`](pipefold::http::MAX_RETRY_AFTER).
        retry_after: Option<Duration>,
        /// What happened, in one line with the address.
        why: String,
    },
    /// The server named another address that is none of its documents, such as a login page or another host. It was not asked.
    #[error("{0}")]
    Redirected(String),
    /// The answer is longer than allowed; it was not read to its end.
    #[error("{0}")]
    TooLarge(String),
    /// What came is no document, such as a login page in HTML.
    #[error("{0}")]
    NotADocument(String),
    /// Another answer that will not change by itself, such as 400.
    #[error("{why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What happened, in one line with the address.
        why: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
