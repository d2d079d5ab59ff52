//! The proof that a delivery comes from a system that knows the secret: the schemes of the vendors, over the bytes as they arrived.
//!
//! - `secret`: what both sides know.
//! - `request`: the signed request, and the reading of its headers.
//! - `mac`: HMAC-SHA256 in constant time, hexadecimal digits and base64.
//! - `body`: schemes that sign the body alone. `timed`: those that sign a time too. `draft`: HTTP signatures. `shown`: those that send the
//!   secret itself.
//!
//! A header that a scheme reads may occur once: of two, another server on the way may have read the other one.

mod body;
mod draft;
mod error;
mod mac;
mod request;
mod secret;
mod shown;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod timed;

pub use error::BadSignature;
pub use request::SignedRequest;
pub use secret::{MAX_SECRET, Secret, SecretError};

/// A way to prove knowledge of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// GitHub: `X-Hub-Signature-256: sha256=HEX`, of the body.
    HubSignature256,
    /// Bitbucket: `X-Hub-Signature: sha256=HEX`, of the body.
    HubSignature,
    /// Gitea: `X-Gitea-Signature: HEX`, of the body.
    Gitea,
    /// Forgejo: `X-Forgejo-Signature: HEX`, of the body; without it as Gitea.
    Forgejo,
    /// GitLab: the secret in `X-Gitlab-Token`; with a `webhook-signature` as [`Scheme::StandardWebhooks`].
    Gitlab,
    /// Standard Webhooks: `webhook-signature: v1,BASE64`, of id, time and body.
    StandardWebhooks,
    /// CircleCI: `circleci-signature: v1=HEX`, of the body.
    Circleci,
    /// Buildkite: `X-Buildkite-Signature: timestamp=T,signature=HEX`, of time and body; without it the secret in `X-Buildkite-Token`.
    Buildkite,
    /// Drone: `Signature`, of the headers `Date` and `Digest`, and `Digest: SHA-256=BASE64`, of the body.
    Drone,
    /// `Authorization: Basic`, with a secret of the form `user:password`.
    Basic,
    /// `Authorization: Bearer SECRET`.
    Token,
    /// No proof.
    None,
}

impl Scheme {
    /// All schemes, with their names in configurations.
    pub const ALL: [(&'static str, Self); 12] = [
        ("hub-signature-256", Self::HubSignature256),
        ("hub-signature", Self::HubSignature),
        ("gitea", Self::Gitea),
        ("forgejo", Self::Forgejo),
        ("gitlab", Self::Gitlab),
        ("standard-webhooks", Self::StandardWebhooks),
        ("circleci", Self::Circleci),
        ("buildkite", Self::Buildkite),
        ("drone", Self::Drone),
        ("basic", Self::Basic),
        ("token", Self::Token),
        ("none", Self::None),
    ];

    /// Returns the scheme of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    /// Returns the scheme's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|known| known.1 == self)
            .map_or("", |known| known.0)
    }

    /// Checks that a request was made with one of the secrets.
    ///
    /// The time that it takes depends on the request alone, and on the number and kind of the secrets.
    ///
    /// # Errors
    /// [`BadSignature`], for the log of the operator.
    pub fn check(self, secrets: &[Secret], request: &SignedRequest<'_>) -> Result<(), BadSignature> {
        match self {
            Self::HubSignature256 => body::hub(secrets, request, "X-Hub-Signature-256"),
            Self::HubSignature => body::hub(secrets, request, "X-Hub-Signature"),
            Self::Gitea => body::bare(secrets, request, "X-Gitea-Signature"),
            Self::Forgejo if request.has("X-Forgejo-Signature") => body::bare(secrets, request, "X-Forgejo-Signature"),
            Self::Forgejo => body::bare(secrets, request, "X-Gitea-Signature"),
            Self::Gitlab if request.has(timed::SIGNATURE) => timed::standard_webhooks(secrets, request),
            Self::Gitlab => shown::in_header(secrets, request, "X-Gitlab-Token"),
            Self::StandardWebhooks => timed::standard_webhooks(secrets, request),
            Self::Circleci => body::circleci(secrets, request),
            Self::Buildkite if request.has(timed::BUILDKITE) => timed::buildkite(secrets, request),
            Self::Buildkite => shown::in_header(secrets, request, "X-Buildkite-Token"),
            Self::Drone => draft::drone(secrets, request),
            Self::Basic => shown::basic(secrets, request),
            Self::Token => shown::bearer(secrets, request),
            Self::None => Ok(()),
        }
    }
}
