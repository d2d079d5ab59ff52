//! A component's file as an operator names it: a path, and optionally the digest that it must have and the key that must have signed it.

use crate::signature::{Claim, KeyPlace, SignatureError, Signed};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The text between the path and the digest.
const PIN: &str = "@sha256:";

/// The beginnings of addresses, which are refused: a runner that fetches its policy at each build would depend on another server.
const ADDRESSES: [&str; 4] = ["oci://", "https://", "http://", "docker://"];
/// Characters of an address that are shown.
const MOST_ADDRESS: usize = 100;

/// A component's file, `FILE` or `FILE@sha256:HEX`. With a digest, a file that has another digest is never parsed; and with a key, one
/// without a valid signature beside it.
///
/// ```
/// # use pipefold_sandbox::ComponentFile;
/// let file: ComponentFile = "redact.wasm".parse()?;
/// assert_eq!(file.path(), std::path::Path::new("redact.wasm"));
/// assert!("redact.wasm@sha256:12".parse::<ComponentFile>().is_err());
/// # Ok::<(), pipefold_sandbox::ComponentFileError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentFile {
    path: PathBuf,
    /// In lower case.
    pin: Option<String>,
    key: Option<KeyPlace>,
}

/// A component in memory, which has the digest of the pin, if its file is pinned, and a valid signature, if one is demanded.
#[derive(Clone, Debug)]
pub struct ComponentBytes {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Its sha256 in hexadecimal.
    pub sha256: String,
}

/// A file with a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its sha256 in hexadecimal.
    pub sha256: String,
    /// The signature.
    pub signed: Signed,
}

/// An error of a component's file.
#[derive(Debug, thiserror::Error)]
pub enum ComponentFileError {
    /// The path is empty.
    #[error("`{0}` names no file; write FILE or FILE@sha256:HEX")]
    NoName(String),
    /// The pin is not a digest.
    #[error("`{0}`: after `@sha256:` go the 64 hexadecimal digits that `sha256sum` prints")]
    NoDigest(String),
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The path is an address of another machine.
    #[error(
        "{0} is an address, and a policy is a file: pull it ahead of builds (`oras pull`, `wkg oci pull`, `curl -O`), then name FILE@sha256:HEX"
    )]
    Address(String),
    /// The file is larger than the limit.
    #[error("{}: larger than {limit} bytes, the limit for a component", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file has another digest than the pin.
    #[error("{}: its sha256 is {found}, and {pinned} is pinned; if the change is meant, pin the new digest", .path.display())]
    OtherDigest {
        /// The file.
        path: PathBuf,
        /// The pinned sha256.
        pinned: String,
        /// The sha256 of the file.
        found: String,
    },
    /// The signature is missing or wrong, or the key is.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl FromStr for ComponentFile {
    type Err = ComponentFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, pin) = match text.rsplit_once(PIN) {
            Some((path, pin)) => (path, Some(pin.to_ascii_lowercase())),
            None => (text, None),
        };
        if path.is_empty() {
            return Err(ComponentFileError::NoName(text.into()));
        }
        let is_digest = |pin: &String| pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !pin.as_ref().is_none_or(is_digest) {
            return Err(ComponentFileError::NoDigest(text.into()));
        }
        Ok(Self {
            path: path.into(),
            pin,
            key: None,
        })
    }
}

impl From<PathBuf> for ComponentFile {
    /// A file that is not pinned.
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            pin: None,
            key: None,
        }
    }
}

impl fmt::Display for ComponentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.pin {
            Some(pin) => write!(f, "{PIN}{pin}"),
            None => Ok(()),
        }
    }
}

impl ComponentFile {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sha256 that it must have, in hexadecimal.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// The same file, which must have a valid signature by this key beside it.
    #[must_use]
    pub fn signed_by(self, key: Option<KeyPlace>) -> Self {
        Self { key, ..self }
    }

    /// The key that must have signed it.
    #[must_use]
    pub fn key(&self) -> Option<&KeyPlace> {
        self.key.as_ref()
    }

    /// Reads the file, of at most `limit` bytes, and compares it with its pin and its signature.
    ///
    /// # Errors
    /// [`ComponentFileError`], naming the file.
    pub fn read(&self, limit: u64) -> Result<ComponentBytes, ComponentFileError> {
        let mut bytes = Vec::new();
        self.read_verified(limit, |part| bytes.extend_from_slice(part))?;
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        self.check_pin(&sha256)?;
        Ok(ComponentBytes { bytes, sha256 })
    }

    /// Verifies the signature of the file, of at most `limit` bytes, by the key that must have made it; none if there is no such key.
    ///
    /// # Errors
    /// As [`ComponentFile::read`].
    pub fn verify(&self, limit: u64) -> Result<Option<Verified>, ComponentFileError> {
        let mut hasher = Sha256::new();
        let signed = self.read_verified(limit, |part| hasher.update(part))?;
        let sha256 = format!("{:x}", hasher.finalize());
        self.check_pin(&sha256)?;
        Ok(signed.map(|signed| Verified { sha256, signed }))
    }

    /// The blake3 digest of the file, for a cache's key, after its signature is verified. Not every CPU has instructions for sha256, and
    /// without them a component of 20 MB takes longer to digest than a whole process may.
    pub(crate) fn fingerprint(&self, limit: u64) -> Result<blake3::Hash, ComponentFileError> {
        let mut hasher = blake3::Hasher::new();
        self.read_verified(limit, |part| {
            hasher.update(part);
        })?;
        Ok(hasher.finalize())
    }

    /// As [`fingerprint`](Self::fingerprint), of a file that is only named and not used: its signature does not matter.
    pub(crate) fn name_digest(&self, limit: u64) -> Result<blake3::Hash, ComponentFileError> {
        let mut hasher = blake3::Hasher::new();
        self.read_parts(self.open()?, limit, |part| {
            hasher.update(part);
        })?;
        Ok(hasher.finalize())
    }

    pub(crate) fn check_pin(&self, sha256: &str) -> Result<(), ComponentFileError> {
        match &self.pin {
            Some(pinned) if pinned != sha256 => Err(ComponentFileError::OtherDigest {
                path: self.path.clone(),
                pinned: pinned.clone(),
                found: sha256.into(),
            }),
            _ => Ok(()),
        }
    }

    /// Reads the file in parts, and verifies the signature of these same bytes. After an error none of them may be used.
    fn read_verified(&self, limit: u64, mut part: impl FnMut(&[u8])) -> Result<Option<Signed>, ComponentFileError> {
        let file = self.open()?;
        let Some(key) = &self.key else {
            self.read_parts(file, limit, part)?;
            return Ok(None);
        };
        let claim = Claim::read(&self.path, key)?;
        let mut verifier = claim.begin()?;
        self.read_parts(file, limit, |bytes| {
            verifier.add(bytes);
            part(bytes);
        })?;
        Ok(Some(verifier.finish()?))
    }

    fn open(&self) -> Result<File, ComponentFileError> {
        if let Some(name) = self.path.to_str()
            && ADDRESSES.iter().any(|scheme| name.starts_with(scheme))
        {
            return Err(ComponentFileError::Address(name.chars().take(MOST_ADDRESS).collect()));
        }
        // Opening a named pipe would wait for its other end.
        if !self.path.metadata().map_err(|error| self.unreadable(error))?.is_file() {
            return Err(self.unreadable(io::Error::other("it is not a regular file")));
        }
        File::open(&self.path).map_err(|error| self.unreadable(error))
    }

    fn read_parts(&self, mut file: File, limit: u64, mut part: impl FnMut(&[u8])) -> Result<(), ComponentFileError> {
        let mut buffer = vec![0; crate::cache::PART];
        let mut length = 0;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.unreadable(error)),
            };
            // Counted while reading, as the file's metadata may be wrong.
            length += read as u64;
            if length > limit {
                return Err(ComponentFileError::TooLarge {
                    path: self.path.clone(),
                    limit,
                });
            }
            part(&buffer[..read]);
        }
    }

    fn unreadable(&self, reason: io::Error) -> ComponentFileError {
        ComponentFileError::Read {
            path: self.path.clone(),
            reason,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<ComponentFile>().unwrap_err().to_string()
    }

    #[test]
    fn a_pin_is_split_off() {
        let digest = "0123456789abcdef".repeat(4);
        let file: ComponentFile = format!("a@b/c.wasm@sha256:{}", digest.to_uppercase()).parse().unwrap();
        assert_eq!(
            (file.path(), file.pin()),
            (Path::new("a@b/c.wasm"), Some(digest.as_str()))
        );
        assert_eq!(file.to_string(), format!("a@b/c.wasm@sha256:{digest}"));
        assert_eq!("a@b.wasm".parse::<ComponentFile>().unwrap().pin(), None);
    }

    #[test]
    fn no_more_is_read_than_may_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guest.wasm");
        std::fs::write(&path, [0; 100]).unwrap();
        let file: ComponentFile = path.to_str().unwrap().parse().unwrap();
        assert!(file.read(100).is_ok());
        assert!(matches!(
            file.read(99).map(|_| ()),
            Err(ComponentFileError::TooLarge { limit: 99, .. })
        ));
        assert!(file.fingerprint(99).is_err());
    }

    #[test]
    fn wrong_pins_and_missing_names_are_reported() {
        let form = "after `@sha256:` go the 64 hexadecimal digits that `sha256sum` prints";
        assert_eq!(wrong("a.wasm@sha256:12"), format!("`a.wasm@sha256:12`: {form}"));
        let long = format!("a.wasm@sha256:{}", "g".repeat(64));
        assert_eq!(wrong(&long), format!("`{long}`: {form}"));
        assert!(wrong("").contains("names no file"));
        let nameless = format!("@sha256:{}", "0".repeat(64));
        assert!(wrong(&nameless).contains("names no file"));
    }
}
