//! A token of this server, which cannot be printed, its hash, and the entry that is stored.

use super::rights::Access;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};

/// The beginning of every token, so that scanners for leaked secrets can be taught to find it.
const PREFIX: &str = "pft_";

/// The random bytes of a token. With 128 bits or more, guessing is hopeless and a plain hash is as good as a slow one: there is no
/// dictionary to try.
const RANDOM_BYTES: usize = 24;

/// A token that a request showed, or that was just made. `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Makes a token out of 192 random bits.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let text = random
            .iter()
            .fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"));
        Ok(Self(SecretString::from(text)))
    }

    /// Takes a text shown as a token: only its hash is ever used.
    #[must_use]
    pub fn shown(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Returns the hash.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.expose_secret()).into())
    }

    /// Returns the token itself: to show a new one, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The sha256 of a token. As text 64 hex digits in lower case.
///
/// It has no `==`, so that no comparison of a secret's hash stops at the first difference by accident.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Compares two hashes in a time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WHAT: &str = "a token's hash is 64 hex digits in lower case";
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(WHAT);
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| WHAT)?;
        }
        Ok(Self(hash))
    }
}

/// The longest name of a token.
pub const MAX_TOKEN_NAME: usize = 64;

/// The name of a token: 1 to 64 of `a-z A-Z 0-9 . _ -`. It is also the user name in Basic authentication, which cannot have a colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenName(String);

impl TokenName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=MAX_TOKEN_NAME).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a token's name has 1 to 64 characters out of a-z, A-Z, 0-9, `.`, `_` and `-`")
        }
    }
}

impl TryFrom<String> for TokenName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A token as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenEntry {
    /// The token's name.
    pub name: TokenName,
    /// The token's access.
    pub access: Access,
    /// The time at which it was made.
    pub created: DateTime<Utc>,
    /// The token's hash.
    pub sha256: SecretHash,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn new_ones_are_long_different_and_fit_a_header_and_a_password() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 2 * RANDOM_BYTES);
        assert!(
            one.reveal()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        );
        assert!(!bool::from(one.hash().is(&other.hash())));
        assert!(bool::from(
            one.hash().is(&Secret::shown(one.reveal().to_owned()).hash())
        ));
    }

    #[test]
    fn the_hash_is_plain_sha256_in_hex() {
        let hash = Secret::shown("abc".into()).hash();
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(
            json,
            r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#
        );
        assert!(bool::from(serde_json::from_str::<SecretHash>(&json).unwrap().is(&hash)));
        let wide = format!("\"{}\"", "é".repeat(32));
        for bad in [
            r#""""#,
            r#""ba78""#,
            &json.to_uppercase(),
            &json.replace('b', "+"),
            &wide,
        ] {
            assert!(serde_json::from_str::<SecretHash>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::shown("sesame".into());
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "Secret(…) SecretHash(…)");
    }
}
