//! Credentials, and the secret in them.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipefold::http::{SecretFile, SecretFileError};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use ureq::http::HeaderValue;

/// The longest user name, in bytes: as long as a [`Secret`], so that a header has room for both.
const MAX_USER: usize = 1024;

/// The credentials for a GoCD server (GoCD API, "Authentication"). `Debug` shows the user's name and no secret.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// None: for servers without security.
    #[default]
    None,
    /// Name and password.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An access token of a person or a service (GoCD 19.2 and later).
    Bearer(Secret),
}

impl Credentials {
    /// Returns true if there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Checks that a header can carry the credentials.
    pub(super) fn check(&self) -> Result<(), CredentialsError> {
        match self {
            Self::Basic { user, .. } if user.is_empty() => Err(CredentialsError::NoUser),
            Self::Basic { user, .. }
                if user.len() > MAX_USER || user.contains(|c: char| c == ':' || c.is_control()) =>
            {
                Err(CredentialsError::User)
            }
            Self::Bearer(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(CredentialsError::Token)
            }
            _ => Ok(()),
        }
    }

    /// The `Authorization` header (RFC 7617 in UTF-8, RFC 6750), marked so that it shows in no log.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::None => return None,
            Self::Basic { user, password } => Zeroizing::new(format!("Basic {}", *encoded(user, password))),
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.expose())),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns `text` safe to show: on one line, bounded, and without the credentials, in case the server repeats them.
    pub(super) fn quote(&self, text: &str) -> String {
        match self {
            Self::None => pipefold::http::quote(text, []),
            Self::Basic { user, password } => {
                pipefold::http::quote(text, [password.expose(), encoded(user, password).as_str()])
            }
            Self::Bearer(token) => pipefold::http::quote(text, [token.expose()]),
        }
    }
}

fn encoded(user: &str, password: &Secret) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

/// The reason why credentials cannot be sent. The messages never show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A password without a name.
    #[error("the password for GoCD has no user name: give the name too, or give an access token as a token")]
    NoUser,
    /// A name that Basic authentication cannot carry.
    #[error("the user name for GoCD has a colon or a control character, or more than {MAX_USER} bytes: correct it")]
    User,
    /// A token of a form that no server issues.
    #[error("the access token for GoCD has a space or a non-ASCII character: give the token alone")]
    Token,
}

/// The longest secret accepted, in bytes. GoCD's tokens have 40 digits; HTTP servers refuse headers past 8 KiB, and base64 makes a third more.
pub const MAX_SECRET: usize = 4096;

/// A password or an access token. It cannot be displayed; `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret, without the line ends that follow it in files and variables.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it is empty, longer than [`MAX_SECRET`], or has a control character. The errors never show it.
    pub fn new(text: String) -> Result<Self, SecretError> {
        // The original allocation is wiped too.
        Self::checked(&SecretString::from(text))
    }

    /// Reads a secret from a file. The second value is true if users other than the owner may read the file too.
    ///
    /// # Errors
    ///
    /// [`SecretError::File`], or the fault of the content as [`SecretError::InFile`].
    pub fn from_file(path: &Path) -> Result<(Self, bool), SecretError> {
        let file = SecretFile::read(path, MAX_SECRET)?;
        let secret = Self::checked(&file.text).map_err(|why| SecretError::InFile {
            path: path.to_owned(),
            why: Box::new(why),
        })?;
        Ok((secret, file.readable_by_others))
    }

    fn checked(text: &SecretString) -> Result<Self, SecretError> {
        let secret = text.expose_secret().trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(SecretError::Empty);
        }
        if secret.len() > MAX_SECRET {
            return Err(SecretError::TooLong);
        }
        if let Some((at, _)) = secret.char_indices().find(|(_, c)| c.is_control()) {
            return Err(SecretError::Character { position: at + 1 });
        }
        Ok(Self(SecretString::from(secret)))
    }

    /// The secret itself: for the `Authorization` header, and to find it in the server's texts.
    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The fault of a password or a token. The messages never show it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is empty.
    #[error("the password or token for GoCD is empty: put it into the variable or the file, alone")]
    Empty,
    /// It is longer than [`MAX_SECRET`].
    #[error("the password or token for GoCD is longer than {MAX_SECRET} bytes: give the secret alone")]
    TooLong,
    /// It has a control character, such as a line end within.
    #[error(
        "the password or token for GoCD has a control character at position {position}: give it alone, on one line"
    )]
    Character {
        /// The position, in bytes from 1.
        position: usize,
    },
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file's content is not a secret.
    #[error("in the file {}: {why}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        why: Box<SecretError>,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    fn basic(user: &str) -> Credentials {
        let user = user.to_owned();
        Credentials::Basic {
            user,
            password: secret("open sesame"),
        }
    }

    #[test]
    fn headers_that_show_in_no_log() {
        assert!(Credentials::None.header().is_none());
        let header = basic("Aladdin").header().unwrap();
        // The example of RFC 7617, section 2.
        assert_eq!(header.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let debug = format!("{header:?} {:?}", basic("Aladdin"));
        assert!(!debug.contains("QWxh") && !debug.contains("sesame"), "{debug}");
        let header = Credentials::Bearer(secret("abc")).header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer abc");
    }

    #[test]
    fn refused_where_no_header_carries_them() {
        for (credentials, expected) in [
            (basic("Aladdin"), Ok(())),
            (basic("Алладин"), Ok(())),
            (basic(""), Err(CredentialsError::NoUser)),
            (basic("a:b"), Err(CredentialsError::User)),
            (basic("a\nb"), Err(CredentialsError::User)),
            (basic(&"a".repeat(1025)), Err(CredentialsError::User)),
            (Credentials::Bearer(secret("a b")), Err(CredentialsError::Token)),
            (Credentials::Bearer(secret("é")), Err(CredentialsError::Token)),
        ] {
            assert_eq!(credentials.check(), expected, "{credentials:?}");
        }
    }

    #[test]
    fn credentials_that_the_server_repeats_are_not_shown() {
        let answer = "you are QWxhZGRpbjpvcGVuIHNlc2FtZQ== open sesame";
        assert_eq!(basic("Aladdin").quote(answer), "you are (token) (token)");
        assert_eq!(Credentials::Bearer(secret("abc")).quote("x abc"), "x (token)");
    }

    #[test]
    fn takes_what_people_choose_and_drops_line_ends() {
        for text in ["open sesame", "sésame", "a:b", "…"] {
            let secret = Secret::new(format!("{text}\r\n")).unwrap();
            assert_eq!(secret.expose(), text);
            assert_eq!(format!("{secret:?}"), "Secret(…)");
        }
        assert!(Secret::new("x".repeat(MAX_SECRET)).is_ok());
    }

    #[test]
    fn refuses_the_rest_and_never_shows_it() {
        let long = "sesame".repeat(MAX_SECRET);
        for text in ["", "\n", "sesame\nsesame", "sesame\0", &long] {
            let why = Secret::new(text.to_owned()).unwrap_err();
            assert!(!format!("{why} {why:?}").contains("sesame"), "{why}");
        }
        let why = Secret::new("sesame\0".to_owned()).unwrap_err();
        assert_eq!(why, SecretError::Character { position: 7 });
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "open sesame\n").unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().0.expose(), "open sesame");
        std::fs::write(&path, "sesame\nsesame\n").unwrap();
        let why = Secret::from_file(&path).unwrap_err().to_string();
        assert!(
            why.contains(&path.display().to_string()) && !why.contains("sesame"),
            "{why}"
        );
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let why = Secret::from_file(&path).unwrap_err().to_string();
        assert!(why.contains("longer than"), "{why}");
        let none = Secret::from_file(&dir.path().join("none"));
        assert!(matches!(none, Err(SecretError::File(_))), "{none:?}");
    }
}
