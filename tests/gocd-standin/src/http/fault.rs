//! Ways to misbehave.

use std::time::Duration;

use super::endless;
use crate::server::{Answer, Server};

/// A fault that replaces a server's right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It waits for this time before it answers.
    Slow(Duration),
    /// It answers with this status and a page for people.
    Status(u16),
    /// 503, as while it starts, with the seconds that it asks to be left alone.
    Unavailable {
        /// The value of `Retry-After`.
        retry_after: Option<u64>,
    },
    /// The connection ends without an answer, as when it is restarted.
    Reset,
    /// The connection ends in the middle of the body.
    Truncated,
    /// The document ends in its middle, with a matching length in HTTP.
    CutShort,
    /// There is no body.
    Empty,
    /// A page to log in on, declared as XML.
    LoginPage,
    /// A redirection to a page to log in on.
    LoginRedirect,
    /// A redirection to the same path on another host.
    Elsewhere(String),
    /// A feed's page is the first one, whichever was asked for.
    RepeatsPage,
    /// A feed's link to the next page leads up again.
    Backwards,
    /// A feed of other runs, which are nowhere else, and which never ends.
    Endless,
    /// A document of 100 MB.
    Huge,
    /// Elements in elements, a hundred thousand deep.
    Deep,
    /// A document type whose entities expand to gigabytes.
    Laughs,
    /// A document in Latin-1, declared as such.
    Latin1,
    /// A document with bytes that are no UTF-8.
    InvalidUtf8,
}

/// The number of requests that get a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// From now on.
    Always,
    /// This number of times.
    Next(u32),
}

/// A fault with when it applies.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) fault: Fault,
    pub(super) times: Times,
    /// A part of the target of the requests that it is about.
    pub(super) about: String,
}

/// The bytes that are sent for a request.
pub(super) enum Reply {
    Whole(Answer),
    /// This number of bytes of its body, and the end of the connection.
    Part(Answer, usize),
    /// The answer without its length; the end of the connection ends it.
    Unmeasured(Answer),
    Nothing,
}

/// A thousand times as deep as any document of GoCD's.
const DEPTH: usize = 100_000;

/// A thousand times as large as a page of a feed.
const HUGE: usize = 100 * 1024 * 1024;

impl Fault {
    /// The reply to a request with this fault.
    pub(super) fn reply(&self, server: &Server, target: &str, headers: &[(String, String)]) -> Reply {
        let good = || server.answer(target, headers);
        let page = |status: u16| {
            let body = "<!DOCTYPE html>\n<html><head><title>Go</title></head><body>Not now &nbsp; <br></body></html>\n";
            Answer::new(status, "text/html; charset=utf-8", body)
        };
        let xml = |body: Vec<u8>| Answer::new(200, "application/xml; charset=utf-8", body);
        let is_feed = target
            .split('?')
            .next()
            .is_some_and(|path| path.ends_with("/stages.xml"));
        Reply::Whole(match self {
            Self::Slow(pause) => {
                std::thread::sleep(*pause);
                good()
            }
            Self::Status(status) => page(*status),
            Self::Unavailable { retry_after } => {
                let mut answer = page(503);
                let value = retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
                answer.headers.extend(value);
                answer
            }
            Self::Reset => return Reply::Nothing,
            Self::Truncated => {
                let answer = good();
                let half = answer.body.len() / 2;
                return Reply::Part(answer, half);
            }
            Self::CutShort => {
                let mut answer = good();
                answer.body.truncate(answer.body.len() / 2);
                answer
            }
            Self::Empty => xml(Vec::new()),
            Self::LoginPage => xml(page(200).body),
            Self::LoginRedirect => {
                let mut answer = page(302);
                answer.headers.push(("Location", "/go/auth/login".to_owned()));
                answer
            }
            Self::Elsewhere(host) => {
                let mut answer = page(302);
                answer.headers.push(("Location", format!("http://{host}{target}")));
                answer
            }
            Self::RepeatsPage if is_feed => server.answer(target.split('?').next().unwrap_or_default(), headers),
            Self::Backwards if is_feed => {
                let mut answer = good();
                answer.body = String::from_utf8_lossy(&answer.body)
                    .replace("stages.xml?before=", "stages.xml?before=9")
                    .into_bytes();
                answer
            }
            Self::Endless if is_feed => xml(endless::page(target).into_bytes()),
            Self::RepeatsPage | Self::Backwards | Self::Endless => good(),
            Self::Huge => {
                let mut body = b"<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>".to_vec();
                body.resize(HUGE, b'x');
                body.extend_from_slice(b"</title></feed>");
                return Reply::Unmeasured(xml(body));
            }
            Self::Deep => xml(format!("<feed>{}{}</feed>", "<a>".repeat(DEPTH), "</a>".repeat(DEPTH)).into_bytes()),
            Self::Laughs => {
                let mut body = "<!DOCTYPE feed [<!ENTITY a0 \"ha\">".to_owned();
                for level in 1..30 {
                    let inner = format!("&a{};", level - 1).repeat(10);
                    body.push_str(&format!("<!ENTITY a{level} \"{inner}\">"));
                }
                body.push_str("]><feed><title>&a29;</title></feed>");
                xml(body.into_bytes())
            }
            Self::Latin1 => foreign(good(), b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", 0xfc),
            Self::InvalidUtf8 => foreign(good(), b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", 0xff),
        })
    }
}

/// The answer with another declaration, and a byte that is no UTF-8 in front of each text.
fn foreign(mut answer: Answer, declaration: &[u8], byte: u8) -> Answer {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let root = text.find("?>").map_or(0, |at| at + 2);
    let mut body = declaration.to_vec();
    for (place, part) in text[root..].split("<![CDATA[").enumerate() {
        if place > 0 {
            body.extend_from_slice(b"<![CDATA[");
            body.push(byte);
        }
        body.extend_from_slice(part.as_bytes());
    }
    answer.body = body;
    answer
}
