//! The command while it runs, and how it ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process};
use signal_hook::low_level::siginfo::Origin;

use super::signals::{Forwarding, SignalSeen, Signals, reached_the_group};

/// A started command. Dropping it leaves the command running.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    signals: Signals,
    started: Instant,
}

/// How the command ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// The exit code to pass on: the command's own, or 128 plus the number of the signal that killed it.
    pub(crate) code: u8,
    /// The first signal that this process got meanwhile.
    pub(crate) interrupted: Option<SignalSeen>,
    /// From its start to its end, by the monotonic clock.
    pub(crate) duration: Duration,
}

impl Running {
    pub(super) fn new(child: Child, signals: Signals, started: Instant) -> Self {
        Self {
            child,
            signals,
            started,
        }
    }

    /// Its process number.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and sends on every signal meant to end the build: SIGINT, SIGTERM, SIGHUP and SIGQUIT, each time it arrives,
    /// except when the terminal sent it to the command as well.
    ///
    /// `on_signal` is called for each of them, after it was sent on. `on_grace` is called once if the command still runs `grace` after the
    /// first: CI systems kill soon after they ask. Both are called on this thread and hold up forwarding, so they must not block.
    ///
    /// # Errors
    /// What the system said when asked for the command's end or for signals; then the end is not known.
    pub(crate) fn wait(
        &mut self,
        mut on_signal: impl FnMut(SignalSeen),
        grace: Duration,
        on_grace: impl FnOnce(),
    ) -> io::Result<Ended> {
        let mut interrupted = None;
        let mut grace_over = None;
        let mut on_grace = Some(on_grace);
        loop {
            for origin in self.signals.arrived() {
                let seen = self.forward(&origin);
                interrupted.get_or_insert(seen);
                grace_over.get_or_insert_with(|| Instant::now() + grace);
                on_signal(seen);
            }
            if let Some(status) = self.child.try_wait()? {
                return Ok(Ended::new(status, interrupted, self.started.elapsed()));
            }
            if grace_over.is_some_and(|over| Instant::now() >= over)
                && let Some(on_grace) = on_grace.take()
            {
                on_grace();
            }
            self.signals.sleep(grace_over.filter(|_| on_grace.is_some()))?;
        }
    }

    /// For the time after the end, when all is recorded and only delivery is left: a signal ends this process `budget` later, a second one
    /// at once, with the command's exit code. A signal that arrived since [`wait`](Self::wait) returned counts.
    pub(crate) fn exit_on_signal(mut self, code: u8, budget: Duration) {
        let watch = move || {
            let mut over = None;
            loop {
                for _ in self.signals.arrived() {
                    over = Some(over.map_or_else(|| Instant::now() + budget, |_| Instant::now()));
                }
                if over.is_some_and(|over| Instant::now() >= over) {
                    // Without exit handlers: another thread may hold a lock that they would wait for.
                    signal_hook::low_level::exit(code.into());
                }
                if self.signals.sleep(over).is_err() {
                    return;
                }
            }
        };
        // Without the thread a signal has no effect, and delivery ends by its own time budget.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(watch);
    }

    /// Only called while the command is not reaped, so that its number is still its own.
    fn forward(&self, origin: &Origin) -> SignalSeen {
        let child = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let same_group = child.is_none_or(|child| getpgid(Some(child)) == getpgid(None));
        let forwarding = if reached_the_group(origin.cause, same_group) {
            Forwarding::HasIt
        } else {
            match child
                .zip(Signal::from_named_raw(origin.signal))
                .map(|(child, signal)| kill_process(child, signal))
            {
                Some(Ok(())) => Forwarding::Forwarded,
                _ => Forwarding::Refused,
            }
        };
        let sender = origin.process.map(|process| process.pid);
        SignalSeen {
            signal: origin.signal,
            sender,
            after: self.started.elapsed(),
            forwarding,
        }
    }
}

impl Ended {
    fn new(status: ExitStatus, interrupted: Option<SignalSeen>, duration: Duration) -> Self {
        let signal_of_child = status.signal();
        let code = status.code().or(signal_of_child.map(|signal| 128 + signal));
        // An ended process has one of the two, and either fits; 255 is what a shell has for codes out of range.
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
        Self {
            code,
            interrupted,
            duration,
        }
    }
}
