//! Schemes that sign the body alone, in hexadecimal digits. They have no time, so a delivery may come again: it folds into the same run.

use super::{BadSignature, Secret, SignedRequest, mac};

/// Checks `sha256=HEX`.
pub(super) fn hub(secrets: &[Secret], request: &SignedRequest<'_>, name: &'static str) -> Result<(), BadSignature> {
    let value = request.text(name)?;
    let hex = value.strip_prefix("sha256=").ok_or(BadSignature::Malformed(name))?;
    check(secrets, request, name, hex)
}

/// Checks digits alone.
pub(super) fn bare(secrets: &[Secret], request: &SignedRequest<'_>, name: &'static str) -> Result<(), BadSignature> {
    check(secrets, request, name, request.text(name)?)
}

/// Checks `v1=HEX` in a list of versions, of which later ones are unknown.
pub(super) fn circleci(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    const NAME: &str = "circleci-signature";
    let malformed = BadSignature::Malformed(NAME);
    let versions = request.text(NAME)?.split(',');
    let mut first = versions.filter_map(|version| version.trim().strip_prefix("v1="));
    let (Some(hex), None) = (first.next(), first.next()) else {
        return Err(malformed);
    };
    check(secrets, request, NAME, hex)
}

fn check(secrets: &[Secret], request: &SignedRequest<'_>, name: &'static str, hex: &str) -> Result<(), BadSignature> {
    let shown = mac::of_hex(hex).ok_or(BadSignature::Malformed(name))?;
    let fits = mac::fits_secret(secrets, &[request.body], shown);
    fits.then_some(()).ok_or(BadSignature::Wrong(name))
}
