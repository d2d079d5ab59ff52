//! TLS, and listening where others can reach it.

use super::support::{EXAMPLE, Setup, post, read_answer, start};
use crate::access::{Rights, TokenFile, Tokens};
use crate::request::{App, Exposed, Exposure, Limits};
use crate::rules::Rules;
use crate::server::{ServeError, Server, TlsFiles};
use crate::store::sqlite::{self, SqliteStore};
use axum::Router;
use pipefold::Judge;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

fn files(dir: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

#[test]
fn speaks_https_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let tokens = vec![("a", Rights::ReadWrite, "*")];
    let server = start(Setup {
        tls: Some(files.clone()),
        tokens,
        ..Setup::default()
    });
    assert!(server.url.starts_with("https://"));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.certificate).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, server.connect());
    stream.write_all(post(&server.bearer(0), EXAMPLE).as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    let mut plain = server.connect();
    plain.write_all(post(&server.bearer(0), EXAMPLE).as_bytes()).unwrap();
    assert!(read_answer(&mut plain).is_none());
}

#[test]
fn what_would_not_be_safe_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::new(Arc::new(Judge::default()));
    let store = Arc::new(SqliteStore::open(dir.path(), rules.for_store(), sqlite::Limits::default()).unwrap());
    let bind = |address: &str, tls: Option<TlsFiles>| {
        let exposure = Exposure {
            address: address.parse().unwrap(),
            tls: tls.is_some(),
            behind_proxy: false,
        };
        let tokens = Tokens::open(TokenFile::of(dir.path())).unwrap();
        let app = App::new(store.clone(), rules.clone(), tokens, exposure, Limits::default(), false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(Server::bind(Arc::new(app), tls, Router::new()))
            .map(|_| ())
    };
    assert!(matches!(
        bind("0.0.0.0:0", None),
        Err(ServeError::Exposed(Exposed::NoToken(_)))
    ));
    let missing = TlsFiles {
        certificate: dir.path().join("none"),
        key: dir.path().join("none"),
    };
    let why = bind("127.0.0.1:0", Some(missing)).unwrap_err().to_string();
    assert!(why.contains(&dir.path().join("none").display().to_string()), "{why}");
    let mut mixed = files(dir.path());
    mixed.key = mixed.certificate.clone();
    assert!(matches!(bind("127.0.0.1:0", Some(mixed)), Err(ServeError::Tls { .. })));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(
        bind(&taken.local_addr().unwrap().to_string(), None),
        Err(ServeError::Listen { .. })
    ));
}
