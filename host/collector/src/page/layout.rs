//! The frame of every page, the pages of errors, the stylesheet, script and icon, and the policy that allows nothing else.

use crate::store::StoreError;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pipefold_sandbox::foreign::visible;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

/// The part of the site that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    Runs,
    Pipelines,
    Hooks,
    Policies,
    Elsewhere,
}

/// The frame around the content of a page.
pub struct Shell<'a> {
    title: &'a str,
    here: Here,
    is_live: bool,
}

impl<'a> Shell<'a> {
    /// `title` names the page in the browser's tabs.
    pub fn new(title: &'a str, here: Here) -> Self {
        Self {
            title,
            here,
            is_live: false,
        }
    }

    /// Adds the sign that the script keeps the content up to date.
    pub fn live(mut self, is_live: bool) -> Self {
        self.is_live = is_live;
        self
    }

    /// Returns the whole document.
    pub fn page(&self, content: &Markup) -> Markup {
        let current = |here| (self.here == here).then_some("page");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    title { (visible(self.title)) " · pipefold" }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex, nofollow";
                    link rel="icon" type="image/svg+xml" href=(ICON_ADDRESS);
                    link rel="stylesheet" href=(STYLE_ADDRESS.as_str());
                }
                body {
                    a .skip href="#main" { "Skip to the content" }
                    (sprite())
                    header .site {
                        a .brand href="/" {
                            svg viewBox="4 8 24 16" width="24" height="16" aria-hidden="true" {
                                path .fold-1 d="M4 8h13l-5 8 5 8H4z" {}
                                path .fold-2 d="M17 8h11v16H17l-5-8z" {}
                            }
                            "pipefold"
                        }
                        nav aria-label="Site" {
                            a href="/" aria-current=[current(Here::Pipelines)] { "Pipelines" }
                            a href="/runs" aria-current=[current(Here::Runs)] { "Runs" }
                            a href="/hooks" aria-current=[current(Here::Hooks)] { "Webhooks" }
                            a href="/policies" aria-current=[current(Here::Policies)] { "Policies" }
                        }
                        @if self.is_live {
                            span #live-sign .live-sign role="status" hidden { "Live" }
                        }
                    }
                    main #main tabindex="-1" { (content) }
                    footer .site { "pipefold " (env!("CARGO_PKG_VERSION")) " · " span #zone { "times are UTC" } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }
}

/// Returns the shapes of the statuses, once for a page: a status is shown by its name and its shape, the colour only helps.
fn sprite() -> Markup {
    html! {
        svg .sprite width="0" height="0" aria-hidden="true" {
            symbol #i-success viewBox="0 0 16 16" { path d="M3.5 8.5l3 3 6-7" {} }
            symbol #i-failure viewBox="0 0 16 16" { path d="M4.5 4.5l7 7m0-7l-7 7" {} }
            symbol #i-running viewBox="0 0 16 16" { path d="M8 2.5a5.5 5.5 0 1 1-5.5 5.5" {} }
            symbol #i-cancelled viewBox="0 0 16 16" { path d="M8 2.5a5.5 5.5 0 1 0 .01 0zM4.2 4.2l7.6 7.6" {} }
            symbol #i-unknown viewBox="0 0 16 16" { path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.6M8 12.4v.1" {} }
            symbol #i-stale viewBox="0 0 16 16" { path d="M8 2.5a5.5 5.5 0 1 0 .01 0zM8 5v3.2l2.2 1.6" {} }
        }
    }
}

/// The reason why there is no page. Its text is for a visitor: no data of the machine, and none that the visitor may not see.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PageError {
    /// The visitor is not known.
    #[error("Sign in first: the name of a token is the user name, the token is the password.")]
    UnknownCaller,
    /// The token may not read.
    #[error("This token may only report runs. Use one that was made with --read.")]
    MayNotRead,
    /// There is none that the visitor may see.
    #[error("There is no such {0} that this token may see. It may have been removed because of its age.")]
    NoSuch(&'static str),
    /// No page has this address.
    #[error("There is no page at this address.")]
    Nowhere,
    /// The address has an invalid value.
    #[error("{0}")]
    Address(String),
    /// The store failed.
    #[error("The runs cannot be read at the moment. Try again; if that does not help, see the server's log.")]
    Store(#[from] StoreError),
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownCaller => StatusCode::UNAUTHORIZED,
            Self::MayNotRead => StatusCode::FORBIDDEN,
            Self::NoSuch(_) | Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Address(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::UnknownCaller => "Sign in",
            Self::MayNotRead => "Not with this token",
            Self::NoSuch(_) | Self::Nowhere => "Not found",
            Self::Address(_) => "Invalid address",
            Self::Store(_) => "Try again in a moment",
        }
    }
}

/// Returns the page for an unknown address.
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
                p { a href="/runs" { "All runs" } }
            }
        };
        let page = Shell::new(self.title(), Here::Elsewhere).page(&content);
        let mut response = (self.status(), Html(page.into_string())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::UnknownCaller => {
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

/// The script, within each page, so that its digest in the policy is enough in every browser: not all of them accept a digest for a
/// script with an address.
const SCRIPT: &str = include_str!("script.js");

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// The address of the stylesheet. It has its digest, so that a browser may keep it for good.
pub static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let mut address = "/assets/style.css?".to_owned();
    for byte in &Sha256::digest(STYLE)[..6] {
        // Writing to a string cannot fail.
        let _ = write!(address, "{byte:02x}");
    }
    address
});

/// The address of the icon.
pub const ICON_ADDRESS: &str = "/assets/icon.svg";

/// A year: as long as a browser keeps anything (RFC 9111 sets no limit).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

pub async fn style() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, FOR_GOOD),
        ],
        STYLE,
    )
}

pub async fn icon() -> impl IntoResponse {
    // A day: its address stays the same.
    (
        [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CACHE_CONTROL, "public, max-age=86400"),
        ],
        ICON,
    )
}

/// The Content-Security-Policy (CSP Level 3). It allows only: our stylesheet and icon; the one script, by its digest, so that no other runs
/// even if it got into a page; requests to ourselves, by that script; forms to ourselves. No site may frame a page, change the base of its
/// addresses, or make markup out of text in a script.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'sha256-{digest}'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // The text is always a valid value; a policy that allows nothing is the safe default.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Sets the headers of every answer. `nosniff`: a reported value must not be taken for a script. No referrer: names of pipelines are not
/// for other sites. Same origin: other sites' pages cannot reach into ours, nor embed their content.
fn secure(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A visitor's page is not for shared caches.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
}

/// Adds the headers to an answer.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    secure(response.headers_mut());
    response
}
