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
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::{ComponentFile, Verified};
    use std::fs;

    // Made by minisign 0.11, with keys that have no password and sign nothing else.
    const BYTES: &str = "component bytes";
    const KEY: &str = "RWRU7YycA89QnuMy/MEuTXpcRekA5cNHMR97ONtjf9Sts7O3m5lV8Wx7";
    const OTHER_KEY: &str = "RWSvJeRRfp4MN4JRKPdF0E2evEnwqoxUt57/qd7F81zdim+eH8t745Lq";
    const SIGNED: &str = "untrusted comment: signature from minisign secret key
RURU7YycA89QnjchDKd+CxVjcrwe25J+DoDoOWNPdT0tcFEzHsQk3LMLfkl7XxyTUKuJV0KTz9VZs8mFeJz7RjwA1V164RghZQQ=
trusted comment: release 1
Ddna33ZJ+Fpj6TZUDUcH+nlhy/97VDVvPWO8tzMPm/LJj0QpOocQrYVsapsf+QhWzx39kQdxj03N2PtaZwBsAA==
";
    const SIGNED_IN_THE_OLD_FORM: &str = "untrusted comment: signature from minisign secret key
RWRU7YycA89QnoRO55qnVoHzEmHE/9ASbM5ceaw3tsZO7Lme5NLSAGzobN3ZFj+LDUcXdLqefw/FjnwvvGzX0UggVwFlW4pvJgI=
trusted comment: release 1
euQJTYqWbwU9u6jZ21CxGtnUAIt/45G2mzY6qX+8ORvHXv4EOQYazwcb0FAu4uTRFSTFt4UAJyXyAYIcR0IyAw==
";

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            place.write("guest.wasm", BYTES);
            place.write("guest.wasm.minisig", SIGNED);
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) {
            fs::write(self.path(name), text).unwrap();
        }

        fn file(&self, key: &str) -> ComponentFile {
            ComponentFile::from(self.path("guest.wasm")).signed_by(Some(key.parse().unwrap()))
        }

        /// The error of every way to use the file, without the directory.
        fn error(&self, key: &str) -> String {
            let file = self.file(key);
            let error = file.read(100).unwrap_err().to_string();
            assert_eq!(file.fingerprint(100).unwrap_err().to_string(), error);
            assert_eq!(file.verify(100).unwrap_err().to_string(), error);
            // It still has a name: what was recorded under it stays bound to the same bytes.
            assert!(file.name_digest(100).is_ok());
            let error = error.replace(&format!("{}/", self.0.path().display()), "");
            assert!(error.chars().count() < 120 && !error.contains('\n'), "{error}");
            error
        }
    }

    #[test]
    fn a_signed_file_is_read() {
        let place = Place::new();
        place.write("key.pub", format!("untrusted comment: a key\r\n{KEY}\r\n"));
        place.write("bare.pub", KEY);
        let key_file = |name: &str| place.path(name).display().to_string();
        for key in [KEY, &key_file("key.pub"), &key_file("bare.pub")] {
            let file = place.file(key);
            assert_eq!(file.read(100).unwrap().bytes, BYTES.as_bytes());
            assert_eq!(file.fingerprint(100).unwrap(), blake3::hash(BYTES.as_bytes()));
            let Verified { sha256, signed } = file.verify(100).unwrap().unwrap();
            assert_eq!(sha256, file.read(100).unwrap().sha256);
            assert_eq!(
                (signed.key.to_string().as_str(), &*signed.comment),
                ("9E50CF039C8CED54", "release 1")
            );
        }
        let unsigned = place.file(KEY).signed_by(None);
        fs::remove_file(place.path("guest.wasm.minisig")).unwrap();
        assert!(unsigned.read(100).is_ok() && unsigned.verify(100).unwrap().is_none());
    }

    #[test]
    fn other_bytes_and_another_key_are_refused() {
        let place = Place::new();
        assert_eq!(
            place.error(OTHER_KEY),
            "guest.wasm: signed by key 9E50CF039C8CED54, and not by 370C9E7E51E425AF: get that signature, or trust the other key"
        );
        let wrong = "guest.wasm: not what key 9E50CF039C8CED54 signed: it or its signature was changed; get both again";
        for bytes in ["component bytez", "component byte", "component bytes ", ""] {
            place.write("guest.wasm", bytes);
            assert_eq!(place.error(KEY), wrong, "{bytes:?}");
        }
        place.write("guest.wasm", BYTES);
        // The comment is signed as well; the one above it is not.
        place.write("guest.wasm.minisig", SIGNED.replace("release 1", "release 2"));
        assert_eq!(place.error(KEY), wrong);
        place.write("guest.wasm.minisig", SIGNED.replace("minisign secret key", "us"));
        assert!(place.file(KEY).read(100).is_ok());
    }

    #[test]
    fn no_flipped_bit_of_a_signature_is_valid() {
        let place = Place::new();
        let second = SIGNED.find('\n').unwrap() + 1;
        for at in second..SIGNED.len() - 1 {
            let mut bytes = SIGNED.as_bytes().to_vec();
            bytes[at] ^= 1;
            place.write("guest.wasm.minisig", bytes);
            assert!(place.file(KEY).fingerprint(100).is_err(), "{at}");
        }
        for length in 0..SIGNED.len() - 1 {
            place.write("guest.wasm.minisig", &SIGNED[..length]);
            assert!(place.file(KEY).fingerprint(100).is_err(), "{length}");
        }
    }

    #[test]
    fn a_signature_that_is_none_is_named() {
        let place = Place::new();
        let none = "guest.wasm.minisig: this is no signature of minisign; copy it again as `minisign -S` wrote it";
        let long = SIGNED.replace("minisign secret key", &"k".repeat(20_000));
        let big = [SIGNED.as_bytes(), &[b'\n'; 20_000]].concat();
        for text in [
            b"".as_slice(),
            b"\xff",
            b"a\nb\nc\nd\n",
            KEY.as_bytes(),
            long.as_bytes(),
            &big,
        ] {
            place.write("guest.wasm.minisig", text);
            assert_eq!(place.error(KEY), none, "{}", String::from_utf8_lossy(text));
        }
        place.write("guest.wasm.minisig", SIGNED_IN_THE_OLD_FORM);
        assert_eq!(
            place.error(KEY),
            "guest.wasm.minisig: its form is old; sign again by minisign 0.10 or later, or by `minisign -SHm FILE`"
        );
        fs::remove_file(place.path("guest.wasm.minisig")).unwrap();
        assert_eq!(
            place.error(KEY),
            "guest.wasm.minisig is missing, and a signature is demanded: put it there, or make it by `minisign -S`"
        );
        fs::create_dir(place.path("guest.wasm.minisig")).unwrap();
        assert_eq!(
            place.error(KEY),
            "cannot read guest.wasm.minisig: it is not a regular file"
        );
    }

    #[test]
    fn the_limit_of_a_component_and_its_pin_still_hold() {
        let place = Place::new();
        assert!(place.file(KEY).fingerprint(14).is_err() && place.file(KEY).fingerprint(15).is_ok());
        let path = place.path("guest.wasm");
        let pinned: ComponentFile = format!("{}@sha256:{}", path.display(), "0".repeat(64)).parse().unwrap();
        let pinned = pinned.signed_by(Some(KEY.parse().unwrap()));
        assert!(pinned.read(100).unwrap_err().to_string().contains("is pinned"));
        assert!(pinned.verify(100).unwrap_err().to_string().contains("is pinned"));
    }

    #[test]
    fn no_wrong_key_is_shown() {
        let place = Place::new();
        let secret = format!("RWRTY0Iy{}", "A".repeat(204));
        let no_key = "this is no minisign public key: write its line of 56 characters, RWQ…, or the path of its file";
        let secret_key = "this is a secret key: name the public one, which `minisign -G` writes to minisign.pub";
        let error = |text: &str| text.parse::<KeyPlace>().unwrap_err().to_string();
        for wrong in ["", " ", &KEY[..55], &format!("{KEY}A"), &KEY[..20]] {
            assert_eq!(error(wrong), no_key, "{wrong}");
        }
        assert_eq!(error(&secret), secret_key);
        for (text, why) in [
            (&*secret, secret_key),
            (&format!("untrusted comment: k\n{secret}\n"), secret_key),
            ("", no_key),
            ("sesame", no_key),
            (SIGNED, no_key),
            (&" ".repeat(5000), no_key),
        ] {
            place.write("key", text);
            let key = place.path("key").display().to_string();
            assert_eq!(place.error(&key), format!("key: {why}"));
        }
        let absent = place.path("absent").display().to_string();
        assert_eq!(
            place.error(&absent),
            "cannot read the key absent: No such file or directory (os error 2)"
        );
    }
}
