//! Taking an answer apart.

use std::io::Read;

use ureq::Body;
use ureq::http::{HeaderName, Response};

/// A header's value, if it is text.
#[must_use]
pub fn header<'a>(response: &'a Response<Body>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body, or its first `limit` bytes and one more, which shows that it is longer. Read to its end if it is not, so that the connection
/// can be kept.
///
/// # Errors
///
/// What the HTTP library reports, among them a body that ends before it is complete.
pub fn read_body(response: &mut Response<Body>, limit: usize) -> Result<Vec<u8>, ureq::Error> {
    let mut body = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    response.body_mut().as_reader().take(limit).read_to_end(&mut body)?;
    Ok(body)
}
