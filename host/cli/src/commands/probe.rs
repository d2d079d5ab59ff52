//! `serve --probe`: whether a collector on this machine can keep reports.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::args::GlobalFlags;
use crate::terminal::say;

/// For each of connecting, asking and reading: container engines wait 30 s for the whole by default.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the answer that are read: its head has the status.
const ANSWER: u64 = 4096;

/// The first bytes of a TLS record that says what is wrong (RFC 8446, section 5.1): the answer to a plain request by what speaks TLS.
const TLS_ALERT: u8 = 21;

/// Asks what listens at `address`.
pub(super) fn run(global: &GlobalFlags, address: SocketAddr) -> anyhow::Result<ExitCode> {
    let answer = ask(near(address)).with_context(|| format!("nothing answers at {}", near(address)))?;
    let what = match status(&answer) {
        Some(200) => "it can keep reports",
        Some(503) => bail!("it cannot keep reports now; its log says why"),
        None if answer.first() == Some(&TLS_ALERT) => "it speaks TLS, and answers",
        _ => bail!("what answers at {} is no collector", near(address)),
    };
    if !global.quiet {
        say(&format!("pipefold: {what}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The place where what listens on every address is reached from this machine.
fn near(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // What was read before it was cut is an answer, too.
    match stream.take(ANSWER).read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?;
    line.get(..3)?.parse().ok()
}
