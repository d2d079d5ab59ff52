//! The credentials go to the server, and nowhere else.

use pipefold::http::ProxyOptions;
use pipefold_gocd::ServerUrl;
use pipefold_gocd::client::{Client, ClientError, ClientOptions, Credentials, CredentialsError, Secret, Source};

use crate::client::server::*;

const PASSWORD: &str = "s3cr3tZq8vK2";
/// `Aladdin:` and the password in base64.
const ENCODED: &str = "QWxhZGRpbjpzM2NyM3RacTh2SzI=";

fn check(text: &str) {
    for secret in [PASSWORD, ENCODED, &ENCODED[12..]] {
        assert!(!text.contains(secret), "{text}");
    }
}

fn credentials() -> [Credentials; 2] {
    [
        basic(PASSWORD),
        Credentials::Bearer(Secret::new(PASSWORD.to_owned()).unwrap()),
    ]
}

#[test]
fn no_answer_of_a_server_brings_them_into_a_message() {
    for credentials in credentials() {
        for status in [200, 204, 302, 400, 401, 403, 404, 429, 500, 503] {
            // Says back what it was sent, everywhere.
            let server = Server::start(move |request| {
                let sent = request.header("Authorization").unwrap().split_once(' ').unwrap().1;
                let location = format!("http://{PASSWORD}.example/{sent}?{sent}");
                let warning = format!(r#"299 GoCD/v1 "{sent} {PASSWORD}""#);
                let headers = [
                    ("Location", location.as_str()),
                    ("Warning", &warning),
                    ("X-GoCD-API-Deprecated-In", PASSWORD),
                    ("Retry-After", PASSWORD),
                    ("WWW-Authenticate", PASSWORD),
                ];
                say_with(status, &headers, &format!("<html>{sent} {PASSWORD}"))
            });
            let options = ClientOptions {
                credentials: credentials.clone(),
                ..server.options()
            };
            check(&format!("{options:?}"));
            let client = Client::new(options).unwrap();
            let why = client.get(&by_name()).unwrap_err();
            check(&format!("{why} {why:?} {:?}", client.deprecation()));
            let why = client.get_json(&run()).unwrap_err();
            check(&format!("{why} {why:?} {client:?}"));
            let sent = server.requests()[0].header("Authorization").unwrap().to_owned();
            assert!(sent.contains(PASSWORD) || sent.contains(ENCODED), "it was sent: {sent}");
        }
    }
}

#[test]
fn not_in_the_clear_over_a_network_unless_allowed() {
    let make = |server: &str, credentials: Credentials, allow_plain: bool| {
        Client::new(ClientOptions {
            credentials,
            allow_plain,
            ..ClientOptions::new(ServerUrl::parse(server).unwrap())
        })
        .map(|_| ())
    };
    for credentials in credentials() {
        let why = make("http://ci.example:8153/go", credentials.clone(), false).unwrap_err();
        assert!(
            matches!(&why, ClientError::PlainHttp { host } if host == "ci.example"),
            "{why:?}"
        );
        assert!(why.to_string().contains("--insecure-http"), "{why}");
        check(&format!("{why} {why:?}"));
        make("http://10.0.0.1:8153", credentials.clone(), false).unwrap_err();
        make("http://ci.example:8153/go", credentials.clone(), true).unwrap();
        for safe in [
            "https://ci.example/go",
            "http://localhost:8153/go",
            "http://[::1]:8153/go",
        ] {
            make(safe, credentials.clone(), false).unwrap();
        }
    }
    make("http://ci.example:8153/go", Credentials::None, false).unwrap();
}

#[test]
fn what_no_header_carries_is_refused_before_anything_is_sent() {
    let make = |credentials| {
        let server = ServerUrl::parse("https://ci.example/go").unwrap();
        let options = ClientOptions {
            credentials,
            ..ClientOptions::new(server)
        };
        Client::new(options).unwrap_err()
    };
    let token = Secret::new(format!("{PASSWORD} x")).unwrap();
    let why = make(Credentials::Bearer(token));
    assert_eq!(why, ClientError::Credentials(CredentialsError::Token));
    check(&why.to_string());
}

#[test]
fn a_proxy_for_https_sees_nothing_of_plain_http() {
    let proxy = Server::start(|_| say(200, "<proxy/>"));
    let server = Server::start(|_| say(200, DOCUMENT));
    let address = format!("http://127.0.0.1:{}", proxy.port());
    let options = ClientOptions {
        credentials: basic(PASSWORD),
        proxy: ProxyOptions::from_env(move |_| Some(address.clone())),
        ..server.options()
    };
    assert_eq!(Client::new(options).unwrap().get(&pipelines()), Ok(DOCUMENT.into()));
    assert!(proxy.requests().is_empty());
}
