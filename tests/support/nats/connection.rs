//! A small NATS client, without the code of the one under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// The limit of an answer: longer than any takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of requests so far, so that none gets another's answer.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// A message as it lies in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its headers in order.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A connection to one node.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects, with these fields (such as `auth_token`) in the greeting.
    ///
    /// # Errors
    /// If there is no answer, or it is a refusal.
    pub fn open(address: SocketAddr, fields: &Value) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut String::new())?;
        let mut greeting =
            json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "lang": "test" });
        for (name, value) in fields.as_object().into_iter().flatten() {
            greeting[name] = value.clone();
        }
        let mut connection = Self { stream };
        connection.send(format!("CONNECT {greeting}\r\nPING\r\n").as_bytes())?;
        loop {
            let line = connection.line()?;
            if line == "PONG" {
                return Ok(connection);
            }
            if line.starts_with("-ERR") {
                return Err(io::Error::other(line));
            }
        }
    }

    /// Publishes with these headers and waits for the answer: a stream's acknowledgement, or an API's.
    ///
    /// # Errors
    /// If there is none: the subject has no subscriber, or the connection is gone.
    pub fn request(&mut self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> io::Result<Value> {
        let id = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.test.{}.{id}", std::process::id());
        let mut head = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let (length, all) = (head.len(), head.len() + payload.len());
        let mut bytes =
            format!("SUB {inbox} {id}\r\nUNSUB {id} 1\r\nHPUB {subject} {inbox} {length} {all}\r\n{head}").into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes)?;
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split(' ').collect();
            let number = |word: Option<&&str>| word.and_then(|word| word.parse().ok()).unwrap_or(0);
            let head = if words[0] == "HMSG" {
                number(words.iter().rev().nth(1))
            } else {
                0
            };
            match words[0] {
                "PING" => self.send(b"PONG\r\n")?,
                "MSG" | "HMSG" => {
                    let mut payload = vec![0; number(words.last())];
                    self.stream.read_exact(&mut payload)?;
                    self.line()?;
                    let answer = serde_json::from_slice(&payload[head..]);
                    return answer.map_err(|_| io::Error::other(String::from_utf8_lossy(&payload).into_owned()));
                }
                "-ERR" => return Err(io::Error::other(line)),
                _ => {}
            }
        }
    }

    /// A message of a stream by its number. None if it is not there (any more).
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn message(&mut self, stream: &str, sequence: u64) -> io::Result<Option<Message>> {
        let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
        let answer = self.request(&subject, &[], json!({ "seq": sequence }).to_string().as_bytes())?;
        let message = &answer["message"];
        let Some(subject) = message["subject"].as_str() else {
            return Ok(None);
        };
        let head = from_base64(message["hdrs"].as_str().unwrap_or_default());
        let headers = String::from_utf8_lossy(&head)
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Ok(Some(Message {
            subject: subject.to_owned(),
            headers,
            payload: from_base64(message["data"].as_str().unwrap_or_default()),
        }))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Decodes base64 (RFC 4648, section 4). Other characters are skipped.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0, 0_u32, Vec::new());
    for value in text
        .bytes()
        .filter_map(|byte| ALPHABET.iter().position(|known| *known == byte))
    {
        held = (held << 6 | value as u32) & 0x3fff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}
