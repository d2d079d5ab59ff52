//! The distinction of a signal to this process from a signal to its whole process group.
//!
//! A terminal, GNU timeout, Buildkite's agent and `kill -- -PGID` signal the group: the command has the signal already, and sent on it would
//! arrive twice, which for many tools means "stop at once, whatever is lost". The system does not show which of the two it was. So a second
//! child in the same group does nothing: if the signal has ended it too, the group got it.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use super::sys;

/// The pause before the witness starts: a command that ends sooner needs none, and is not slowed down by one.
const PAUSE_BEFORE_START: Duration = Duration::from_millis(20);

/// The time that a signal to the group may take to the witness after it arrived here. The kernel sends it to all in some microseconds, but a
/// virtual processor may be halted in between.
const GROUP: Duration = Duration::from_millis(10);

/// The time between an end of the witness and a signal to this process that still belong together: agents that end processes one by one
/// wait 10 ms or more between two.
const SAME: Duration = Duration::from_millis(5);

/// The pause between two checks of the witness.
const STEP: Duration = Duration::from_millis(1);

/// The second child; none where the system has no room for one.
#[derive(Debug)]
pub struct Witness {
    pid: Option<Pid>,
    due: Option<Instant>,
    ended: Option<(i32, Instant)>,
}

impl Witness {
    /// A witness that is to begin some time after the command.
    pub fn after(started: Instant) -> Self {
        Self {
            pid: None,
            due: Some(started + PAUSE_BEFORE_START),
            ended: None,
        }
    }

    /// The moment to call [`begin`](Self::begin).
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Starts the second child.
    pub fn begin(&mut self) {
        self.due = None;
        #[cfg(target_os = "linux")]
        {
            self.pid = sys::fork_a_witness().ok().and_then(Pid::from_raw);
        }
    }

    /// Its process number, while there is one.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Notes the end of the child, which another place reaped, and starts another.
    pub fn has_ended(&mut self, status: WaitStatus) {
        self.ended = status.terminating_signal().map(|signal| (signal, Instant::now()));
        self.begin();
    }

    /// The signal that ended it alone, and not with its group, if that was after `since`.
    pub fn ended_by(&self, since: Instant) -> Option<i32> {
        self.ended.filter(|(_, at)| *at >= since).map(|(signal, _)| signal)
    }

    /// Returns true if the process group got a signal that this process just took. None if the system does not show it.
    pub fn saw(&mut self, signal: i32) -> Option<bool> {
        if sys::does_not_end(signal) {
            return self.holds(signal);
        }
        if self.ended.is_some_and(|(by, at)| by == signal && at.elapsed() < SAME) {
            self.ended = None;
            return Some(true);
        }
        let pid = self.pid.take()?;
        let ended = ended_within(pid, GROUP);
        // It may have got the signal, and not yet its turn on a processor to die of it.
        let has_it = ended.is_none() && is_pending(pid, signal) == Some(true);
        let status = ended.or_else(|| end(pid));
        self.begin();
        Some(has_it || status?.terminating_signal() != Some(Signal::KILL.as_raw()))
    }

    /// The same for a signal that does not end the child: it stays pending there.
    fn holds(&mut self, signal: i32) -> Option<bool> {
        let until = Instant::now() + GROUP;
        while !is_pending(self.pid?, signal)? {
            if Instant::now() >= until {
                return Some(false);
            }
            std::thread::sleep(STEP);
        }
        // The next signal would look the same.
        self.pid.take().and_then(end);
        self.begin();
        Some(true)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            end(pid);
        }
    }
}

/// The status of a child that ends by itself within `patience`.
fn ended_within(pid: Pid, patience: Duration) -> Option<WaitStatus> {
    let until = Instant::now() + patience;
    loop {
        if let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::NOHANG) {
            return Some(status);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(left.min(STEP));
    }
}

/// Ends a child by `SIGKILL`, and returns its status: by that signal, or by one it was sent before.
fn end(pid: Pid) -> Option<WaitStatus> {
    // What cannot be ended is not waited for: it ends with this process.
    kill_process(pid, Signal::KILL).ok()?;
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Some(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Returns true if a signal is pending in a process (proc_pid_status(5)). None if the system does not show it.
fn is_pending(pid: Pid, signal: i32) -> Option<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pending = ["SigPnd:", "ShdPnd:"].map(|name| {
        let digits = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(digits.trim(), 16).ok()
    });
    let [own, shared] = pending;
    Some((own? | shared?) >> (signal - 1) & 1 == 1)
}
