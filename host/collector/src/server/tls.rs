//! TLS with a certificate and a key from files, read again when they were replaced.

use super::error::ServeError;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;

/// The time between two checks of the files. Certificates are renewed days before they end.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its authority (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub key: PathBuf,
}

/// TLS with a certificate that may be replaced.
pub struct Tls {
    files: TlsFiles,
    now: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    stamp: FileTimes,
    checked: Instant,
}

type FileTimes = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Self, ServeError> {
        let now = Loaded {
            stamp: stamp(&files),
            acceptor: acceptor(&files)?,
            checked: Instant::now(),
        };
        Ok(Self {
            files,
            now: Mutex::new(now),
        })
    }

    /// Returns the TLS of a new connection. New files that cannot be used leave the old ones in use.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.checked.elapsed() >= CHECK_EVERY {
            now.checked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != now.stamp {
                match acceptor(&self.files) {
                    Ok(acceptor) => {
                        now.acceptor = acceptor;
                        now.stamp = stamp;
                        tracing::info!("took the new certificate of {}", self.files.certificate.display());
                    }
                    Err(error) => tracing::error!("{error}; the certificate before it stays in use"),
                }
            }
        }
        now.acceptor.clone()
    }
}

/// Returns true if a certificate (DER) has `CA:TRUE`, as `openssl req -x509` makes them: the extension `basicConstraints` (RFC 5280,
/// section 4.2.1.9) starts with that. A search for its bytes is enough, since it only leads to a warning.
fn is_authority(certificate: &[u8]) -> bool {
    const IDENTIFIER: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
    const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
    let at = certificate
        .windows(IDENTIFIER.len())
        .position(|found| found == IDENTIFIER);
    let Some(rest) = at.map(|at| &certificate[at + IDENTIFIER.len()..]) else {
        return false;
    };
    // The flag that it is critical comes first, then an octet string with a sequence, each with its length.
    let rest = rest.strip_prefix(&TRUE).unwrap_or(rest);
    matches!(rest, [0x04, _, 0x30, _, value @ ..] if value.starts_with(&TRUE))
}

fn stamp(files: &TlsFiles) -> FileTimes {
    let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    (modified(&files.certificate), modified(&files.key))
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let unusable = |path: &PathBuf, why: String| ServeError::Tls {
        path: path.clone(),
        why,
    };
    let wrong_certificate = |why: String| unusable(&files.certificate, why);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|why| wrong_certificate(why.to_string()))?;
    let Some(own) = certificates.first() else {
        return Err(wrong_certificate("it has no certificate in PEM".to_owned()));
    };
    if is_authority(own) {
        tracing::warn!(
            "{} is the certificate of an authority, which pipefold and other clients refuse from a server: make it with \
             `-addext basicConstraints=critical,CA:FALSE`",
            files.certificate.display()
        );
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| unusable(&files.key, why.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|why| wrong_certificate(format!("{why} (with the key {})", files.key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::is_authority;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    #[test]
    fn an_authority_is_distinguished_from_a_server() {
        let key = KeyPair::generate().unwrap();
        let of = |is_ca| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.is_ca = is_ca;
            is_authority(params.self_signed(&key).unwrap().der())
        };
        assert!(of(IsCa::Ca(BasicConstraints::Unconstrained)) && of(IsCa::Ca(BasicConstraints::Constrained(1))));
        assert!(!of(IsCa::NoCa) && !of(IsCa::ExplicitNoCa));
        assert!(!is_authority(b""));
    }
}
