//! HMAC-SHA256 and digests, compared in constant time, and their forms as text.

use super::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The bytes of a MAC or a digest.
pub(super) const LENGTH: usize = 32;

/// A MAC or a digest that a request shows.
pub(super) type Shown = [u8; LENGTH];

/// Returns true if one of the MACs is that of the parts of the message, one after the other, under one of the keys.
pub(super) fn fits<'k>(keys: impl Iterator<Item = &'k [u8]>, message: &[&[u8]], shown: &[Shown]) -> bool {
    let mut fits = Choice::from(0);
    for key in keys {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        for part in message {
            context.update(part);
        }
        let tag = context.sign();
        for shown in shown {
            fits |= tag.as_ref().ct_eq(shown);
        }
    }
    fits.into()
}

/// Returns true if the MAC is that of the message under one of the secrets, as they are.
pub(super) fn fits_secret(secrets: &[Secret], message: &[&[u8]], shown: Shown) -> bool {
    fits(secrets.iter().map(Secret::bytes), message, &[shown])
}

/// Returns true if the text is one of the secrets. Hashes are compared, so that not even the length of a secret shows in the time.
pub(super) fn is_secret(secrets: &[Secret], shown: &[u8]) -> bool {
    let shown = Sha256::digest(shown);
    let mut is = Choice::from(0);
    for secret in secrets {
        is |= Sha256::digest(secret.bytes()).ct_eq(&shown);
    }
    is.into()
}

/// Returns true if the digest is that of the text.
pub(super) fn is_digest(text: &[u8], shown: Shown) -> bool {
    Sha256::digest(text).ct_eq(&shown).into()
}

/// Reads a MAC of exactly 64 hexadecimal digits, in lower case, as every vendor sends them.
pub(super) fn of_hex(text: &str) -> Option<Shown> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut shown = [0; LENGTH];
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in shown.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(shown)
}

/// Reads a MAC or a digest in base64, with its padding.
pub(super) fn of_base64(text: &str) -> Option<Shown> {
    base64(text.as_bytes())?.try_into().ok()
}

/// Reads base64 with its padding.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
