//! Certificates: known, unknown and wrong.

use dx_standin::Standin;
use pipefold::dx::{Client, ClientError, ClientOptions, DxUrl, Outcome, ProxyOptions};

use crate::support::*;

#[test]
fn an_unknown_authority_is_refused_until_it_is_given() {
    let dx = Standin::start_tls();
    let outcome = upsert(&dx, AMPLE);
    assert!(
        why(&outcome).contains("--ca-file") && why(&outcome).contains(&dx.url()),
        "{outcome:?}"
    );
    assert!(dx.requests().is_empty(), "nothing was sent");

    let client = client_for(&dx.url(), Some(dx.ca_file().to_owned()), ProxyOptions::default());
    for id in ["a", "b"] {
        assert_eq!(client.upsert(&run(id), &token(&dx), AMPLE), Outcome::Accepted);
    }
    assert!(
        dx.requests()
            .iter()
            .all(|request| request.connection == dx.requests()[0].connection),
        "one handshake"
    );
    let by_name = dx.url().replace("127.0.0.1", "localhost");
    let client = client_for(&by_name, Some(dx.ca_file().to_owned()), ProxyOptions::default());
    assert_eq!(client.upsert(&run("c"), &token(&dx), AMPLE), Outcome::Accepted);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let dx = Standin::start_tls();
    let other = dx.url().replace("127.0.0.1", "127.0.0.2");
    // Linux answers on all of 127.0.0.0/8; where that is not so, nothing listens there.
    let outcome = client_for(&other, Some(dx.ca_file().to_owned()), ProxyOptions::default()).upsert(
        &run("r"),
        &token(&dx),
        AMPLE,
    );
    assert!(
        why(&outcome).contains("is not valid: certificate not valid for name") || why(&outcome).contains("could not"),
        "{outcome:?}"
    );
    assert!(dx.requests().is_empty());
}

#[test]
fn a_ca_file_of_no_use_is_named() {
    let dx = Standin::start_tls();
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    let outcome =
        client_for(&dx.url(), Some(empty.clone()), ProxyOptions::default()).upsert(&run("r"), &token(&dx), AMPLE);
    assert!(
        why(&outcome).contains("empty.pem") && why(&outcome).contains("no certificate"),
        "{outcome:?}"
    );
    for (ca_file, url, refused) in [
        (dir.path().join("none"), dx.url(), true),
        (dir.path().to_owned(), dx.url(), true),
        // Plain http has no use for it.
        (dir.path().join("none"), "http://localhost".to_owned(), false),
    ] {
        let url = DxUrl::parse(&url).unwrap();
        let made = Client::new(ClientOptions {
            url,
            ca_file: Some(ca_file),
            proxy: ProxyOptions::default(),
        });
        assert_eq!(matches!(made, Err(ClientError::CaFile { .. })), refused);
    }
}

#[test]
fn tls_to_a_server_without_it_fails_clearly() {
    let dx = Standin::start();
    let url = dx.url().replace("http:", "https:");
    let outcome = quickly(|| client_for(&url, None, ProxyOptions::default()).upsert(&run("r"), &token(&dx), AMPLE));
    assert!(
        why(&outcome).contains("does not speak TLS; is it http://"),
        "{outcome:?}"
    );
    assert!(!dx.requests().iter().any(|request| request.authorization.is_some()));
}
