//! What a page is made of besides its content: one stylesheet, one script, one icon. All of it is ours and comes from here.

use axum::http::header;
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

/// Within each page that is live, so that its digest in the policy is enough in every browser: not all of them let a digest vouch for a
/// script that comes by an address.
pub(super) const SCRIPT: &str = include_str!("live.js");

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// Where the stylesheet is. The address has its digest, so that a browser may keep it for good.
pub(super) static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let mut address = "/assets/style.css?".to_owned();
    for byte in &Sha256::digest(STYLE)[..6] {
        // Writing to a string cannot fail.
        let _ = write!(address, "{byte:02x}");
    }
    address
});

/// Where the icon is.
pub(super) const ICON_ADDRESS: &str = "/assets/icon.svg";

/// For a year: as long as a browser keeps anything (RFC 9111 leaves it to it).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

pub(super) async fn style() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, FOR_GOOD),
        ],
        STYLE,
    )
}

pub(super) async fn icon() -> impl IntoResponse {
    // A day: its address stays the same.
    (
        [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CACHE_CONTROL, "public, max-age=86400"),
        ],
        ICON,
    )
}
