//! The addresses and credentials of a queue.

use pipefold::http::{SecretFile, SecretFileError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The longest address, as for DX: room for every node of a large cluster.
const MAX_LENGTH: usize = 2048;

/// The longest file of credentials: a signed user with all its permissions has some KiB.
const MAX_SECRET: usize = 64 * 1024;

/// The largest file of authorities, as for DX.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;

/// The port of NATS, where an address has none.
const PORT: u16 = 4222;

/// The text hashed before credentials, so that the digest is of no use elsewhere.
const DIGEST_DOMAIN: &[u8] = b"pipefold queue credentials digest v1\0";

/// A queue: its servers and the credentials for them. Displayed as its address alone.
#[derive(Clone)]
pub struct Queue {
    servers: Vec<Server>,
    auth: QueueAuth,
    ca_file: Option<PathBuf>,
}

/// Files with the credentials and certificates for a queue. At most one of the first two may be set.
#[derive(Clone, Debug, Default)]
pub struct QueueKeys {
    /// The credentials of a NATS user: a JWT and its seed, as `nsc` writes them.
    pub credentials_file: Option<PathBuf>,
    /// The token of a NATS server.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust in place of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// One server of the cluster.
#[derive(Clone, PartialEq, Eq)]
struct Server {
    tls: bool,
    /// In lower case; an IPv6 address has its brackets.
    host: String,
    port: u16,
}

#[derive(Clone)]
pub(crate) enum QueueAuth {
    None,
    Credentials { text: SecretString, file: PathBuf },
    Token(SecretString),
}

/// An error in the queue's address or files. Never shows a secret, nor the address, which may be one by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The address is empty.
    #[error(
        "the queue's address is empty: give NATS servers, such as tls://nats-1.example.com:4222,tls://nats-2.example.com:4222"
    )]
    Empty,
    /// The scheme is not `tls://` or `nats://`.
    #[error("the queue's address must begin with tls://, or with nats:// on this machine")]
    Scheme,
    /// The address cannot be parsed, or is too long.
    #[error("the queue's address is not valid: expected tls://nats.example.com:4222, with commas between servers")]
    Malformed,
    /// The address contains a user name, password or token.
    #[error(
        "the queue's address has a user name, a password or a token before `@`: remove it and use --queue-credentials or --queue-token-file"
    )]
    UserInfo,
    /// The address is unencrypted and not of this machine: runs and credentials could be read on the network.
    #[error("the queue's address must be tls://{host}: nats:// is not encrypted and is accepted for this machine only")]
    Plain {
        /// The host.
        host: String,
    },
    /// Both a credentials file and a token file are given.
    #[error("the queue has credentials and a token: give only one of --queue-credentials and --queue-token-file")]
    TwoKeys,
    /// The file with the credentials or the token cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file is empty or too long.
    #[error("the file {} is empty, or longer than 64 KiB: it must hold the token or the credentials for the NATS server", .path.display())]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
    /// The file with certificates cannot be read.
    #[error("cannot use the certificates in {}: {why}; give --ca-file a file with the authority's certificate in PEM form", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The system's error, or the fault in the file.
        why: String,
    },
}

impl Queue {
    /// Parses an address such as `tls://nats-1.example.com:4222`, or several separated by commas, and reads the files in `keys`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(address: &str, keys: &QueueKeys) -> Result<Self, AddressError> {
        let address = address.trim();
        if address.is_empty() {
            return Err(AddressError::Empty);
        }
        if address.len() > MAX_LENGTH {
            return Err(AddressError::Malformed);
        }
        let servers = address.split(',').map(|text| Server::parse(text.trim()));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let auth = match (&keys.credentials_file, &keys.token_file) {
            (Some(_), Some(_)) => return Err(AddressError::TwoKeys),
            (Some(file), None) => QueueAuth::Credentials {
                text: secret(file)?,
                file: file.clone(),
            },
            (None, Some(file)) => QueueAuth::Token(secret(file)?),
            (None, None) => QueueAuth::None,
        };
        if let Some(path) = &keys.ca_file {
            check_ca_file(path).map_err(|why| AddressError::CaFile {
                path: path.clone(),
                why,
            })?;
        }
        Ok(Self {
            servers,
            auth,
            ca_file: keys.ca_file.clone(),
        })
    }

    /// A digest of the credentials, safe to store and to show; `queue` if there are none.
    #[must_use]
    pub fn credentials(&self) -> String {
        let (kind, text): (&[u8], _) = match &self.auth {
            QueueAuth::None => return "queue".to_owned(),
            QueueAuth::Credentials { text, .. } => (b"credentials\0", text),
            QueueAuth::Token(text) => (b"token\0", text),
        };
        let hash = Sha256::new().chain_update(DIGEST_DOMAIN).chain_update(kind);
        let hash = hash.chain_update(text.expose_secret()).finalize();
        // Twelve digits, as of DX's token: enough to distinguish a few, too little to check guesses against.
        hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn auth(&self) -> &QueueAuth {
        &self.auth
    }

    pub(crate) fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.servers.iter().any(|server| server.tls)
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = String> {
        self.servers.iter().map(Server::to_string)
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "tls" => true,
            "nats" => false,
            _ => return Err(AddressError::Scheme),
        };
        if rest.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let end_of_host = if rest.starts_with('[') {
            rest.find(']').ok_or(AddressError::Malformed)? + 1
        } else {
            rest.find(':').unwrap_or(rest.len())
        };
        let (host, port) = rest.split_at(end_of_host);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => PORT,
            Some(digits) => match digits.parse() {
                Ok(0) | Err(_) => return Err(AddressError::Malformed),
                Ok(port) => port,
            },
            None => return Err(AddressError::Malformed),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |host: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !host.is_empty() && host.bytes().all(known)
        };
        let is_address = host.starts_with('[') && bare.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_address && !is_name(host) {
            return Err(AddressError::Malformed);
        }
        let host = host.to_ascii_lowercase();
        let is_here = bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if !tls && !is_here {
            return Err(AddressError::Plain { host });
        }
        Ok(Self { tls, host, port })
    }
}

fn secret(path: &Path) -> Result<SecretString, AddressError> {
    let file = SecretFile::read(path, MAX_SECRET)?;
    if file.readable_by_others {
        tracing::info!(path = %path.display(), "other users can read the file with the queue's secret");
    }
    let text = file.text.expose_secret().trim();
    if text.is_empty() || text.len() > MAX_SECRET {
        return Err(AddressError::NoSecret { path: path.to_owned() });
    }
    Ok(SecretString::from(text))
}

/// Checks that the file has a certificate: without one no server would be trusted, and each one's certificate would seem wrong.
fn check_ca_file(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let file = File::open(path).map_err(|why| why.to_string())?;
    let mut pem = Vec::new();
    let read = file.take(MAX_CA_FILE + 1).read_to_end(&mut pem);
    read.map_err(|why| why.to_string())?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    match () {
        () if pem.len() as u64 > MAX_CA_FILE => Err(format!("it has more than {MAX_CA_FILE} bytes")),
        () if !pem.windows(begin.len()).any(|found| found == begin) => Err("it has no certificate".to_owned()),
        () => Ok(()),
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "nats" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{server}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn queue(address: &str) -> Result<Queue, AddressError> {
        Queue::new(address, &QueueKeys::default())
    }

    #[test]
    fn accepted_and_normalised() {
        for (given, normal) in [
            ("nats://127.0.0.1", "nats://127.0.0.1:4222"),
            (" NATS://LocalHost:4333/ ", "nats://localhost:4333"),
            ("nats://[::1]:4222", "nats://[::1]:4222"),
            ("tls://nats.example.com", "tls://nats.example.com:4222"),
            (
                "tls://a.example:1, tls://b.example:2",
                "tls://a.example:1,tls://b.example:2",
            ),
        ] {
            let queue = queue(given).unwrap();
            assert_eq!(queue.to_string(), normal, "{given}");
            assert_eq!(queue.credentials(), "queue");
        }
    }

    #[test]
    fn refused_and_never_shown() {
        let plain = |host: &str| AddressError::Plain { host: host.to_owned() };
        for (given, expected) in [
            ("", AddressError::Empty),
            ("nats.example.com", AddressError::Scheme),
            ("http://nats.example.com", AddressError::Scheme),
            ("nats://a.example", plain("a.example")),
            ("nats://127.0.0.1.a.example", plain("127.0.0.1.a.example")),
            ("nats://0.0.0.0", plain("0.0.0.0")),
            ("nats://127.0.0.1,nats://b.example", plain("b.example")),
            ("tls://user:sesame@a.example", AddressError::UserInfo),
            ("nats://sesame@127.0.0.1", AddressError::UserInfo),
            ("tls://a.example:0", AddressError::Malformed),
            ("tls://a.example:99999", AddressError::Malformed),
            ("tls://a.example/sesame", AddressError::Malformed),
            ("tls://a.example?sesame", AddressError::Malformed),
            ("tls://[::1", AddressError::Malformed),
            ("tls://", AddressError::Malformed),
            ("tls://a.example,", AddressError::Scheme),
        ] {
            let why = queue(given).unwrap_err();
            assert_eq!(why, expected, "{given}");
            assert!(!why.to_string().contains("sesame"), "{why}");
        }
    }

    #[test]
    fn long_addresses_and_files_are_refused() {
        let address = |length: usize| format!("tls://{}", "a".repeat(length - "tls://".len()));
        assert!(queue(&address(MAX_LENGTH)).is_ok());
        assert_eq!(queue(&address(MAX_LENGTH + 1)).unwrap_err(), AddressError::Malformed);

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let with = |keys: &QueueKeys| Queue::new("tls://a.example", keys);
        let secret = QueueKeys {
            token_file: Some(file.clone()),
            ..QueueKeys::default()
        };
        std::fs::write(&file, "x".repeat(MAX_SECRET) + "\n").unwrap();
        assert!(with(&secret).is_ok());
        std::fs::write(&file, "x".repeat(MAX_SECRET + 1)).unwrap();
        assert!(matches!(with(&secret), Err(AddressError::NoSecret { .. })));

        let trusted = QueueKeys {
            ca_file: Some(file.clone()),
            ..QueueKeys::default()
        };
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let most = usize::try_from(MAX_CA_FILE).unwrap();
        std::fs::write(&file, begin.to_owned() + &"\n".repeat(most - begin.len())).unwrap();
        assert!(with(&trusted).is_ok());
        std::fs::write(&file, begin.to_owned() + &"\n".repeat(most)).unwrap();
        assert!(matches!(with(&trusted), Err(AddressError::CaFile { .. })));
    }

    #[test]
    fn secrets_have_a_digest_and_show_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "open sesame\n").unwrap();
        let with = |credentials: bool, token: bool| {
            let keys = QueueKeys {
                credentials_file: credentials.then(|| file.clone()),
                token_file: token.then(|| file.clone()),
                ca_file: None,
            };
            Queue::new("nats://127.0.0.1", &keys)
        };
        let (credentials, token) = (with(true, false).unwrap(), with(false, true).unwrap());
        assert_ne!(credentials.credentials(), token.credentials());
        assert_eq!(token.credentials().len(), 12);
        assert!(
            pipefold::TokenDigest::try_from(token.credentials()).is_ok(),
            "as the spool knows them"
        );
        assert!(!format!("{token} {token:?} {}", token.credentials()).contains("sesame"));
        assert_eq!(with(true, true).unwrap_err(), AddressError::TwoKeys);
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(with(false, true), Err(AddressError::NoSecret { .. })));
    }
}
