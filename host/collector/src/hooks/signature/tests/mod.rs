//! Signatures of the vendors' documentation, and what is made of them.

mod properties;
mod refused;
mod secrets;
mod vendors;

use super::{BadSignature, Scheme, Secret, SignedRequest};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use chrono::DateTime;
use secrecy::SecretString;
use std::time::Duration;

/// The allowed age in these tests, in seconds.
const MOST: i64 = 300;

/// A request that a vendor signed.
#[derive(Clone, Debug)]
struct Signed {
    scheme: Scheme,
    secret: &'static str,
    /// The headers that the proof consists of.
    proof: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The seconds since 1970 at which it was signed; `None` where the scheme signs no time.
    at: Option<i64>,
}

impl Signed {
    fn new(scheme: Scheme, secret: &'static str, proof: &[(&'static str, &str)], body: &str) -> Self {
        Self {
            scheme,
            secret,
            proof: proof.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            at: None,
        }
    }

    fn at(self, seconds: i64) -> Self {
        Self {
            at: Some(seconds),
            ..self
        }
    }

    /// Returns true if the body is part of what is checked.
    fn covers_body(&self) -> bool {
        !matches!(
            self.proof[0].0,
            "X-Gitlab-Token" | "X-Buildkite-Token" | "Authorization"
        )
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in &self.proof {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn check(&self) -> Result<(), BadSignature> {
        self.check_with(&[self.secret], self.at.unwrap_or_default())
    }

    fn check_with(&self, secrets: &[&str], now: i64) -> Result<(), BadSignature> {
        let secrets: Vec<_> = secrets.iter().map(|text| secret(self.scheme, text)).collect();
        self.scheme.check(
            &secrets,
            &SignedRequest {
                method: &Method::POST,
                target: "/hooks/drone?x=1",
                headers: &self.headers(),
                body: &self.body,
                now: DateTime::from_timestamp(now, 0).unwrap(),
                max_age: Duration::from_secs(MOST.unsigned_abs()),
            },
        )
    }
}

fn secret(scheme: Scheme, text: &str) -> Secret {
    Secret::new(scheme, &SecretString::from(text)).unwrap()
}
