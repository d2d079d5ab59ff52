//! Schemes that send the secret itself. Only TLS protects it, and nothing protects the body.

use super::{BadSignature, Secret, SignedRequest, mac};

/// The header of the schemes that HTTP knows.
const AUTHORIZATION: &str = "Authorization";

/// Checks a header that is the secret.
pub(super) fn in_header(
    secrets: &[Secret],
    request: &SignedRequest<'_>,
    name: &'static str,
) -> Result<(), BadSignature> {
    check(secrets, request.header(name)?, name)
}

/// Checks `Authorization: Bearer SECRET`.
pub(super) fn bearer(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    check(secrets, credentials(request, "Bearer")?.as_bytes(), AUTHORIZATION)
}

/// Checks `Authorization: Basic`, where the secrets are of the form `user:password`.
pub(super) fn basic(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    let shown = mac::base64(credentials(request, "Basic")?.as_bytes());
    let shown = shown.ok_or(BadSignature::Malformed(AUTHORIZATION))?;
    check(secrets, &shown, AUTHORIZATION)
}

/// Returns what follows the scheme in `Authorization`.
fn credentials<'a>(request: &SignedRequest<'a>, scheme: &str) -> Result<&'a str, BadSignature> {
    let parts = request.text(AUTHORIZATION)?.split_once(' ');
    let (_, credentials) = parts
        .filter(|(named, _)| named.eq_ignore_ascii_case(scheme))
        .ok_or(BadSignature::Malformed(AUTHORIZATION))?;
    Ok(credentials.trim_start_matches(' '))
}

fn check(secrets: &[Secret], shown: &[u8], name: &'static str) -> Result<(), BadSignature> {
    let is = mac::is_secret(secrets, shown);
    is.then_some(()).ok_or(BadSignature::Wrong(name))
}
