//! The keyed hash of a value: the same for a person in every process, host and language that has the key, and not to be guessed without it.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// The shortest key, in bytes: a shorter one can be guessed.
pub const SHORTEST_KEY: usize = 16;
/// Bytes of the hash that are written, each as two hexadecimal digits: two of a billion values are alike with a probability of 10^-21.
const WRITTEN: usize = 16;

/// A key, ready for use. It is never shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes the bytes of a key; `None` if they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < SHORTEST_KEY {
            return None;
        }
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// HMAC-SHA256 of the value, trimmed and in lower case: its first 32 hexadecimal digits.
    pub fn hash(&self, value: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(value.trim().to_lowercase().as_bytes());
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
        let written = mac.finalize().into_bytes();
        let written = written.iter().take(WRITTEN);
        written.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_other_programs() {
        // printf %s mona@example.com | openssl dgst -sha256 -hmac 0123456789abcdef | cut -c1-32
        let key = Key::new(b"0123456789abcdef").unwrap();
        let hash = key.hash("mona@example.com");
        assert_eq!(hash, "ce6219c97086a04b513792b15421a32a");
        assert_eq!(key.hash(" Mona@Example.COM\n"), hash);
        let other = Key::new(b"0123456789abcdeF").unwrap();
        assert_ne!(other.hash("mona@example.com"), hash);
        assert!(Key::new(b"0123456789abcde").is_none());
        assert_eq!(format!("{key:?}"), "Key");
    }
}
