//! One connection: requests in, answers out (as much of RFC 9112 as a client that only asks needs).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use super::fault::Reply;
use super::listener::{State, lock};
use super::standin::Logged;
use crate::server::Answer;

/// The largest head read. More than any client sends; the server must not grow without bound.
const MAX_HEAD: usize = 32 * 1024;
/// The most headers read.
const MAX_HEADERS: usize = 100;

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    keep_alive: bool,
}

/// Serves a connection until either side has had enough.
pub(super) fn serve(state: &State, mut stream: TcpStream) {
    let mut buffer = Vec::new();
    while !state.stopped.load(Ordering::Relaxed) {
        let Some(request) = read(&mut stream, &mut buffer) else {
            return;
        };
        let reply = match state.fault(&request.target) {
            // Outside the lock, or a slow answer would hold up all others.
            Some(fault) => {
                let server = lock(&state.server).clone();
                fault.reply(&server, &request.target, &request.headers)
            }
            None if request.method != "GET" => {
                Reply::Whole(Answer::new(405, "text/plain; charset=utf-8", "Method Not Allowed"))
            }
            None => {
                let server = lock(&state.server).clone();
                Reply::Whole(server.answer(&request.target, &request.headers))
            }
        };
        let (bytes, status, goes_on) = match reply {
            Reply::Whole(answer) => {
                let length = Some(answer.body.len());
                (
                    bytes(&answer, length, request.keep_alive),
                    answer.status,
                    request.keep_alive,
                )
            }
            Reply::Part(mut answer, kept) => {
                let length = Some(answer.body.len());
                answer.body.truncate(kept);
                (bytes(&answer, length, false), answer.status, false)
            }
            Reply::Unmeasured(answer) => (bytes(&answer, None, false), answer.status, false),
            Reply::Nothing => (Vec::new(), 0, false),
        };
        lock(&state.log).push(Logged {
            method: request.method,
            target: request.target,
            headers: request.headers,
            status,
        });
        if stream.write_all(&bytes).is_err() || !goes_on {
            return;
        }
    }
}

fn bytes(answer: &Answer, length: Option<usize>, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: {connection}\r\n", answer.status);
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// The next request; none at the end of the connection, or for what is none.
fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(buffer).ok()? {
            httparse::Status::Complete(length) => {
                let mut request = Request {
                    method: head.method.unwrap_or_default().to_owned(),
                    target: head.path.unwrap_or_default().to_owned(),
                    headers: Vec::new(),
                    keep_alive: head.version == Some(1),
                };
                for header in head.headers.iter() {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    request.keep_alive &=
                        !(header.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close"));
                    request.headers.push((header.name.to_ascii_lowercase(), value));
                }
                buffer.drain(..length);
                return Some(request);
            }
            httparse::Status::Partial if buffer.len() > MAX_HEAD => return None,
            httparse::Status::Partial => {
                let mut chunk = [0; 8 * 1024];
                let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
                buffer.extend_from_slice(&chunk[..read]);
            }
        }
    }
}
