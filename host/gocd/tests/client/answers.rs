//! The result of each kind of answer.

use pipefold_gocd::client::{Client, ClientOptions, Credentials, FetchError, Secret, Source};

use crate::client::server::*;

fn answered(deed: impl Fn(&Request) -> Deed + Send + Sync + 'static) -> (Result<Vec<u8>, FetchError>, usize) {
    let server = Server::start(deed);
    let answer = server.client().get(&pipelines());
    (answer, server.requests().len())
}

#[test]
fn a_document_is_unchanged_and_the_request_names_its_type() {
    let server = Server::start(|_| say_with(200, &[("Content-Type", "text/html")], DOCUMENT));
    let client = server.client();
    assert_eq!(client.get(&pipelines()), Ok(DOCUMENT.into()));
    let request = &server.requests()[0];
    assert_eq!(request.line, "GET /go/api/feed/pipelines.xml");
    assert_eq!(request.header("Accept"), Some("application/xml"));
    assert_eq!(request.header("Accept-Encoding"), Some("identity"));
    assert!(request.header("User-Agent").unwrap().starts_with("pipefold/"));
    assert_eq!(
        (request.header("Authorization"), request.header("Cookie")),
        (None, None)
    );
    assert_eq!(client.requests(), 1);
}

#[test]
fn credentials_are_sent_with_every_request() {
    let server = Server::start(|_| say_with(200, &[("Set-Cookie", "JSESSIONID=1")], DOCUMENT));
    let bearer = Credentials::Bearer(Secret::new("a1b2".to_owned()).unwrap());
    for (credentials, expected) in [
        (basic("open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (bearer, "Bearer a1b2"),
    ] {
        let options = ClientOptions {
            credentials,
            ..server.options()
        };
        let client = Client::new(options).unwrap();
        for _ in 0..2 {
            client.get(&pipelines()).unwrap();
            let request = server.requests().pop().unwrap();
            assert_eq!(request.header("Authorization"), Some(expected));
            assert_eq!(request.header("Cookie"), None);
        }
    }
}

#[test]
fn what_does_not_change_is_asked_for_once() {
    let once = |expected: FetchError, deed: fn(&Request) -> Deed| {
        assert_eq!(answered(deed), (Err(expected), 1));
    };
    once(FetchError::BadCredentials, |_| {
        say_with(401, &[("WWW-Authenticate", "Basic realm=\"GoCD\"")], "no")
    });
    once(FetchError::NoPermission, |_| {
        say(
            401,
            "<unauthorized><message>Not authorized to view pipeline</message></unauthorized>",
        )
    });
    once(FetchError::NoPermission, |_| say(403, "no"));
    once(FetchError::NotFound, |_| say(404, "Pipeline not found\n"));
    let (answer, requests) = answered(|_| say(400, "<bad-request/>"));
    let Err(FetchError::Refused { status: 400, why }) = &answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("/go/api/feed/pipelines.xml") && requests == 1, "{why}");
}

#[test]
fn what_may_pass_is_asked_for_three_times() {
    for status in [408, 425, 429, 500, 502, 503] {
        let (answer, requests) = answered(move |_| say(status, "<html>down</html>"));
        let Err(FetchError::Unavailable {
            status: Some(same),
            retry_after: None,
            why,
        }) = &answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!((*same, requests), (status, 3));
        assert!(
            why.contains("/go/api/feed/pipelines.xml") && why.contains(&status.to_string()),
            "{why}"
        );
    }
    let passing = |request: &Request| match request.number {
        0 | 1 => say(503, "starting"),
        _ => say(200, DOCUMENT),
    };
    assert_eq!(answered(passing), (Ok(DOCUMENT.into()), 3));
}

#[test]
fn web_pages_and_nothing_at_all_are_no_documents() {
    for body in ["<!DOCTYPE html><html><body>Log in</body></html>", "\n <HTML>", ""] {
        let (answer, requests) = answered(move |_| say_with(200, &[("Content-Type", "application/xml")], body));
        let Err(FetchError::NotADocument(why)) = &answer else {
            panic!("{answer:?}")
        };
        assert!(why.contains("/go/api/feed/pipelines.xml") && requests == 1, "{why}");
    }
    assert!(matches!(answered(|_| say(204, "")).0, Err(FetchError::NotADocument(_))));
}

#[test]
fn an_encoding_that_was_not_asked_for_is_not_believed() {
    let (answer, _) = answered(|_| say_with(200, &[("Content-Encoding", "gzip")], DOCUMENT));
    assert_eq!(answer, Ok(DOCUMENT.into()));
}

#[test]
fn json_is_asked_for_below_go_and_must_be_json() {
    let server = Server::start(|request| match request.number {
        0 => say(200, r#"{"name":"shop"}"#),
        1 => say(200, "<html>"),
        2 => say(200, "[]"),
        3 => say(404, "{}"),
        _ => say_with(302, &[("Location", "/go/api/stages/80.xml")], ""),
    });
    let client = server.client();
    assert_eq!(client.get_json(&run()), Ok(br#"{"name":"shop"}"#.to_vec()));
    assert!(matches!(client.get_json(&run()), Err(FetchError::NotADocument(_))));
    assert!(matches!(client.get_json(&run()), Err(FetchError::NotADocument(_))));
    assert_eq!(client.get_json(&run()), Err(FetchError::NotFound));
    assert!(matches!(client.get_json(&run()), Err(FetchError::Redirected(_))));
    let requests = server.requests();
    assert_eq!(requests.len(), 5, "nothing was followed");
    assert_eq!(requests[0].line, "GET /go/api/pipelines/shop%2F%C3%A4/7");
    assert_eq!(requests[0].header("Accept"), Some("application/vnd.go.cd+json"));
}

#[test]
fn the_deprecation_of_the_api_is_known_after_the_first_notice() {
    let server = Server::start(|request| match request.number {
        0 => say(200, DOCUMENT),
        number => {
            let warning = format!(r#"299 GoCD/v25.4.0 "Deprecated, {number}{}""#, "x".repeat(4000));
            let headers = [("X-GoCD-API-Deprecated-In", "v25.4.0"), ("Warning", &*warning)];
            say_with(200, &headers, DOCUMENT)
        }
    });
    let client = server.client();
    client.get(&pipelines()).unwrap();
    assert_eq!(client.deprecation(), None);
    for _ in 0..2 {
        client.get(&pipelines()).unwrap();
        let said = client.deprecation().unwrap();
        assert!(said.starts_with("Deprecated, 1xxx") && said.len() < 400, "{said}");
    }
}

#[test]
fn documents_are_bounded_with_and_without_a_length() {
    let body = |length: usize| format!("<x>{}</x>", "y".repeat(length - 7));
    let limited = |deed: Deed| {
        let deed = std::sync::Mutex::new(Some(deed));
        let server = Server::start(move |_| deed.lock().unwrap().take().unwrap_or_else(|| say(500, "asked again")));
        let options = ClientOptions {
            max_document: 100_000,
            ..server.options()
        };
        Client::new(options).unwrap().get(&pipelines())
    };
    let closing = |body: &str| Deed::Raw([b"HTTP/1.1 200 OK\r\n\r\n", body.as_bytes()].concat());
    let (fits, exceeds) = (body(100_000), body(100_001));
    assert_eq!(limited(say(200, &fits)).unwrap().len(), 100_000);
    assert_eq!(limited(closing(&fits)).unwrap().len(), 100_000);
    for deed in [say(200, &exceeds), closing(&exceeds)] {
        let answer = limited(deed);
        let Err(FetchError::TooLarge(why)) = &answer else {
            panic!("{answer:?}")
        };
        assert!(why.contains("100000") && why.contains("/go/api/"), "{why}");
    }
    // No byte of a body that announces too great a length has to arrive.
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n".to_vec();
    assert!(matches!(limited(Deed::Raw(announced)), Err(FetchError::TooLarge(_))));
}
