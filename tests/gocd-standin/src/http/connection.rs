//! One connection: requests in, answers out (as much of RFC 9112 as a client that only asks needs).

use std::net::TcpStream;

use dx_standin::http::Stream;
use dx_standin::lock;

use super::fault::Reply;
use super::standin::{Logged, State};
use crate::server::Answer;

/// Serves a connection until either side closes it.
pub(super) fn serve(state: &State, stream: TcpStream) {
    let mut stream = Stream::new(stream);
    while let Ok(request) = stream.read_request() {
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
        if stream.write(&bytes).is_err() || !goes_on {
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
