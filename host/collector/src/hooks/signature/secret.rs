//! The secret that a CI system and its source share.

use super::Scheme;
use super::mac;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// The longest secret. Vendors make them of 20 to 100 characters; HTTP servers refuse headers past 8 KiB.
pub const MAX_SECRET: usize = 4096;

/// The beginning of a signing token of Standard Webhooks.
const SIGNING_TOKEN: &str = "whsec_";

/// A secret of a source. `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text, without the line ends that follow it in files, as the secret of a source with this scheme.
    ///
    /// # Errors
    /// [`SecretError`] if it is empty, too long or not of the form that the scheme needs. It never shows the secret.
    pub fn new(scheme: Scheme, text: &SecretString) -> Result<Self, SecretError> {
        let text = text.expose_secret().trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        if text.len() > MAX_SECRET {
            return Err(SecretError::TooLong);
        }
        if text.contains(['\r', '\n', '\0']) {
            return Err(SecretError::Lines);
        }
        let is_token = text.starts_with(SIGNING_TOKEN);
        let secret = match scheme {
            // The libraries of Standard Webhooks take a key without the prefix too.
            Scheme::StandardWebhooks if !is_token => Self(SecretString::from(format!("{SIGNING_TOKEN}{text}"))),
            _ => Self(SecretString::from(text)),
        };
        match scheme {
            Scheme::Basic if secret.password().is_none() => Err(SecretError::NoPassword),
            Scheme::StandardWebhooks if secret.signing_key().is_none() => Err(SecretError::NoKey),
            Scheme::Gitlab if is_token && secret.signing_key().is_none() => Err(SecretError::NoKey),
            _ => Ok(secret),
        }
    }

    /// Returns the secret as it is.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }

    /// Returns the key of a signing token.
    pub(super) fn signing_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.0.expose_secret().strip_prefix(SIGNING_TOKEN)?;
        let key = mac::base64(key.as_bytes())?;
        (!key.is_empty()).then(|| Zeroizing::new(key))
    }

    /// Returns the password of `user:password`.
    fn password(&self) -> Option<&str> {
        let (_, password) = self.0.expose_secret().split_once(':')?;
        (!password.is_empty()).then_some(password)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A fault of a configured secret. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The secret is empty or blank: every sender would know it.
    #[error("the secret is empty: make one with `openssl rand -hex 32`")]
    Empty,
    /// The secret is longer than [`MAX_SECRET`].
    #[error("the secret is longer than {MAX_SECRET} bytes: give the secret alone")]
    TooLong,
    /// The secret has a line end or a NUL in it.
    #[error("the secret has a line end or a NUL in it: give one secret on one line")]
    Lines,
    /// The scheme `basic` needs a user and a password.
    #[error("the scheme `basic` needs a secret of the form `user:password`")]
    NoPassword,
    /// The scheme needs a key in base64.
    #[error("the secret is no signing token: the scheme needs `whsec_` and then base64, as the CI system shows it")]
    NoKey,
}
