//! The token for DX, held so that it cannot be printed.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::http::{SecretFile, SecretFileError};

/// The longest token accepted. Known ones have a few dozen characters, signed ones up to about 2 KiB; HTTP servers refuse headers past 8 KiB.
pub const MAX_TOKEN_LENGTH: usize = 4096;

/// A prefix of the hashed text, so that the digest differs from plain hashes of tokens stored elsewhere.
const DIGEST_DOMAIN: &[u8] = b"pipefold token digest v1\0";

/// A DX API token. It cannot be displayed, and `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A token from text, without the line ends that follow it in files and variables, and without quotes around it.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it is empty, longer than [`MAX_TOKEN_LENGTH`], or has a character that an HTTP header cannot carry. The errors
    /// never show the token.
    pub fn new(text: String) -> Result<Self, TokenError> {
        // The allocation that held it is wiped too: a copy is wiped when `text` is dropped as a secret.
        Self::checked(&SecretString::from(text))
    }

    fn checked(text: &SecretString) -> Result<Self, TokenError> {
        let token = unquoted(text.expose_secret().trim_end_matches(['\r', '\n']));
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::TooLong);
        }
        if let Some(at) = token.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(TokenError::Character { position: at + 1 });
        }
        Ok(Self(SecretString::from(token)))
    }

    /// Reads a token from a file, following links, as Kubernetes mounts secrets through them.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unreadable`], [`TokenError::WritableByAll`], or what is wrong with its content, [`TokenError::InFile`].
    pub fn from_file(path: &Path) -> Result<TokenFile, TokenError> {
        let file = SecretFile::read(path, MAX_TOKEN_LENGTH).map_err(|why| match why {
            SecretFileError::Unreadable { path, why } => TokenError::Unreadable { path, why },
            SecretFileError::WritableByAll { path } => TokenError::WritableByAll { path },
        })?;
        let in_file = |why| TokenError::InFile {
            path: path.to_owned(),
            why: Box::new(why),
        };
        let token = Self::checked(&file.text).map_err(in_file)?;
        Ok(TokenFile {
            token,
            readable_by_others: file.readable_by_others,
        })
    }

    /// A short name for the token, safe to store and to show: it shows whether two tokens are the same and nothing else.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        let hash = Sha256::new()
            .chain_update(DIGEST_DOMAIN)
            .chain_update(self.expose())
            .finalize();
        let hex: String = hash
            .iter()
            .take(TokenDigest::LENGTH / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        TokenDigest(hex)
    }

    /// The token itself: for the `Authorization` header, and for removing it from DX's answers.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A token without the quotes around it, which `docker run --env-file` takes for a part of a value.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A token from a file, and who may read the file.
#[derive(Clone, Debug)]
pub struct TokenFile {
    /// The token.
    pub token: Token,
    /// True if other users than the owner may read the file, as Kubernetes mounts it. Logged at `-v`.
    pub readable_by_others: bool,
}

/// The first 12 hex digits of a hash of the token. Enough to distinguish a few tokens, too little to check guesses against.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest(String);

impl TokenDigest {
    const LENGTH: usize = 12;
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        digest.0
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == Self::LENGTH && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err("a token's digest is 12 hex digits in lower case")
        }
    }
}

/// A fault of a token. Never shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is empty.
    #[error("the DX token is empty: put the token into DX_API_TOKEN or the token file")]
    Empty,
    /// The token is longer than [`MAX_TOKEN_LENGTH`].
    #[error("the DX token is longer than {MAX_TOKEN_LENGTH} bytes: that is something else; give the token alone")]
    TooLong,
    /// The token has a character that is not visible ASCII.
    #[error(
        "the DX token has a space, a control character or a non-ASCII character at position {position}: give the token alone, on one line"
    )]
    Character {
        /// Counted in bytes, from 1.
        position: usize,
    },
    /// The variable of this name is not UTF-8.
    #[error("{name} is not UTF-8")]
    NotUtf8 {
        /// The variable.
        name: &'static str,
    },
    /// The file could not be read.
    #[error("could not read the token file {}: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
    /// Every user of the machine may change the file, and so choose the token.
    #[error("the token file {0} may be written to by every user, so its content cannot be trusted: run `chmod o-w {0}`", .path.display())]
    WritableByAll {
        /// The file.
        path: PathBuf,
    },
    /// The file's content is not a token.
    #[error("in the token file {}: {why}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        why: Box<TokenError>,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, TokenError> {
        Token::new(text.to_owned())
    }

    #[test]
    fn takes_visible_ascii_and_drops_line_ends() {
        assert_eq!(token("abc-DEF_123.~!\r\n\n").unwrap().expose(), "abc-DEF_123.~!");
        assert_eq!(token("\"abc\"\n").unwrap().expose(), "abc");
        assert_eq!(token("'abc'").unwrap().expose(), "abc");
        assert_eq!(token("\"abc").unwrap().expose(), "\"abc");
        assert_eq!(
            token(&"x".repeat(MAX_TOKEN_LENGTH)).unwrap().expose().len(),
            MAX_TOKEN_LENGTH
        );
    }

    #[test]
    fn refuses_what_no_header_carries_and_never_shows_it() {
        let long = "x".repeat(MAX_TOKEN_LENGTH + 1);
        let cases = [
            "",
            "\n",
            "sesame sesame",
            " sesame",
            "sesame\nsesame",
            "sesame\0",
            "sesamé",
            "\u{feff}sesame",
            &long,
        ];
        for text in cases {
            let why = token(text).unwrap_err();
            assert!(!format!("{why} {why:?}").contains("sesam"), "{why}");
            assert!(!why.to_string().contains("xxx"), "{why}");
        }
        assert_eq!(token("sesame\0").unwrap_err(), TokenError::Character { position: 7 });
    }

    #[test]
    fn debug_shows_nothing() {
        let token = token("sesame").unwrap();
        assert_eq!(
            format!("{token:?} {:#?}", Some(&token)),
            "Token(…) Some(\n    Token(…),\n)"
        );
        let file = TokenFile {
            token,
            readable_by_others: false,
        };
        assert!(!format!("{file:?}").contains("sesame"));
    }

    #[test]
    fn digest_is_stable_short_and_different_for_each() {
        let digest = token("sesame").unwrap().digest();
        assert_eq!(digest.to_string(), "310170388f06");
        assert_eq!(digest, token("sesame\n").unwrap().digest());
        assert_ne!(digest, token("sesamE").unwrap().digest());
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<TokenDigest>(&json).unwrap(), digest);
        for bad in [r#""""#, r#""310170388F0A""#, r#""310170388f060""#, "1"] {
            assert!(serde_json::from_str::<TokenDigest>(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn file_modes() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "sesame\n").unwrap();
        let read = |mode: u32| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            Token::from_file(&path)
        };
        for (mode, readable_by_others) in [
            (0o600, false),
            (0o400, false),
            (0o640, true),
            (0o604, true),
            (0o664, true),
        ] {
            let file = read(mode).unwrap();
            assert_eq!(
                (file.token.expose(), file.readable_by_others),
                ("sesame", readable_by_others),
                "{mode:o}"
            );
        }
        let why = read(0o602).unwrap_err().to_string();
        assert!(why.contains(&format!("chmod o-w {}", path.display())), "{why}");
    }

    #[test]
    fn files_that_hold_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let why = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Token::from_file(&path).unwrap_err().to_string()
        };
        assert!(why(b"").contains("is empty"));
        assert!(why(&[b'x'; 100_000]).contains("longer than 4096"));
        assert!(why(b"se\xffsame").contains("UTF-8"));
        assert!(why(b"a\nb\n").contains("position 2"));
        assert!(why(b"").contains(&path.display().to_string()));
        assert!(Token::from_file(dir.path()).is_err());
        assert!(matches!(
            Token::from_file(&dir.path().join("none")),
            Err(TokenError::Unreadable { .. })
        ));
    }
}
