//! As much of HTTP/1.1 as a client of DX needs (RFC 9112): requests with bodies by length or in chunks, one after another.

use std::io::{self, Read, Write};

/// The largest head read. More than any client sends; the server must not grow without bound.
const MAX_HEAD: usize = 32 * 1024;
/// The largest body read: sixteen times what a run with every field full needs.
const MAX_BODY: usize = 1024 * 1024;
/// The most headers read.
const MAX_HEADERS: usize = 100;

/// A request, read whole.
#[derive(Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
    /// True if the client expects to use the connection again.
    pub keep_alive: bool,
}

impl Request {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The reason why there is no request.
#[derive(Debug)]
pub enum ReadError {
    /// The connection ended, or broke.
    Closed,
    /// Malformed or too large; with the status of the answer.
    Bad(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// A byte stream with what was read from it and not used yet.
pub struct Stream<S> {
    inner: S,
    buffer: Vec<u8>,
}

impl<S: Read + Write> Stream<S> {
    /// A stream of which nothing was read yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
        }
    }

    /// Reads one request.
    ///
    /// # Errors
    ///
    /// [`ReadError::Closed`] at the end of the connection; [`ReadError::Bad`] if it is malformed or larger than allowed.
    pub fn read_request(&mut self) -> Result<Request, ReadError> {
        let mut request = loop {
            if let Some((length, request)) = parse_head(&self.buffer)? {
                self.buffer.drain(..length);
                break request;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(ReadError::Bad(431));
            }
            self.fill()?;
        };
        if request
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let chunked = request
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        request.body = if chunked {
            self.read_chunks()?
        } else {
            let length = match request.header("content-length") {
                None => 0,
                Some(text) => text.trim().parse().map_err(|_| ReadError::Bad(400))?,
            };
            self.read_exactly(length)?
        };
        Ok(request)
    }

    /// Writes and flushes.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.inner.flush()
    }

    /// Reads and drops whatever comes, until the connection ends.
    pub fn drain(&mut self) {
        let mut sink = [0; 4096];
        while self.inner.read(&mut sink).is_ok_and(|n| n > 0) {}
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let mut chunk = [0; 16 * 1024];
        let n = self.inner.read(&mut chunk)?;
        if n == 0 {
            return Err(ReadError::Closed);
        }
        self.buffer.extend_from_slice(&chunk[..n]);
        Ok(())
    }

    fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        if length > MAX_BODY {
            return Err(ReadError::Bad(413));
        }
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        loop {
            let (head, size) = match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) if self.buffer.len() < MAX_HEAD => {
                    self.fill()?;
                    continue;
                }
                _ => return Err(ReadError::Bad(400)),
            };
            self.buffer.drain(..head);
            let size = usize::try_from(size).map_err(|_| ReadError::Bad(413))?;
            if body.len().saturating_add(size) > MAX_BODY {
                return Err(ReadError::Bad(413));
            }
            body.extend(self.read_exactly(size)?);
            if self.read_exactly(2)? != b"\r\n" {
                // Trailers, which nothing here sends, end up here too.
                return Err(ReadError::Bad(400));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// The request in `bytes`, without its body, and the length of its head; none if the head is not complete yet.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Request)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Bad(400)),
    };
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers: Vec::with_capacity(head.headers.len()),
        body: Vec::new(),
        keep_alive: head.version == Some(1),
    };
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request.headers.push((header.name.to_ascii_lowercase(), value));
    }
    if request
        .header("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    {
        request.keep_alive = false;
    }
    Ok(Some((length, request)))
}
