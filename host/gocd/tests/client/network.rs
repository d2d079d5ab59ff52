//! Connections: kept, cut, silent, slow and without end.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use pipefold_gocd::client::{Client, ClientOptions, FetchError, Source};

use crate::client::server::*;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n<x>";

/// Returns the reason of a missing answer, after one try of a short time.
fn why(deed: impl Fn(&Request) -> Deed + Send + Sync + 'static, timeout: Duration) -> String {
    let server = Server::start(deed);
    let options = ClientOptions {
        timeout,
        tries: 1,
        ..server.options()
    };
    match quickly(|| Client::new(options).unwrap().get(&pipelines())) {
        Err(FetchError::Unavailable { status: None, why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_connection_serves_many_requests_and_error_pages_too() {
    let server = Server::start(|request| match request.number % 3 {
        0 => say(200, DOCUMENT),
        1 => say(404, "Pipeline not found\n"),
        _ => say_with(302, &[("Location", "/login")], "<html>"),
    });
    let client = server.client();
    for _ in 0..6 {
        let _ = client.get(&pipelines());
    }
    assert!(server.requests().iter().all(|request| request.connection == 1));
}

#[test]
fn silence_and_a_slow_drip_end_with_the_time() {
    let start = Instant::now();
    let silent = why(|_| Deed::Silence, SHORT);
    assert!(start.elapsed() >= SHORT, "gave up early");
    assert!(
        silent.contains("no complete answer from http://127.0.0.1") && silent.contains("within 0.3 s"),
        "{silent}"
    );
    let pause = Duration::from_millis(20);
    let dripping = why(move |_| Deed::Repeat(HEAD.to_vec(), b"y".to_vec(), pause), SHORT);
    assert!(dripping.contains("no complete answer"), "{dripping}");
    let head = why(
        move |_| Deed::Repeat(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"y".to_vec(), pause),
        SHORT,
    );
    assert!(head.contains("no complete answer"), "{head}");
}

#[test]
fn what_has_no_end_is_not_read_for_ever() {
    let without_end = || Deed::Repeat(HEAD.to_vec(), vec![b'y'; 65536], Duration::ZERO);
    let server = Server::start(move |_| without_end());
    let options = ClientOptions {
        max_document: 1_000_000,
        ..server.options()
    };
    let answer = quickly(|| Client::new(options).unwrap().get(&pipelines()));
    assert!(matches!(answer, Err(FetchError::TooLarge(_))), "{answer:?}");
    assert_eq!(server.requests().len(), 1);
    let start = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    let head = why(
        move |_| Deed::Repeat(start.clone(), vec![b'y'; 65536], Duration::ZERO),
        AMPLE,
    );
    assert!(head.contains("could not exchange data"), "{head}");
    // An endless error page is the error of its status.
    let start = b"HTTP/1.1 404 No\r\n\r\n".to_vec();
    let server = Server::start(move |_| Deed::Repeat(start.clone(), vec![b'y'; 65536], Duration::ZERO));
    assert_eq!(quickly(|| server.client().get(&pipelines())), Err(FetchError::NotFound));
}

#[test]
fn half_an_answer_is_none() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<pipelines>".to_vec();
    let cut = why(move |_| Deed::Raw(half.clone()), AMPLE);
    assert!(cut.contains("was cut before the answer was complete"), "{cut}");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<pipe".to_vec();
    why(move |_| Deed::Raw(chunked.clone()), AMPLE);
    let nothing = why(|_| Deed::Raw(Vec::new()), AMPLE);
    assert!(nothing.contains("http://127.0.0.1"), "{nothing}");
    // Half an error page is the error of its status too.
    let page = b"HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\n<not-found>".to_vec();
    let server = Server::start(move |_| Deed::Raw(page.clone()));
    assert_eq!(server.client().get(&pipelines()), Err(FetchError::NotFound));
    // Once more, and it is there.
    let server = Server::start(|request| match request.number {
        0 => Deed::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<".to_vec()),
        _ => say(200, DOCUMENT),
    });
    assert_eq!(server.client().get(&pipelines()), Ok(DOCUMENT.into()));
}

#[test]
fn a_reset_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let resetting = std::thread::spawn(move || {
        for _ in 0..3 {
            let stream = listener.accept().unwrap().0;
            // A connection that is closed with unread data is reset.
            stream.peek(&mut [0; 1]).unwrap();
        }
    });
    let answer = quickly(|| Client::new(options(port)).unwrap().get(&pipelines()));
    let Err(FetchError::Unavailable { status: None, why, .. }) = &answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("was cut before the answer was complete"), "{why}");
    resetting.join().unwrap();
}

#[test]
fn a_restart_in_between_is_no_trouble() {
    let server = Server::start(|_| say(200, DOCUMENT));
    let client = server.client();
    client.get(&pipelines()).unwrap();
    let port = server.port();
    drop(server);
    let down = client.get(&pipelines());
    let Err(FetchError::Unavailable { status: None, why, .. }) = &down else {
        panic!("{down:?}")
    };
    assert!(
        why.contains("could not connect to http://127.0.0.1") && why.contains("connection refused"),
        "{why}"
    );
    let server = Server::start_at(port, |_| say(200, DOCUMENT));
    assert_eq!(client.get(&pipelines()), Ok(DOCUMENT.into()));
    drop(server);
    // Quickly enough that the client cannot know that its connection is cut.
    let server = Server::start_at(port, |_| say(200, DOCUMENT));
    assert_eq!(client.get(&pipelines()), Ok(DOCUMENT.into()));
    drop(server);
}

#[test]
fn a_server_without_http_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.read(&mut [0; 4096]);
        let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH\r\n\r\n");
    });
    let options = ClientOptions {
        tries: 1,
        ..options(port)
    };
    let answer = quickly(|| Client::new(options).unwrap().get(&pipelines()));
    assert!(
        matches!(&answer, Err(FetchError::Unavailable { why, .. }) if why.contains("127.0.0.1")),
        "{answer:?}"
    );
}
