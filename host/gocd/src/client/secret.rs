//! A password or a token, held so that it cannot be printed.

use std::fmt;
use std::path::{Path, PathBuf};

use pipefold::http::{SecretFile, SecretFileError};
use secrecy::{ExposeSecret, SecretString};

/// The longest secret accepted, in bytes. GoCD's tokens have 40 digits; HTTP servers refuse headers past 8 KiB, and base64 makes a third more.
pub const MAX_SECRET: usize = 4096;

/// A password or an access token. It cannot be displayed, and `Debug` shows only that there is one.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret, without the line ends that follow it in files and variables.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it is empty, longer than [`MAX_SECRET`], or has a control character. The errors never show it.
    pub fn new(text: String) -> Result<Self, SecretError> {
        // The allocation that held it is wiped too.
        Self::checked(&SecretString::from(text))
    }

    /// Reads a secret from a file, and says whether other users than the owner may read it too, which is worth a word.
    ///
    /// # Errors
    ///
    /// [`SecretError::File`], or what is wrong with its content, [`SecretError::InFile`].
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

    /// The secret itself: for the `Authorization` header, and for finding it in what the server says.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is wrong with a password or a token. Never shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is nothing in it.
    #[error("the password or token for GoCD is empty: put it into the variable or the file, alone")]
    Empty,
    /// It is longer than [`MAX_SECRET`].
    #[error("the password or token for GoCD is longer than {MAX_SECRET} bytes: that is something else; give it alone")]
    TooLong,
    /// It has a control character, such as a line end within.
    #[error(
        "the password or token for GoCD has a control character at position {position}: give it alone, on one line"
    )]
    Character {
        /// Counted in bytes, from 1.
        position: usize,
    },
    /// The file is of no use.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// What is in the file is no secret.
    #[error("in the file {}: {why}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Box<SecretError>,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

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
