//! Minisign signatures beside component files, by a key that the operator names.
//!
//! The signature of `FILE` is `FILE.minisig`. Only minisign's prehashed form is taken, which minisign writes since version 0.10: it is
//! verified while the file is read, in parts.

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign_verify::{Error, PublicKey, Signature, StreamVerifier};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The ending of a signature's file, after the name of the component.
const ENDING: &str = ".minisig";
/// Bytes of a signature's file, and of a key's. Minisign's own limits for the two comments of a signature are 1,024 and 8,192 bytes.
const MOST_SIGNATURE: u64 = 16 << 10;
const MOST_KEY: u64 = 4 << 10;

/// The beginnings of a key in base64: the algorithm `Ed` and two bits of the key's id.
const BEGINNINGS: [&str; 4] = ["RWQ", "RWR", "RWS", "RWT"];
/// Characters of a secret key in base64.
const SECRET_KEY: usize = 212;
/// Characters of base64 from which a text with such a beginning is taken for a key, and not for a path.
const LEAST_KEY: usize = 20;
/// Characters of base64 with the algorithm and the id of a key or signature.
const HEAD: usize = 16;

/// A minisign public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinisignKey {
    key: PublicKey,
    id: KeyId,
}

/// The id of a key as minisign prints it: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

/// The place of a public key.
///
/// ```
/// # use pipefold_sandbox::KeyPlace;
/// let text: KeyPlace = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse()?;
/// assert_eq!(text.key()?.id().to_string(), "E7620F1842B4E81F");
/// assert_eq!("minisign.pub".parse::<KeyPlace>()?, KeyPlace::File("minisign.pub".into()));
/// assert!("RWQf6LRCGA9i53mlYecO4IzT".parse::<KeyPlace>().is_err());
/// # Ok::<(), pipefold_sandbox::SignatureError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// The key itself.
    Key(MinisignKey),
    /// A file with the key, as `minisign -G` writes it.
    File(PathBuf),
}

/// A valid signature of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key that made it.
    pub key: KeyId,
    /// Its trusted comment, which is signed as well: text of the signer, not yet safe to show.
    pub comment: String,
}

/// An error of a key or of a signature.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The text is no public key. It is not shown, as it may be a secret one.
    #[error("this is no minisign public key: write its line of 56 characters, RWQ…, or the path of its file")]
    NoKey,
    /// The text is a secret key.
    #[error("this is a secret key: name the public one, which `minisign -G` writes to minisign.pub")]
    SecretKey,
    /// The key's file cannot be read.
    #[error("cannot read the key {}: {reason}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The key's file has no public key.
    #[error("{}: {reason}", .path.display())]
    InKeyFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: Box<SignatureError>,
    },
    /// There is no signature beside the component.
    #[error("{} is missing, and a signature is demanded: put it there, or make it by `minisign -S`", beside(.0).display())]
    Missing(PathBuf),
    /// The signature's file cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Read {
        /// The signature's file.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The signature's file is not one of minisign's.
    #[error("{}: this is no signature of minisign; copy it again as `minisign -S` wrote it", .0.display())]
    Malformed(PathBuf),
    /// The signature is not prehashed.
    #[error("{}: its form is old; sign again by minisign 0.10 or later, or by `minisign -SHm FILE`", .0.display())]
    Legacy(PathBuf),
    /// The signature is of another key.
    #[error("{}: signed by key {found}, and not by {wanted}: get that signature, or trust the other key", .path.display())]
    OtherKey {
        /// The component.
        path: PathBuf,
        /// The key that is demanded.
        wanted: KeyId,
        /// The key that signed.
        found: KeyId,
    },
    /// The signature is not one of these bytes.
    #[error("{}: not what key {key} signed: it or its signature was changed; get both again", .path.display())]
    Wrong {
        /// The component.
        path: PathBuf,
        /// The key that is demanded.
        key: KeyId,
    },
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Minisign reads the bytes as a number in little endian.
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl KeyId {
    /// The id in a line of base64, of a key or a signature: it follows the algorithm's two bytes.
    fn of(line: &str) -> Option<Self> {
        let head = STANDARD.decode(line.get(..HEAD)?).ok()?;
        Some(Self(head.get(2..10)?.try_into().ok()?))
    }
}

impl MinisignKey {
    /// The id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl FromStr for MinisignKey {
    type Err = SignatureError;

    /// Reads the key's line, or the whole text of its file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A file has a comment in front of the key.
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines.take(2).last().unwrap_or_default();
        if line.len() == SECRET_KEY {
            return Err(SignatureError::SecretKey);
        }
        match (PublicKey::from_base64(line), KeyId::of(line)) {
            (Ok(key), Some(id)) => Ok(Self { key, id }),
            _ => Err(SignatureError::NoKey),
        }
    }
}

impl FromStr for KeyPlace {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let is_key = BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
            && text.len() >= LEAST_KEY
            && text.bytes().all(is_base64);
        match text {
            "" => Err(SignatureError::NoKey),
            _ if is_key => text.parse().map(Self::Key),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl KeyPlace {
    /// The key, read from its file if it is in one.
    ///
    /// # Errors
    /// [`SignatureError`] if the file cannot be read, or has no public key.
    pub fn key(&self) -> Result<MinisignKey, SignatureError> {
        let path = match self {
            Self::Key(key) => return Ok(key.clone()),
            Self::File(path) => path,
        };
        let text = read(path, MOST_KEY).map_err(|reason| SignatureError::KeyFile {
            path: path.clone(),
            reason,
        })?;
        let key = text.as_deref().unwrap_or_default().parse();
        key.map_err(|reason| SignatureError::InKeyFile {
            path: path.clone(),
            reason: Box::new(reason),
        })
    }
}

/// The signature of a file that is about to be read.
pub struct Claim {
    path: PathBuf,
    key: MinisignKey,
    signature: Signature,
}

impl Claim {
    /// Reads the signature beside a component.
    pub fn read(component: &Path, key: &KeyPlace) -> Result<Self, SignatureError> {
        let key = key.key()?;
        let path = beside(component);
        let text = match read(&path, MOST_SIGNATURE) {
            Ok(text) => text.ok_or_else(|| SignatureError::Malformed(path.clone()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SignatureError::Missing(component.into()));
            }
            Err(reason) => return Err(SignatureError::Read { path, reason }),
        };
        let signature = Signature::decode(&text).ok();
        let found = text.lines().nth(1).and_then(KeyId::of);
        let (Some(signature), Some(found)) = (signature, found) else {
            return Err(SignatureError::Malformed(path));
        };
        match key.key.verify_stream(&signature) {
            Ok(_) => Ok(Self {
                path: component.into(),
                key,
                signature,
            }),
            Err(Error::UnsupportedLegacyMode) => Err(SignatureError::Legacy(path)),
            Err(_) => Err(SignatureError::OtherKey {
                path: component.into(),
                wanted: key.id,
                found,
            }),
        }
    }

    /// Begins to verify the file's bytes.
    pub fn begin(&self) -> Result<Verifier<'_>, SignatureError> {
        let stream = self.key.key.verify_stream(&self.signature);
        let stream = stream.map_err(|_| self.wrong())?;
        Ok(Verifier { claim: self, stream })
    }

    fn wrong(&self) -> SignatureError {
        SignatureError::Wrong {
            path: self.path.clone(),
            key: self.key.id,
        }
    }
}

/// The verification of a file's bytes.
pub struct Verifier<'a> {
    claim: &'a Claim,
    stream: StreamVerifier<'a>,
}

impl Verifier<'_> {
    /// Takes the next bytes.
    pub fn add(&mut self, part: &[u8]) {
        self.stream.update(part);
    }

    /// Verifies the signature of all bytes, and the one of its comment.
    pub fn finish(mut self) -> Result<Signed, SignatureError> {
        self.stream.finalize().map_err(|_| self.claim.wrong())?;
        Ok(Signed {
            key: self.claim.key.id,
            comment: self.claim.signature.trusted_comment().into(),
        })
    }
}

/// The file of a component's signature.
fn beside(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(ENDING);
    path.into()
}

/// Reads a small file; none if it is not text, or longer than `limit` bytes.
fn read(path: &Path, limit: u64) -> io::Result<Option<String>> {
    // Opening a named pipe would wait for its other end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= limit))
}

#[cfg(test)]
mod tests;
