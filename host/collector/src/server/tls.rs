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

/// How often the files are looked at. Certificates are renewed days before they end.
const LOOK: Duration = Duration::from_secs(30);

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// Speaks TLS to clients.
pub(super) struct Tls {
    files: TlsFiles,
    now: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    stamp: Stamp,
    looked: Instant,
}

type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, ServeError> {
        let now = Loaded {
            stamp: stamp(&files),
            acceptor: acceptor(&files)?,
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            now: Mutex::new(now),
        })
    }

    /// For one more connection. New files that cannot be used leave the old ones in use.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
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

fn stamp(files: &TlsFiles) -> Stamp {
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
    if certificates.is_empty() {
        return Err(wrong_certificate("it has no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| unusable(&files.key, why.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|why| wrong_certificate(format!("{why} (with the key {})", files.key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
