//! Who is looking.

use super::error::PageError;
use crate::access::Access;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// What the visitor may see. The server puts an [`Access`] into the request's extensions once it knows the visitor; without one nothing
/// is shown.
pub(super) struct Viewer(pub(super) Access);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        match parts.extensions.get::<Access>() {
            None => Err(PageError::NobodyKnown),
            Some(access) if !access.reads() => Err(PageError::MayNotRead),
            Some(access) => Ok(Self(access.clone())),
        }
    }
}
