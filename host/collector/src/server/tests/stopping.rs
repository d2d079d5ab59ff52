//! The end of the server.

use super::support::{EXAMPLE, PATIENCE, Setup, post, read_answer, start};
use crate::request::Limits;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn what_is_under_way_is_answered_and_idle_connections_end() {
    let mut server = start(Setup::default());
    let request = post("", EXAMPLE);
    let (first, last) = request.split_at(request.len() - 5);
    let mut under_way = server.connect();
    under_way.write_all(first.as_bytes()).unwrap();
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut idle).unwrap().status, 200);
    server.ask_to_stop();
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
    let begin = Instant::now();
    while TcpStream::connect(server.address).is_ok() && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(TcpStream::connect(server.address).is_err(), "nothing new is taken");
    under_way.write_all(last.as_bytes()).unwrap();
    let answer = read_answer(&mut under_way).unwrap();
    assert_eq!(answer.status, 200);
    server.wait();
}

#[test]
fn what_does_not_end_is_cut() {
    let limits = Limits {
        shutdown: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut server = start(Setup {
        limits,
        ..Setup::default()
    });
    let mut stream = server.connect();
    stream.write_all(&post("", EXAMPLE).as_bytes()[..100]).unwrap();
    assert_eq!(server.get("/healthz", "").status, 200);
    server.ask_to_stop();
    let begin = Instant::now();
    server.wait();
    assert!(begin.elapsed() < Limits::default().body, "it did not wait for the body");
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}
