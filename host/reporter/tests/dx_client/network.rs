//! Connections: kept, cut, silent, slow and without end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use dx_standin::{Mode, Standin, Times};
use pipefold::Token;
use pipefold::dx::{MAX_ANSWER, Outcome, ProxyOptions};

use crate::support::*;

#[test]
fn one_connection_serves_many_upserts() {
    let dx = Standin::start();
    let client = client(&dx);
    for (timeout, id) in [(AMPLE, "a"), (AMPLE * 2, "b"), (AMPLE, "c")] {
        assert_eq!(client.upsert(&run(id), &token(&dx), timeout), Outcome::Accepted);
    }
    // Answers that are no acceptance keep it as well.
    dx.misbehave(Mode::InternalError, Times::Next(1));
    why(&client.upsert(&run("d"), &token(&dx), AMPLE));
    assert_eq!(client.upsert(&run("d"), &token(&dx), AMPLE), Outcome::Accepted);
    assert!(dx.requests().iter().all(|request| request.connection == 1));
}

#[test]
fn refused_connections_are_named() {
    let dx = Standin::start();
    dx.set_mode(Mode::RefuseConnections);
    let client = client(&dx);
    let outcome = client.upsert(&run("r"), &token(&dx), AMPLE);
    assert_eq!(
        why(&outcome),
        format!("could not connect to {}: connection refused", dx.url())
    );
    dx.set_mode(Mode::Normal);
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
}

#[test]
fn a_kept_connection_that_was_cut_is_replaced() {
    let dx = Standin::start();
    let client = client(&dx);
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
    dx.set_mode(Mode::RefuseConnections);
    dx.set_mode(Mode::Normal);
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
}

#[test]
fn silence_ends_with_the_timeout() {
    let dx = Standin::start();
    dx.set_mode(Mode::Hang);
    let start = Instant::now();
    let outcome = quickly(|| upsert(&dx, SHORT));
    assert!(start.elapsed() >= SHORT, "gave up early");
    assert_eq!(
        why(&outcome),
        format!("no complete answer from {} within 0.3 s", dx.url())
    );
    // No time at all is not enough, and no panic.
    assert!(why(&upsert(&dx, Duration::ZERO)).contains("within 0 s"));
    dx.set_mode(Mode::Normal);
    assert_eq!(upsert(&dx, Duration::MAX), Outcome::Accepted);
}

#[test]
fn a_slow_drip_ends_with_the_timeout() {
    let dx = Standin::start();
    dx.set_mode(Mode::SlowDrip);
    let outcome = quickly(|| upsert(&dx, SHORT));
    assert!(why(&outcome).contains("no complete answer"), "{outcome:?}");
}

#[test]
fn an_incomplete_answer_is_none() {
    let dx = Standin::start();
    dx.misbehave(Mode::CloseHalfWay, Times::Next(1));
    let outcome = upsert(&dx, AMPLE);
    assert!(
        why(&outcome).contains("was cut before the answer was complete"),
        "{outcome:?}"
    );
    assert_eq!(dx.records()["r"].upserts, 1, "DX may have it all the same");
    assert_eq!(upsert(&dx, AMPLE), Outcome::Accepted);
    assert_eq!(dx.records().len(), 1, "and a repetition does no harm");
}

#[test]
fn a_huge_answer_is_read_no_further_than_needed() {
    let dx = Standin::start();
    dx.set_mode(Mode::Huge);
    let outcome = quickly(|| upsert(&dx, AMPLE));
    assert!(why(&outcome).contains("not from DX"), "{outcome:?}");
    // On both sides of the limit.
    let answer = |length: usize| {
        let body = format!(r#"{{"ok":true}}{}"#, " ".repeat(length - 11));
        dx.set_mode(Mode::Plain { status: 200, body });
        upsert(&dx, AMPLE)
    };
    assert_eq!(answer(MAX_ANSWER), Outcome::Accepted);
    let cut = format!(r#"{{"ok":true,"message":"{}"}}"#, "x".repeat(MAX_ANSWER));
    dx.set_mode(Mode::Plain { status: 200, body: cut });
    why(&upsert(&dx, AMPLE));
}

#[test]
fn an_unknown_host_is_named() {
    // `.invalid` resolves nowhere (RFC 6761). A machine without a resolver may take its time to fail.
    let outcome = client_for("https://dx.invalid", None, ProxyOptions::default()).upsert(
        &run("r"),
        &Token::new("t".to_owned()).unwrap(),
        Duration::from_secs(5),
    );
    let why = why(&outcome);
    assert!(
        why.contains("https://dx.invalid") && (why.contains("not known") || why.contains("within")),
        "{why}"
    );
}

#[test]
fn threads_share_a_client() {
    let dx = Standin::start();
    let client = client(&dx);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (client, dx) = (&client, &dx);
            scope.spawn(move || {
                for i in 0..10 {
                    assert_eq!(
                        client.upsert(&run(&format!("{thread}-{i}")), &token(dx), AMPLE),
                        Outcome::Accepted
                    );
                }
            });
        }
    });
    assert_eq!(dx.records().len(), 40);
}

#[test]
fn a_server_that_talks_no_http_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.read(&mut [0; 65536]);
        // A head without end.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let token = Token::new("t".to_owned()).unwrap();
    let outcome = quickly(|| client_for(&url, None, ProxyOptions::default()).upsert(&run("r"), &token, AMPLE));
    assert!(why(&outcome).starts_with("could not exchange data with"), "{outcome:?}");
}
