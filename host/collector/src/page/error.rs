//! What a visitor is told when there is no page.

use super::layout::{Here, Shell};
use super::secure::secure;
use crate::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use pipefold_sandbox::foreign::visible;

/// Why there is no page. What it says is for a visitor: nothing of the machine, and nothing of what may not be seen.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nobody said who is looking.
    #[error("Sign in first: the name of a token is the user name, the token is the password.")]
    NobodyKnown,
    /// The token may not read.
    #[error("This token may report runs, and see none. Use one that was made with --read.")]
    MayNotRead,
    /// There is none, or it may not be seen: which of the two is not told.
    #[error(
        "There is no such {0}, or it may not be seen with this token. It may have been removed because of its age."
    )]
    NoSuch(&'static str),
    /// No page has this address.
    #[error("There is nothing under this address.")]
    Nowhere,
    /// The address has something that cannot be.
    #[error("{0}")]
    Address(String),
    /// The store did not answer.
    #[error("The runs cannot be read at the moment. Try again; if that does not help, the server's log says why.")]
    Store(#[from] StoreError),
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NobodyKnown => StatusCode::UNAUTHORIZED,
            Self::MayNotRead => StatusCode::FORBIDDEN,
            Self::NoSuch(_) | Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Address(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NobodyKnown => "Who is there?",
            Self::MayNotRead => "Not with this token",
            Self::NoSuch(_) | Self::Nowhere => "Not found",
            Self::Address(_) => "This address does not work",
            Self::Store(_) => "Try again in a moment",
        }
    }
}

/// The page for an address that no page has.
pub(crate) fn nowhere() -> Response {
    let mut response = PageError::Nowhere.into_response();
    secure(response.headers_mut());
    response
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self {
            tracing::warn!("a page could not be shown: {error}");
        }
        let content = html! {
            section .empty {
                h1 { (self.title()) }
                p { (visible(&self.to_string())) }
                p { a href="/" { "All runs" } }
            }
        };
        let page = Shell::new(self.title(), Here::Elsewhere).page(&content);
        let mut response = (self.status(), Html(page.into_string())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::NobodyKnown => {
                let challenge = HeaderValue::from_static("Basic realm=\"pipefold\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Store(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
