//! A small HTTP client, without the code of the servers under test.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The limit of an answer: longer than any takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("not JSON: {why}\n{}: {}", self.status, self.text()))
    }
}

/// A connection that is kept for one request after the other, and opened again when it was closed in between.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    /// The headers of each request, each ended by CR LF.
    headers: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at this address. It connects with the first request.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            headers: String::new(),
            stream: None,
        }
    }

    /// The same, with this token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.headers = format!("Authorization: Bearer {token}\r\n");
        self
    }

    /// The same, with this header, such as `X-GitHub-Event: push`.
    #[must_use]
    pub fn with_header(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    /// Sends a request and waits for the answer. A request that may have arrived is not repeated.
    ///
    /// # Errors
    /// If there was no whole answer.
    pub fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> io::Result<Answer> {
        if content_type.is_empty() {
            return self.send(method, path, &[], body);
        }
        let length = body.len().to_string();
        let headers = [("Content-Type", content_type), ("Content-Length", &length)];
        self.send(method, path, &headers, body)
    }

    /// Sends a request with these headers beside the host's and the token's, and waits for the answer.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(connect(self.address)?),
        };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{}", self.address, self.headers);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        // In one piece: two would wait for each other's acknowledgement.
        stream.get_mut().write_all(&[request.as_bytes(), body].concat())?;
        let answer = read_answer(&mut stream)?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Gets what is under a path.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
            .unwrap_or_else(|why| panic!("GET {path}: {why}"))
    }

    /// Sends an upsert as JSON.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn upsert(&mut self, arguments: &Value) -> io::Result<Answer> {
        self.post("/api/pipelineRuns.upsert", arguments)
    }

    /// Sends an upsert of a job as JSON.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn upsert_job(&mut self, arguments: &Value) -> io::Result<Answer> {
        self.post("/api/pipelineJobs.upsert", arguments)
    }

    fn post(&mut self, path: &str, arguments: &Value) -> io::Result<Answer> {
        self.ask("POST", path, "application/json", arguments.to_string().as_bytes())
    }
}

/// A connection whose reads and writes do not wait for ever.
///
/// # Errors
/// If the connection is refused.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer, which must have a `Content-Length`.
///
/// # Errors
/// If the answer does not come, is cut, or is not HTTP.
pub fn read_answer(from: &mut impl BufRead) -> io::Result<Answer> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut line = String::new();
    let mut next_line = |from: &mut dyn BufRead| -> io::Result<String> {
        line.clear();
        from.read_line(&mut line)?;
        Ok(line
            .strip_suffix("\r\n")
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .to_owned())
    };
    let first = next_line(from)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(bad)?;
    let mut headers = Vec::new();
    loop {
        let line = next_line(from)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Ok(0), |(_, value)| value.parse().map_err(|_| bad()))?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Answer { status, headers, body })
}
