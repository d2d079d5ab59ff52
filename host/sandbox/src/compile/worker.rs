//! The child's side of compiling.

use super::wire::{Answer, Outcome, Request};
use crate::engine_config::engine_config;
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use std::{
    io::{self, Read, Write},
    thread,
};
use wasmtime::Engine;

/// Compiles the component that a [`ChildCompiler`](super::ChildCompiler) sends. The whole of a helper program is a call of this with its
/// standard input and output.
///
/// It lowers the limits of the *whole process* (address space, CPU time, core files) to what the request says, for good: call it in a
/// process that does nothing else. When its input ends before the answer is written, the caller is gone: then it kills this process.
///
/// # Errors
/// The input is no request, or an end of the connection is closed. A component that cannot be compiled is an answer and no error.
pub fn compile_worker(mut input: impl Read + Send + 'static, mut output: impl Write) -> io::Result<()> {
    let request = Request::read(&mut input)?;
    lower(Resource::As, request.memory, 0);
    // At the first limit it gets a signal that says why, at the second it is killed.
    lower(Resource::Cpu, request.seconds, 1);
    lower(Resource::Core, 0, 0);
    let mut component = Vec::new();
    let (outcome, bytes) = match input.by_ref().take(request.length).read_to_end(&mut component) {
        Ok(read) if read as u64 == request.length => match end_with(input).and_then(|()| compile(&component)) {
            Ok(code) => (Outcome::Code, code),
            Err(error) if ran_out_of_memory(&error) => (Outcome::Memory, Vec::new()),
            Err(error) => (Outcome::Refused, format!("{error:#}").into_bytes()),
        },
        Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => (Outcome::Memory, Vec::new()),
        Err(error) => return Err(error),
    };
    let answer = Answer {
        outcome,
        length: bytes.len() as u64,
        digest: blake3::hash(&bytes),
    };
    output.write_all(answer.to_line().as_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}

/// Ends this process when the parent does. On a thread, for the compiler looks at nothing; its end is a signal to itself, for an orderly
/// one may have to wait for the compiler.
fn end_with(mut input: impl Read + Send + 'static) -> wasmtime::Result<()> {
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
        // It reads one byte: the smallest stack that systems allow is ample.
        .stack_size(64 << 10)
        .spawn(watch)?;
    Ok(())
}

fn compile(component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    Engine::new(&engine_config())?.precompile_component(component)
}

fn ran_out_of_memory(error: &wasmtime::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::OutOfMemory)
}

/// Lowers a limit, and the one that no process can raise again to `more`; one that is lower already stays. Where the system refuses, the
/// parent's clock is left as a bound.
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
