//! The redirections that are followed.

use pipefold_gocd::Resource;
use pipefold_gocd::client::{Client, ClientOptions, FetchError, Source};

use crate::client::server::*;

const BY_NAME: &str = "GET /go/pipelines/shop/7/build/1.xml";

/// Redirects the first `times` requests to `location`.
fn redirecting(location: &str, times: usize) -> Server {
    let location = location.to_owned();
    Server::start(move |request| {
        if request.number < times {
            // As servers do it: a web page that is called XML.
            let headers = [("Location", location.as_str()), ("Content-Type", "application/xml")];
            say_with(302, &headers, "<html>moved</html>")
        } else {
            say(200, DOCUMENT)
        }
    })
}

#[test]
fn a_stage_by_name_leads_to_the_one_by_id_on_the_configured_server() {
    let elsewhere = Server::start(|_| say(200, "<stage>not ours</stage>"));
    for location in [
        "http://localhost:8153/go/api/stages/80.xml".to_owned(),
        format!("http://127.0.0.1:{}/go/api/stages/80.xml", elsewhere.port()),
        "/go/api/stages/80.xml".to_owned(),
    ] {
        let server = redirecting(&location, 1);
        let options = ClientOptions {
            credentials: basic("open sesame"),
            ..server.options()
        };
        let client = Client::new(options).unwrap();
        assert_eq!(client.get(&by_name()), Ok(DOCUMENT.into()), "{location}");
        assert_eq!(server.lines(), [BY_NAME, "GET /go/api/stages/80.xml"]);
        assert_eq!(client.requests(), 2);
    }
    assert!(elsewhere.requests().is_empty(), "the credentials went elsewhere");
}

#[test]
fn every_other_redirection_is_refused_and_not_followed() {
    let elsewhere = Server::start(|_| say(200, DOCUMENT));
    let foreign = format!("http://127.0.0.1:{}/go/api/feed/pipelines.xml", elsewhere.port());
    for (resource, location, word) in [
        (by_name(), "/go/auth/login", "logging in"),
        (by_name(), "https://sso.example/login", "to https://sso.example,"),
        (pipelines(), "/go/api/stages/80.xml", "another page"),
        (pipelines(), foreign.as_str(), "as the server's address"),
        (Resource::StageById(80), "/go/api/stages/81.xml", "another page"),
    ] {
        let server = redirecting(location, usize::MAX);
        let answer = server.client().get(&resource);
        let Err(FetchError::Redirected(why)) = &answer else {
            panic!("{location}: {answer:?}")
        };
        assert!(
            why.contains(word) && why.contains(&format!("127.0.0.1:{}/go/", server.port())),
            "{why}"
        );
        assert_eq!(server.requests().len(), 1);
    }
    assert!(elsewhere.requests().is_empty());
    let server = Server::start(|_| say(302, ""));
    assert!(matches!(
        server.client().get(&by_name()),
        Err(FetchError::Redirected(_))
    ));
}

#[test]
fn a_circle_ends() {
    let server = redirecting("/go/api/stages/80.xml", usize::MAX);
    let answer = server.client().get(&by_name());
    let Err(FetchError::Redirected(why)) = &answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("in a circle"), "{why}");
    assert_eq!(server.requests().len(), 4);
    let server = redirecting("/go/api/stages/80.xml", 3);
    assert_eq!(server.client().get(&by_name()), Ok(DOCUMENT.into()));
}

#[test]
fn failures_after_a_redirection_are_tried_again_there() {
    let server = Server::start(|request| match request.number {
        0 => say_with(302, &[("Location", "/go/api/stages/80.xml")], ""),
        1 => say(503, ""),
        _ => say(200, DOCUMENT),
    });
    assert_eq!(server.client().get(&by_name()), Ok(DOCUMENT.into()));
    let by_id = "GET /go/api/stages/80.xml";
    assert_eq!(server.lines(), [BY_NAME, by_id, by_id]);
}
