//! The compiling child, and its protocol: a line of text each way, and then bytes.
//!
//! The first word of each line has the version, so that a helper of another version is recognised; and a program that repeats its input, as
//! `cat` does, is not taken for a compiler.

use crate::engine_config::{Traps, engine_config};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use std::{
    io::{self, Read, Write},
    thread,
};
use wasmtime::Engine;

/// Compiles the component that a [`ChildCompiler`](super::ChildCompiler) sends. A helper program calls only this, with its standard input
/// and output.
///
/// Lowers the limits of the *whole process* (address space, CPU time, core files) for good, as requested: call it in a process that does
/// nothing else. If its input ends before the answer is written, the caller is gone: then it kills this process.
///
/// # Errors
/// The input is not a request, or a pipe is closed. A component that cannot be compiled is an answer and no error.
pub fn compile_worker(mut input: impl Read + Send + 'static, mut output: impl Write) -> io::Result<()> {
    let request = CompileRequest::read(&mut input)?;
    lower(Resource::As, request.memory, 0);
    // At the first limit the process gets a signal that names the cause, at the second it is killed.
    lower(Resource::Cpu, request.seconds, 1);
    lower(Resource::Core, 0, 0);
    let mut component = Vec::new();
    let (outcome, bytes) = match input.by_ref().take(request.length).read_to_end(&mut component) {
        Ok(read) if read as u64 == request.length => match end_with_parent(input).and_then(|()| compile(&component)) {
            Ok(code) => (CompileOutcome::Code, code),
            Err(error) if ran_out_of_memory(&error) => (CompileOutcome::Memory, Vec::new()),
            Err(error) => (CompileOutcome::Refused, format!("{error:#}").into_bytes()),
        },
        Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => (CompileOutcome::Memory, Vec::new()),
        Err(error) => return Err(error),
    };
    let answer = CompilerAnswer {
        outcome,
        length: bytes.len() as u64,
        digest: blake3::hash(&bytes),
    };
    output.write_all(answer.to_line().as_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}

/// Ends this process when the parent does. A thread waits for that, since the compiler checks nothing, and sends a signal, since an orderly
/// end may have to wait for the compiler.
fn end_with_parent(mut input: impl Read + Send + 'static) -> wasmtime::Result<()> {
    let watch = move || {
        let mut byte = [0];
        loop {
            match input.read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(1) => {}
                _ => {
                    let _ = kill_process(getpid(), Signal::KILL);
                }
            }
        }
    };
    thread::Builder::new()
        .name("pipefold-parent".into())
        // It reads one byte: the smallest stack that systems allow is enough.
        .stack_size(64 << 10)
        .spawn(watch)?;
    Ok(())
}

fn compile(component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    super::code_for(&Engine::new(&engine_config(Traps::Signals))?, component)
}

fn ran_out_of_memory(error: &wasmtime::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::OutOfMemory)
}

/// Lowers a limit to `limit`, and the hard limit to `limit + more`; lower ones stay. If the system refuses, the parent's time limit is
/// still a bound.
fn lower(resource: Resource, limit: u64, more: u64) {
    let now = getrlimit(resource);
    let lower = |now: Option<u64>, limit: u64| Some(now.map_or(limit, |now| now.min(limit)));
    let _ = setrlimit(
        resource,
        Rlimit {
            current: lower(now.current, limit),
            maximum: lower(now.maximum, limit + more),
        },
    );
}

const REQUEST: &str = "pipefold-compile-1";
const ANSWER: &str = "pipefold-compiled-1";

/// Bytes of the longest line: words, numbers and a digest of bounded length.
const LONGEST_LINE: usize = 200;

/// The request to the child.
#[derive(Debug, PartialEq, Eq)]
pub struct CompileRequest {
    /// The child's limit of address space in bytes.
    pub memory: u64,
    /// The child's limit of CPU time in seconds, in case no process is left to stop it.
    pub seconds: u64,
    /// Bytes of the component, which follows the line.
    pub length: u64,
}

/// The outcome of a compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileOutcome {
    /// The compiled code follows.
    Code,
    /// A text with the reason for the refusal follows.
    Refused,
    /// Not enough memory; no bytes follow.
    Memory,
}

/// The child's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct CompilerAnswer {
    pub outcome: CompileOutcome,
    /// Bytes that follow the line.
    pub length: u64,
    /// The blake3 digest of these bytes.
    pub digest: blake3::Hash,
}

impl CompileRequest {
    pub fn to_line(&self) -> String {
        format!("{REQUEST} {} {} {}\n", self.memory, self.seconds, self.length)
    }

    pub fn read(input: impl Read) -> io::Result<Self> {
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

impl CompilerAnswer {
    pub fn to_line(&self) -> String {
        let outcome = match self.outcome {
            CompileOutcome::Code => "code",
            CompileOutcome::Refused => "refused",
            CompileOutcome::Memory => "memory",
        };
        format!("{ANSWER} {outcome} {} {}\n", self.length, self.digest)
    }

    pub fn read(input: impl Read) -> io::Result<Self> {
        let line = read_line(input)?;
        let parse = || {
            let mut words = line.split(' ');
            let is_ours = words.next()? == ANSWER;
            let outcome = match words.next()? {
                "code" => CompileOutcome::Code,
                "refused" => CompileOutcome::Refused,
                "memory" => CompileOutcome::Memory,
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

/// Reads to the end of a line and not beyond.
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
        let request = CompileRequest {
            memory: 1 << 31,
            seconds: 60,
            length: 3,
        };
        let bytes = request.to_line() + "abc";
        let mut input = bytes.as_bytes();
        assert_eq!(CompileRequest::read(&mut input).unwrap(), request);
        assert_eq!(input, b"abc");
        let answer = CompilerAnswer {
            outcome: CompileOutcome::Code,
            length: 3,
            digest: blake3::hash(b"abc"),
        };
        assert_eq!(CompilerAnswer::read(answer.to_line().as_bytes()).unwrap(), answer);
    }

    #[test]
    fn a_repeated_request_is_not_an_answer() {
        let request = CompileRequest {
            memory: 1,
            seconds: 1,
            length: 1,
        };
        assert!(CompilerAnswer::read(request.to_line().as_bytes()).is_err());
        assert!(CompilerAnswer::read(&b"x".repeat(1000)[..]).is_err());
        assert!(CompilerAnswer::read(&b"short"[..]).is_err());
        assert!(CompileRequest::read(&b"pipefold-compile-1 1 1\n"[..]).is_err());
        assert!(CompileRequest::read(&b"pipefold-compile-2 1 1 1\n"[..]).is_err());
    }
}
