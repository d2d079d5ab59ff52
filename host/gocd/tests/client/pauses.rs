//! Retries, and their pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipefold_gocd::client::{Client, ClientOptions, FetchError, Source};

use dx_standin::until;

use crate::client::server::*;

fn busy(retry_after: &'static str) -> Server {
    Server::start(move |request| match request.number {
        0 => say_with(503, &[("Retry-After", retry_after)], ""),
        _ => say(200, DOCUMENT),
    })
}

#[test]
fn a_short_wish_is_waited_for() {
    let server = busy("1");
    let start = Instant::now();
    assert_eq!(quickly(|| server.client().get(&pipelines())), Ok(DOCUMENT.into()));
    assert!(start.elapsed() >= Duration::from_millis(990), "{:?}", start.elapsed());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_long_pause_is_returned_and_holds_for_everything() {
    for (text, at_most) in [("600", 600), ("99999999999", 3600)] {
        let server = busy(text);
        let client = server.client();
        let told = quickly(|| client.get(&pipelines()));
        let Err(FetchError::Unavailable {
            status: Some(503),
            retry_after,
            ..
        }) = told
        else {
            panic!("{told:?}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(at_most)));
        let held = quickly(|| client.get(&by_name()));
        let Err(FetchError::Unavailable {
            status: None,
            retry_after: Some(left),
            why,
        }) = &held
        else {
            panic!("{held:?}")
        };
        assert!(
            *left <= Duration::from_secs(at_most) && why.contains("asked for a pause of"),
            "{held:?}"
        );
        assert_eq!(
            (server.requests().len(), client.requests()),
            (1, 1),
            "it was left alone"
        );
    }
}

#[test]
fn tries_and_pauses_are_as_configured() {
    let server = Server::start(|_| say(500, ""));
    let options = ClientOptions {
        tries: 2,
        first_pause: Duration::from_millis(100),
        ..server.options()
    };
    let start = Instant::now();
    Client::new(options).unwrap().get(&pipelines()).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(server.requests().len(), 2);
    let never = ClientOptions {
        tries: 0,
        ..server.options()
    };
    Client::new(never).unwrap().get(&pipelines()).unwrap_err();
    assert_eq!(server.requests().len(), 3, "once all the same");
}

#[test]
fn requests_keep_the_configured_distance() {
    let server = Server::start(|_| say(200, DOCUMENT));
    let options = ClientOptions {
        min_pause: Duration::from_millis(60),
        ..server.options()
    };
    let (client, start) = (Client::new(options).unwrap(), Instant::now());
    for _ in 0..3 {
        client.get(&pipelines()).unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
}

#[test]
fn nothing_is_asked_for_once_it_is_to_stop() {
    let stop = Arc::new(AtomicBool::new(false));
    let (server, seen) = (Server::start(|_| say(503, "")), Arc::clone(&stop));
    let options = ClientOptions {
        first_pause: AMPLE * 3,
        stop: Some(seen),
        ..server.options()
    };
    let client = Client::new(options).unwrap();
    let answer = quickly(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until(AMPLE, || (!server.requests().is_empty()).then_some(()));
                stop.store(true, Ordering::Relaxed);
            });
            client.get(&pipelines())
        })
    });
    assert!(
        matches!(answer, Err(FetchError::Unavailable { status: Some(503), .. })),
        "{answer:?}"
    );
    let answer = client.get(&pipelines());
    assert!(
        matches!(&answer, Err(FetchError::Unavailable { why, .. }) if why.contains("the reader is stopping")),
        "{answer:?}"
    );
    assert_eq!(server.requests().len(), 1);
}
