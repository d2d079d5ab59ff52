//! The secrets of a source, and the places that they are read from.

use super::signature::{MAX_SECRET, Scheme, Secret, SecretError};
use crate::access::Stamp;
use pipefold::http::{SecretFile, SecretFileError};
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The most secrets of a source: the old one and the new one, for two senders. Each is tried for each delivery.
const MOST: usize = 4;

/// The place of a source's secrets.
#[derive(Clone, Debug)]
pub enum SecretPlace {
    /// There is none: for the scheme `none` alone.
    Nowhere,
    /// A text with one secret a line, and its origin for messages, such as the name of a variable.
    Text(SecretString, String),
    /// A file with one secret a line. It is read again when it changes.
    File(PathBuf),
}

/// The secrets of a source.
#[derive(Debug)]
pub struct Secrets {
    scheme: Scheme,
    /// The file, if they can change.
    file: Option<PathBuf>,
    read: RwLock<Read>,
}

#[derive(Clone, Debug)]
struct Read {
    secrets: Arc<[Secret]>,
    stamp: Option<Stamp>,
}

/// A fault of the secrets. Never shows one.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// No place was given.
    #[error("it has no secret, so anyone could report runs")]
    Missing,
    /// The scheme `none` has a secret, which would not be checked.
    #[error("it has a secret, and its scheme `none` checks nothing: leave out one of them")]
    Unused,
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A secret cannot be used.
    #[error("{place}, line {line}: {why}")]
    Line {
        /// The file, or the origin of the text.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The fault.
        why: SecretError,
    },
    /// There is no line with a secret.
    #[error("{0} has no secret: put it there, alone on a line")]
    Empty(String),
    /// There are more than can be meant.
    #[error("{0} has more than {MOST} lines: put one secret on a line, at most {MOST}")]
    TooMany(String),
}

impl Secrets {
    /// Reads the secrets.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(scheme: Scheme, place: SecretPlace) -> Result<Self, SecretsError> {
        let (secrets, file) = match (scheme, place) {
            (Scheme::None, SecretPlace::Nowhere) => (Vec::new(), None),
            (Scheme::None, _) => return Err(SecretsError::Unused),
            (_, SecretPlace::Nowhere) => return Err(SecretsError::Missing),
            (_, SecretPlace::Text(text, origin)) => (parse(scheme, &text, &origin)?, None),
            (_, SecretPlace::File(path)) => {
                let read = Read::of(scheme, &path)?;
                return Ok(Self {
                    scheme,
                    // A pipe can be read once.
                    file: path.is_file().then_some(path),
                    read: RwLock::new(read),
                });
            }
        };
        let read = Read {
            secrets: secrets.into(),
            stamp: None,
        };
        Ok(Self {
            scheme,
            file,
            read: RwLock::new(read),
        })
    }

    /// The scheme that they are for.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the secrets as they are now.
    ///
    /// # Errors
    /// [`SecretsError`] if the file cannot be read. No delivery is accepted then, or a revoked secret could be good again.
    pub fn current(&self) -> Result<Arc<[Secret]>, SecretsError> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = &self.file else {
            return Ok(read.secrets);
        };
        let stamp = Stamp::of_file(file);
        if stamp.is_some() && stamp == read.stamp {
            return Ok(read.secrets);
        }
        let read = Read::of(self.scheme, file)?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = read.clone();
        Ok(read.secrets)
    }
}

impl Read {
    fn of(scheme: Scheme, path: &Path) -> Result<Self, SecretsError> {
        // Before the content: if the file changes in between, it is read again.
        let stamp = Stamp::of_file(path);
        let file = SecretFile::read(path, MOST * (MAX_SECRET + 2))?;
        if file.readable_by_others {
            tracing::info!("other users may read {}", path.display());
        }
        let secrets = parse(scheme, &file.text, &path.display().to_string())?;
        Ok(Self {
            secrets: secrets.into(),
            stamp,
        })
    }
}

/// Reads a text with one secret a line; blank lines are none.
fn parse(scheme: Scheme, text: &SecretString, place: &str) -> Result<Vec<Secret>, SecretsError> {
    let mut secrets = Vec::new();
    for (number, line) in text.expose_secret().lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if secrets.len() == MOST {
            return Err(SecretsError::TooMany(place.to_owned()));
        }
        let secret = Secret::new(scheme, &SecretString::from(line)).map_err(|why| SecretsError::Line {
            place: place.to_owned(),
            line: number + 1,
            why,
        })?;
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Err(SecretsError::Empty(place.to_owned()));
    }
    Ok(secrets)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::fs;

    const SCHEME: Scheme = Scheme::HubSignature256;

    fn text(text: &str) -> Result<usize, String> {
        let place = SecretPlace::Text(text.into(), "PIPEFOLD_X".into());
        let secrets = Secrets::open(SCHEME, place).map_err(|why| why.to_string())?;
        Ok(secrets.current().unwrap().len())
    }

    #[test]
    fn one_secret_a_line() {
        assert_eq!(text("sesame"), Ok(1));
        assert_eq!(text("\nsesame\r\n\nold sesame\n"), Ok(2));
        assert!(text(" \n").unwrap_err().contains("PIPEFOLD_X has no secret"));
        assert!(text("a\nb\nc\nd\ne").unwrap_err().contains("more than 4 lines"));
        let long = format!("short\n{}", "x".repeat(MAX_SECRET + 1));
        let why = text(&long).unwrap_err();
        assert!(why.starts_with("PIPEFOLD_X, line 2: ") && !why.contains("xxx"), "{why}");
    }

    #[test]
    fn a_secret_is_needed_where_it_is_checked_and_only_there() {
        let open = |scheme, place| Secrets::open(scheme, place).map(|_| ());
        assert!(matches!(open(SCHEME, SecretPlace::Nowhere), Err(SecretsError::Missing)));
        let given = SecretPlace::Text("sesame".into(), "x".into());
        assert!(matches!(open(Scheme::None, given), Err(SecretsError::Unused)));
        assert!(open(Scheme::None, SecretPlace::Nowhere).is_ok());
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_closed_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "one\n").unwrap();
        let secrets = Secrets::open(SCHEME, SecretPlace::File(path.clone())).unwrap();
        assert_eq!(secrets.current().unwrap().len(), 1);
        fs::write(&path, "two\none\n").unwrap();
        assert_eq!(secrets.current().unwrap().len(), 2);
        fs::remove_file(&path).unwrap();
        assert!(secrets.current().unwrap_err().to_string().contains("secret"));
        fs::write(&path, "three\n").unwrap();
        assert_eq!(secrets.current().unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everyone_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "sesame").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o606)).unwrap();
        let why = Secrets::open(SCHEME, SecretPlace::File(path)).unwrap_err().to_string();
        assert!(why.contains("chmod o-w"), "{why}");
    }
}
