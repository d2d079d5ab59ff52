//! Schemes that sign a time and the body.

use super::request::seconds;
use super::{BadSignature, Secret, SignedRequest, mac};

/// The header of a signature of Standard Webhooks.
pub(super) const SIGNATURE: &str = "webhook-signature";
/// The header of a signature of Buildkite.
pub(super) const BUILDKITE: &str = "X-Buildkite-Signature";

/// Checks `webhook-signature: v1,BASE64`, of `ID.TIME.BODY`. It may have several signatures, with spaces in between; unknown versions are left out.
///
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
pub(super) fn standard_webhooks(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    const TIME: &str = "webhook-timestamp";
    let id = request.header("webhook-id")?;
    let time = request.text(TIME)?;
    let signed = seconds(time).ok_or(BadSignature::Malformed(TIME))?;
    let versions = request.text(SIGNATURE)?.split(' ');
    let shown: Option<Vec<mac::Shown>> = versions
        .filter_map(|version| version.strip_prefix("v1,"))
        .map(mac::of_base64)
        .collect();
    let shown = shown.filter(|shown| !shown.is_empty());
    let shown = shown.ok_or(BadSignature::Malformed(SIGNATURE))?;
    let keys: Vec<_> = secrets.iter().filter_map(Secret::signing_key).collect();
    if keys.is_empty() {
        return Err(BadSignature::NoKey(SIGNATURE));
    }
    let message = [id, b".", time.as_bytes(), b".", request.body];
    if !mac::fits(keys.iter().map(|key| key.as_slice()), &message, &shown) {
        return Err(BadSignature::Wrong(SIGNATURE));
    }
    request.check_age(signed)
}

/// Checks `X-Buildkite-Signature: timestamp=T,signature=HEX`, of `T.BODY`.
///
/// <https://buildkite.com/docs/apis/webhooks/pipelines#webhook-signature>
pub(super) fn buildkite(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    let malformed = BadSignature::Malformed(BUILDKITE);
    let value = request.text(BUILDKITE)?;
    let part = |name: &str| {
        let parts = value.split(',').map(str::trim);
        let mut values = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        values.next().filter(|_| values.next().is_none())
    };
    let parts = part("timestamp").zip(part("signature"));
    let (time, hex) = parts.ok_or(malformed.clone())?;
    let signed = seconds(time).ok_or(malformed.clone())?;
    let shown = mac::of_hex(hex).ok_or(malformed)?;
    if !mac::fits_secret(secrets, &[time.as_bytes(), b".", request.body], shown) {
        return Err(BadSignature::Wrong(BUILDKITE));
    }
    request.check_age(signed)
}
