//! Stylesheet, script and icon, and the policy that lets nothing else run.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

/// Within each page that is live, so that its digest in the policy is enough in every browser: not all of them let a digest vouch for a
/// script that comes by an address.
pub const SCRIPT: &str = include_str!("live.js");

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// Address of the stylesheet. It address has its digest, so that a browser may keep it for good.
pub static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let mut address = "/assets/style.css?".to_owned();
    for byte in &Sha256::digest(STYLE)[..6] {
        // Writing to a string cannot fail.
        let _ = write!(address, "{byte:02x}");
    }
    address
});

/// Address of the icon.
pub const ICON_ADDRESS: &str = "/assets/icon.svg";

/// For a year: as long as a browser keeps anything (RFC 9111 leaves it to it).
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

/// Content-Security-Policy (CSP Level 3). Nothing is allowed but: our stylesheet and icon; the one script, by its digest, so that no other
/// runs even if it got into a page; requests to ourselves, by that script; forms to ourselves. No site may frame a page, change what its
/// addresses are relative to, or make markup out of text in a script.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'sha256-{digest}'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // All of it is plain text; a policy that allows nothing is the safe way out.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The headers of every answer, whatever it is. `nosniff`: a value that was reported must not be taken for a script. No referrer: names of
/// pipelines are not for other sites. Same origin: other sites' pages cannot reach into ours, nor embed what is in it.
pub fn secure(headers: &mut HeaderMap) {
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
    // What one visitor may see is not for caches that others share.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
}

/// Adds them to an answer.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    secure(response.headers_mut());
    response
}
