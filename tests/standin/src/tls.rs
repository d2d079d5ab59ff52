//! HTTPS with a certificate of an unknown authority, made for each server.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A name that the certificate also covers, besides `localhost` and 127.0.0.1. It resolves nowhere (RFC 6761), so that a client can only
/// reach it through a proxy.
pub const NAME: &str = "dx.test";

/// The server's side of TLS, and the authority to trust.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    ca_pem: String,
    ca_file: PathBuf,
}

impl Tls {
    /// Makes an authority and a certificate, and writes the authority's certificate to a file.
    ///
    /// # Errors
    ///
    /// If a key cannot be made or the temporary directory cannot be written to.
    pub(crate) fn new() -> io::Result<Self> {
        let mut ca = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name
            .push(DnType::CommonName, "dx-standin test authority");
        let ca_key = KeyPair::generate().map_err(io::Error::other)?;
        let ca_pem = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let names = ["localhost", "127.0.0.1", NAME].map(str::to_owned);
        let leaf = CertificateParams::new(names).map_err(io::Error::other)?;
        let leaf_key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = leaf.signed_by(&leaf_key, &issuer).map_err(io::Error::other)?;

        let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        let ca_file = write_new(&ca_pem)?;
        Ok(Self {
            config: Arc::new(config),
            ca_pem,
            ca_file,
        })
    }

    /// The authority's certificate.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A file with [`Self::ca_pem`], which goes away with the server.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Removes the file. Called by the server, and not left to the last owner: threads of cut connections may outlive it by a moment.
    pub(crate) fn remove_ca_file(&self) {
        // A test may have removed it with its directory.
        let _ = std::fs::remove_file(&self.ca_file);
    }

    /// Wraps a connection. The handshake happens at the first read.
    ///
    /// # Errors
    ///
    /// If the TLS configuration is invalid.
    pub(crate) fn accept(&self, stream: TcpStream) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

/// Writes a file of a new name into the temporary directory; never through a link that lies there.
fn write_new(text: &str) -> io::Result<PathBuf> {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let path = std::env::temp_dir().join(format!("dx-standin-{}-{nanos}.pem", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}
