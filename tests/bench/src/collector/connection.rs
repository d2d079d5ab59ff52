//! A connection to a server, kept open: as little of HTTP as measuring needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};

use super::PATIENCE;

/// An open connection.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            request: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Asks for a page, reads it to its end, and gives its status.
    pub(super) fn get(&mut self, path: &str) -> Result<u16> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        self.exchange()
    }

    /// Posts JSON, and gives the answer's status.
    pub(super) fn post(&mut self, path: &str, json: &str) -> Result<u16> {
        self.post_with(path, "", json)
    }

    /// The same with further headers, each ended by CR LF.
    pub(super) fn post_with(&mut self, path: &str, headers: &str, json: &str) -> Result<u16> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        )?;
        self.exchange()
    }

    fn exchange(&mut self) -> Result<u16> {
        self.stream.get_mut().write_all(&self.request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("the server answered {line:?}"))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", "chunked")) => chunked = true,
                _ => {}
            }
            if header.is_empty() {
                break;
            }
        }
        if !chunked {
            self.read(length)?;
            return Ok(status);
        }
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else {
                bail!("a chunk begins with {line:?}");
            };
            self.read(size + 2)?;
            if size == 0 {
                return Ok(status);
            }
        }
    }

    fn read(&mut self, length: usize) -> Result<()> {
        self.body.resize(length, 0);
        Ok(self.stream.read_exact(&mut self.body)?)
    }
}
