//! A command while it runs.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use dx_standin::until;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Output;

/// A started command. Dropped before its end, it is killed with everything it started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    timeout: Duration,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    ended: bool,
}

impl Running {
    pub(crate) fn start(mut command: Command, stdin: Vec<u8>, timeout: Duration) -> Self {
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        let mut to = child.stdin.take().unwrap();
        // It ends with the process that reads, which may not want it all.
        std::thread::spawn(move || to.write_all(&stdin));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            started,
            timeout,
            stdout,
            stderr,
            ended: false,
        }
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal; what it started does not get it.
    ///
    /// # Panics
    /// If the system does not allow it.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Returns true if it has ended.
    ///
    /// # Panics
    /// If the system does not answer.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and for the end of its output.
    ///
    /// # Panics
    /// If it does not end in time; it is killed then.
    #[must_use]
    pub fn wait(mut self) -> Output {
        let deadline = self.started + self.timeout;
        let status = until(deadline.saturating_duration_since(Instant::now()), || {
            self.child.try_wait().unwrap()
        });
        let elapsed = self.started.elapsed();
        if status.is_none() {
            self.kill();
        }
        self.ended = status.is_some();
        // Something that it left running may hold its output open.
        let left = || {
            deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_secs(1))
        };
        let stdout = self.stdout.recv_timeout(left());
        let stderr = self.stderr.recv_timeout(left());
        let still_open = stdout.is_err() || stderr.is_err();
        let (code, signal) = status.map_or((None, None), |status| (status.code(), status.signal()));
        let output = Output {
            code,
            signal,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            elapsed,
        };
        assert!(
            self.ended,
            "it was still running after {:?} and was killed\n{output}",
            self.timeout
        );
        assert!(
            !still_open,
            "it ended, but something that it started holds its output open\n{output}"
        );
        output
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it and everything in its process group, which is its own.
    fn kill(&mut self) {
        // All may have ended by itself meanwhile.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe of our own gives no error; what was read until then is what there is.
        let _ = from.read_to_end(&mut bytes);
        send.send(bytes)
    });
    receive
}
