//! What goes between a process and its compiling child: a line of text each way, and then bytes.
//!
//! The first words name the version, so that a helper of another version is not taken for a damaged answer; and a program that merely
//! repeats its input, as `cat` does, is taken for no compiler.

use std::io::{self, Read};

const REQUEST: &str = "pipefold-compile-1";
const ANSWER: &str = "pipefold-compiled-1";

/// Bytes of the longest line: the words, and numbers and a digest of fixed length.
const LONGEST_LINE: usize = 200;

/// What the child is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Bytes of address space that it may use.
    pub(super) memory: u64,
    /// Seconds of CPU time that it may use, in case that no process is left to stop it.
    pub(super) seconds: u64,
    /// Bytes of the component, which follows.
    pub(super) length: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The compiled code follows.
    Code,
    /// A text follows that says why there is none.
    Refused,
    /// There was not enough memory; nothing follows.
    Memory,
}

/// What it answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// Bytes that follow.
    pub(super) length: u64,
    /// Their blake3 digest.
    pub(super) digest: blake3::Hash,
}

impl Request {
    pub(super) fn to_line(&self) -> String {
        format!("{REQUEST} {} {} {}\n", self.memory, self.seconds, self.length)
    }

    pub(super) fn read(input: impl Read) -> io::Result<Self> {
        let line = read_line(input)?;
        let parse = || {
            let mut words = line.split(' ');
            let is_ours = words.next()? == REQUEST;
            let mut number = || words.next()?.parse().ok();
            let request = Self {
                memory: number()?,
                seconds: number()?,
                length: number()?,
            };
            (is_ours && words.next().is_none()).then_some(request)
        };
        parse().ok_or_else(|| io::Error::other("it was not called by pipefold, or by another version of it"))
    }
}

impl Answer {
    pub(super) fn to_line(&self) -> String {
        let outcome = match self.outcome {
            Outcome::Code => "code",
            Outcome::Refused => "refused",
            Outcome::Memory => "memory",
        };
        format!("{ANSWER} {outcome} {} {}\n", self.length, self.digest)
    }

    pub(super) fn read(input: impl Read) -> io::Result<Self> {
        let line = read_line(input)?;
        let parse = || {
            let mut words = line.split(' ');
            let is_ours = words.next()? == ANSWER;
            let outcome = match words.next()? {
                "code" => Outcome::Code,
                "refused" => Outcome::Refused,
                "memory" => Outcome::Memory,
                _ => return None,
            };
            let answer = Self {
                outcome,
                length: words.next()?.parse().ok()?,
                digest: blake3::Hash::from_hex(words.next()?).ok()?,
            };
            (is_ours && words.next().is_none()).then_some(answer)
        };
        parse().ok_or_else(|| io::Error::other("its first line is another"))
    }
}

/// Reads up to the end of a line and no further.
fn read_line(mut input: impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_LINE {
        input.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return String::from_utf8(line).map_err(|_| io::Error::other("its first line is no text"));
        }
        line.extend_from_slice(&byte);
    }
    Err(io::Error::other("its first line is too long"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written_and_not_beyond() {
        let request = Request {
            memory: 1 << 31,
            seconds: 60,
            length: 3,
        };
        let bytes = request.to_line() + "abc";
        let mut input = bytes.as_bytes();
        assert_eq!(Request::read(&mut input).unwrap(), request);
        assert_eq!(input, b"abc");
        let answer = Answer {
            outcome: Outcome::Code,
            length: 3,
            digest: blake3::hash(b"abc"),
        };
        assert_eq!(Answer::read(answer.to_line().as_bytes()).unwrap(), answer);
    }

    #[test]
    fn a_repeated_request_is_no_answer() {
        let request = Request {
            memory: 1,
            seconds: 1,
            length: 1,
        };
        assert!(Answer::read(request.to_line().as_bytes()).is_err());
        assert!(Answer::read(&b"x".repeat(1000)[..]).is_err());
        assert!(Answer::read(&b"short"[..]).is_err());
        assert!(Request::read(&b"pipefold-compile-1 1 1\n"[..]).is_err());
        assert!(Request::read(&b"pipefold-compile-2 1 1 1\n"[..]).is_err());
    }
}
