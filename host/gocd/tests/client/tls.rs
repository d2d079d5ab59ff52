//! The certificates that the client trusts.

use std::path::PathBuf;

use dx_standin::Standin;
use pipefold_gocd::ServerUrl;
use pipefold_gocd::client::{Client, ClientError, ClientOptions, FetchError, Source};

use crate::client::server::*;

fn client(server: &Standin, ca_file: Option<PathBuf>) -> Result<Client, ClientError> {
    Client::new(ClientOptions {
        ca_file,
        tries: 1,
        credentials: basic("open sesame"),
        ..ClientOptions::new(ServerUrl::parse(&server.url()).unwrap())
    })
}

#[test]
fn a_company_authority_is_trusted_when_it_is_given() {
    // It is not GoCD, and answers so, but only through TLS.
    let server = Standin::start_tls();
    let known = client(&server, Some(server.ca_file().to_owned())).unwrap();
    assert_eq!(known.get(&pipelines()), Err(FetchError::NotFound));
    let unknown = client(&server, None).unwrap().get(&pipelines());
    let Err(FetchError::Unavailable { status: None, why, .. }) = &unknown else {
        panic!("{unknown:?}")
    };
    assert!(why.contains("--ca-file"), "{why}");
    assert_eq!(server.requests().len(), 1, "nothing was sent to a stranger");
}

#[test]
fn a_missing_ca_file_is_an_error_at_once() {
    let server = Standin::start_tls();
    let why = client(&server, Some("/nonexistent/ca.pem".into())).unwrap_err();
    assert!(matches!(why, ClientError::Transport(_)), "{why:?}");
    assert!(why.to_string().contains("/nonexistent/ca.pem"), "{why}");
}
