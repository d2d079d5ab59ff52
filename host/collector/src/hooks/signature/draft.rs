//! HTTP signatures after draft-cavage-http-signatures, as Drone makes them.

use super::{BadSignature, Secret, SignedRequest, mac};
use chrono::DateTime;

const SIGNATURE: &str = "Signature";
const DATE: &str = "Date";
const DIGEST: &str = "Digest";

/// The most headers that a signature covers. Drone's covers two.
const MOST_HEADERS: usize = 32;

/// Checks `Signature`, which must cover `Date` and `Digest`, then `Digest` over the body, then the age of `Date`.
pub(super) fn drone(secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
    let names = check_headers(secrets, request)?;
    for name in [DATE, DIGEST] {
        if !names.iter().any(|covered| covered.eq_ignore_ascii_case(name)) {
            return Err(BadSignature::Uncovered(name));
        }
    }
    if !mac::is_digest(request.body, digest(request.text(DIGEST)?)?) {
        return Err(BadSignature::Wrong(DIGEST));
    }
    let signed = DateTime::parse_from_rfc2822(request.text(DATE)?);
    let signed = signed.map_err(|_| BadSignature::Malformed(DATE))?;
    request.check_age(signed.timestamp())
}

/// Checks the signature of the headers that it names, and returns their names.
pub(super) fn check_headers<'a>(secrets: &[Secret], request: &SignedRequest<'a>) -> Result<Vec<&'a str>, BadSignature> {
    let malformed = BadSignature::Malformed(SIGNATURE);
    let parameters = parameters(request.text(SIGNATURE)?).ok_or(malformed.clone())?;
    let parameter = |name: &str| {
        let mut values = parameters.iter().filter(|parameter| parameter.0 == name);
        let value = values.next().map(|parameter| parameter.1);
        value.filter(|_| values.next().is_none())
    };
    let (Some(_), Some("hmac-sha256"), Some(headers), Some(shown)) = (
        parameter("keyId"),
        parameter("algorithm"),
        parameter("headers"),
        parameter("signature"),
    ) else {
        return Err(malformed);
    };
    let shown = mac::of_base64(shown).ok_or(malformed.clone())?;
    let names: Vec<&str> = headers.split(' ').take(MOST_HEADERS + 1).collect();
    if names.len() > MOST_HEADERS {
        return Err(malformed);
    }
    let message = message(&names, request)?;
    let fits = mac::fits_secret(secrets, &[&message], shown);
    fits.then_some(names).ok_or(BadSignature::Wrong(SIGNATURE))
}

/// Returns the parameters `name="value"`, in any order.
fn parameters(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    loop {
        let (name, after) = rest.trim_start().split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        found.push((name, value));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(found);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// Returns the signed text: a line for each header.
fn message(names: &[&str], request: &SignedRequest<'_>) -> Result<Vec<u8>, BadSignature> {
    let mut message = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            message.push(b'\n');
        }
        let name = name.to_ascii_lowercase();
        message.extend_from_slice(name.as_bytes());
        message.extend_from_slice(b": ");
        if name == "(request-target)" {
            let method = request.method.as_str().to_ascii_lowercase();
            message.extend_from_slice(method.as_bytes());
            message.push(b' ');
            message.extend_from_slice(request.target.as_bytes());
            continue;
        }
        let mut values = request.headers.get_all(&name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(BadSignature::Covered);
        };
        message.extend_from_slice(value.as_bytes());
    }
    Ok(message)
}

/// Returns the sha256 in a list such as `SHA-256=BASE64`.
fn digest(value: &str) -> Result<mac::Shown, BadSignature> {
    let mut of_sha256 = value.split(',').filter_map(|digest| {
        let (algorithm, digest) = digest.trim().split_once('=')?;
        algorithm.eq_ignore_ascii_case("SHA-256").then_some(digest)
    });
    let digest = of_sha256.next().filter(|_| of_sha256.next().is_none());
    digest.and_then(mac::of_base64).ok_or(BadSignature::Malformed(DIGEST))
}
