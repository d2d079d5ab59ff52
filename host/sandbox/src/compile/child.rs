//! The parent's side of compiling in a child process.

use super::{
    CompileError, Deadline, MOST_CODE,
    worker::{CompileOutcome, CompileRequest, CompilerAnswer},
};
use rustix::process::{Resource, Signal, getrlimit};
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// The default time limit. A guest made from Python takes about 4 s; this leaves room for a slow and busy machine.
pub const TIME: Duration = Duration::from_secs(60);
/// The default limit of address space in bytes, most of which is never touched.
const MEMORY: u64 = 2 << 30;
/// Bytes kept of the child's stderr, and of its reasons.
const MOST_TEXT: u64 = 4 << 10;
/// Bytes that are passed on at a time.
const PART: usize = 256 << 10;

/// The interval of checks of the deadline: short compared with the seconds that compiling takes.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// A compiler in a child process, which is killed at its time limit and has a limit on its memory.
///
/// The child has its own process group, so that a signal to the build's group does not end it, and it ends when this process ends. The
/// program must call [`compile_worker`](crate::compile_worker). Its environment is empty.
#[derive(Clone, Debug)]
pub struct ChildCompiler {
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Wall-clock time limit; 60 s by default.
    pub time: Duration,
    /// Limit of address space in bytes; 2 GiB by default.
    pub memory: u64,
}

impl ChildCompiler {
    /// A child with the default limits.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            time: TIME,
            memory: MEMORY,
        }
    }

    /// The effective limit of address space in bytes: this process's limit applies as well.
    pub(super) fn memory(&self) -> u64 {
        let own = getrlimit(Resource::As).current;
        own.map_or(self.memory, |own| own.min(self.memory))
    }

    pub(super) fn compile_to(
        &self,
        component: Arc<Vec<u8>>,
        output: &mut dyn Write,
        deadline: &Deadline,
    ) -> Result<(), CompileError> {
        let patience = Patience {
            until: Instant::now() + self.time,
            deadline,
        };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|reason| self.cannot_start(reason))?;
        // Kept open until the child is done: the child reads its end as the end of this process.
        let stdin = child.stdin.take().map(Arc::new);
        let answered = self.talk(&mut child, stdin.clone(), component, &patience, output);
        // The child has answered or failed. Mostly it has ended already, and then this does nothing.
        let ended = match &answered {
            Ok(_) => wait(&mut child),
            Err(_) => None,
        };
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        drop(stdin);
        match answered? {
            ChildAnswer::Done => Ok(()),
            ChildAnswer::Silent { stderr, reason } => Err(self.explain_silence(ended, stderr, reason)),
        }
    }

    /// Sends the component and writes the answer's code to `output`. Threads read and write, since pipes have no deadline; they end by
    /// themselves when the child and its pipes are gone.
    fn talk(
        &self,
        child: &mut Child,
        stdin: Option<Arc<ChildStdin>>,
        component: Arc<Vec<u8>>,
        patience: &Patience<'_>,
        output: &mut dyn Write,
    ) -> Result<ChildAnswer, CompileError> {
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, child.stdout.take(), child.stderr.take()) else {
            return Err(self.cannot_start(io::Error::other("it has no pipes")));
        };
        let request = CompileRequest {
            memory: self.memory(),
            // Rounded up, as the system counts whole seconds.
            seconds: self.time.as_secs() + 1,
            length: component.len() as u64,
        };
        let (send_part, parts) = sync_channel(2);
        let (send_text, text) = channel();
        let spawn = |work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name("pipefold-compile".into())
                .spawn(work)
                .map_err(|reason| self.cannot_start(reason))
        };
        spawn(Box::new(move || {
            let mut stdin = &*stdin;
            // A child that does not read gives the reason in another way.
            let _ = stdin
                .write_all(request.to_line().as_bytes())
                .and_then(|()| stdin.write_all(&component));
        }))?;
        spawn(Box::new(move || read_answer(stdout, &send_part)))?;
        spawn(Box::new(move || read_text(stderr, &send_text)))?;

        let answer = match self.next(&parts, patience)? {
            Some(AnswerPart::CompilerAnswer(Ok(answer))) => answer,
            Some(AnswerPart::CompilerAnswer(Err(reason))) if reason.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(self.bad_answer(&reason.to_string()));
            }
            Some(AnswerPart::CompilerAnswer(Err(reason))) => {
                // Its stderr ends soon after its stdout; if not, its text is left out.
                let stderr = text.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
                return Ok(ChildAnswer::Silent { stderr, reason });
            }
            _ => return Err(self.bad_answer("it has none")),
        };
        let limit = match answer.outcome {
            CompileOutcome::Code => MOST_CODE,
            _ => MOST_TEXT,
        };
        if answer.length > limit {
            return Err(CompileError::TooLarge { limit });
        }
        let mut hasher = blake3::Hasher::new();
        let mut length = 0;
        let mut words = Vec::new();
        while let Some(AnswerPart::Bytes(bytes)) = self.next(&parts, patience)? {
            length += bytes.len() as u64;
            if length > answer.length {
                return Err(self.bad_answer("it is longer than announced"));
            }
            hasher.update(&bytes);
            match answer.outcome {
                CompileOutcome::Code => output.write_all(&bytes).map_err(CompileError::Output)?,
                _ => words.extend_from_slice(&bytes),
            }
        }
        if length != answer.length || hasher.finalize() != answer.digest {
            return Err(self.bad_answer("it is cut short or damaged"));
        }
        match answer.outcome {
            CompileOutcome::Code => Ok(ChildAnswer::Done),
            CompileOutcome::Refused => Err(CompileError::Refused(String::from_utf8_lossy(&words).into_owned())),
            CompileOutcome::Memory => Err(CompileError::Memory { limit: self.memory() }),
        }
    }

    /// The next part of the answer; `None` at its end.
    fn next(&self, parts: &Receiver<AnswerPart>, patience: &Patience<'_>) -> Result<Option<AnswerPart>, CompileError> {
        loop {
            let left = patience.until.saturating_duration_since(Instant::now());
            let pause = patience
                .deadline
                .pause(CHECK_INTERVAL)
                .ok_or(CompileError::Unfinished)?;
            match parts.recv_timeout(pause.min(left)) {
                Ok(part) => return Ok(Some(part)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(CompileError::TimedOut { limit: self.time });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn explain_silence(&self, ended: Option<ExitStatus>, stderr: String, reason: io::Error) -> CompileError {
        match ended {
            // The text of Rust's allocator before it aborts the process.
            Some(status) if !status.success() && stderr.contains("memory allocation of") => {
                CompileError::Memory { limit: self.memory() }
            }
            Some(status) if status.signal() == Some(Signal::XCPU.as_raw()) => {
                CompileError::TimedOut { limit: self.time }
            }
            Some(status) if !status.success() => CompileError::Died { status, stderr },
            _ => self.bad_answer(&reason.to_string()),
        }
    }

    fn cannot_start(&self, reason: io::Error) -> CompileError {
        CompileError::Start {
            program: self.program.clone(),
            reason,
        }
    }

    fn bad_answer(&self, reason: &str) -> CompileError {
        CompileError::Answer {
            program: self.program.clone(),
            reason: reason.into(),
        }
    }
}

/// The limits of the wait for a child.
struct Patience<'a> {
    /// The compiler's time limit.
    until: Instant,
    /// The caller's deadline.
    deadline: &'a Deadline,
}

/// The result of the exchange with a child that followed the protocol, or was silent.
enum ChildAnswer {
    Done,
    /// The child closed its stdout instead of an answer.
    Silent {
        stderr: String,
        reason: io::Error,
    },
}

/// A part of the child's stdout.
enum AnswerPart {
    CompilerAnswer(io::Result<CompilerAnswer>),
    Bytes(Vec<u8>),
}

fn read_answer(mut stdout: ChildStdout, send: &SyncSender<AnswerPart>) {
    let answer = CompilerAnswer::read(&mut stdout);
    let whole = answer.is_ok();
    if send.send(AnswerPart::CompilerAnswer(answer)).is_err() || !whole {
        return;
    }
    loop {
        let mut bytes = Vec::with_capacity(PART);
        match stdout.by_ref().take(PART as u64).read_to_end(&mut bytes) {
            Ok(read) if read > 0 && send.send(AnswerPart::Bytes(bytes)).is_ok() => {}
            _ => return,
        }
    }
}

fn read_text(mut stderr: ChildStderr, send: &Sender<String>) {
    let mut text = Vec::new();
    let _ = stderr.by_ref().take(MOST_TEXT).read_to_end(&mut text);
    let _ = send.send(String::from_utf8_lossy(&text).trim().to_owned());
    // The rest is discarded, so that the child does not block.
    let _ = io::copy(&mut stderr, &mut io::sink());
}

/// Waits at most a second for a child that has closed its stdout, and so is about to end.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            _ => return None,
        }
    }
}
