//! The command while it runs, and its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, WaitStatus, getpgid, getpid, getppid, wait, waitpid};
use signal_hook::consts::{SIGCHLD, SIGKILL};

use super::sys::{self, Inherited, TakenSignal, hold};
use super::witness::Witness;
use super::{Forwarding, ReceivedSignal, is_ending};

/// The time that an end that does not look like success waits for a signal of this process's own before it is judged. Jenkins ends children
/// first, and waits for each at least 10 ms; an agent with much to do takes several times as long.
const SETTLE: Duration = Duration::from_millis(100);

/// The same for an end by a signal. A program does not end itself so, but an agent that ends what it finds of a job does; on a machine with
/// much to do, it may take a while to find this process too.
const SETTLE_KILLED: Duration = Duration::from_millis(500);

/// The time before the command's end in which a signal to one of this process's children alone still belongs to it, and after it for one to this
/// process.
const SHORTLY: Duration = Duration::from_secs(1);

/// The longest sleep: a lost SIGCHLD delays the command's end by no more than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The state of the one command of this process: 0 before it was started, its process number while it runs, then [`ENDED`] with its exit
/// code.
static STATE: AtomicI32 = AtomicI32::new(0);

/// Above every process number.
const ENDED: i32 = 1 << 30;

/// The state of the one command of this process, from which a caller continues after a panic.
pub enum CommandState {
    NotStarted,
    Running(Running),
    Ended(u8),
}

impl CommandState {
    pub fn now() -> Self {
        match STATE.load(Relaxed) {
            ended if ended & ENDED != 0 => Self::Ended(u8::try_from(ended & 0xff).unwrap_or(u8::MAX)),
            pid => match Pid::from_raw(pid) {
                Some(pid) => Self::Running(Running::new(pid, hold(), Instant::now())),
                None => Self::NotStarted,
            },
        }
    }
}

/// A started command. Dropping it leaves the command running.
#[derive(Debug)]
pub struct Running {
    child: Pid,
    inherited: &'static Inherited,
    witness: Witness,
    started: Instant,
}

/// The signals after the command's end ([`Running::exit_on_signal`]).
#[derive(Debug)]
pub struct LateSignals(Arc<AtomicBool>);

impl LateSignals {
    /// True if a signal to end the build arrived so soon that it still belongs to the command: an agent that ends children first finds a shell
    /// whose command it ended gone, perhaps with exit code 0.
    pub fn was_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The end of the command.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The exit code to pass on: the command's own, or 128 plus the number of the signal that killed it.
    pub code: u8,
    /// True if it was cancelled from outside, whatever its exit code is.
    pub cancelled: bool,
    /// The first signal to end the build that this process received meanwhile.
    #[cfg(test)]
    pub interrupted: Option<ReceivedSignal>,
    /// From its start to its end, by the monotonic clock.
    pub duration: Duration,
}

impl Running {
    pub fn new(child: Pid, inherited: &'static Inherited, started: Instant) -> Self {
        STATE.store(child.as_raw_nonzero().get(), Relaxed);
        Self {
            child,
            inherited,
            witness: Witness::after(started),
            started,
        }
    }

    /// Its process number.
    #[cfg(test)]
    pub fn pid(&self) -> Pid {
        self.child
    }

    /// Waits for its end without anything to do at a signal, and returns the exit code.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_alone(&mut self) -> io::Result<u8> {
        Ok(self.wait(|_| (), Duration::MAX, || ())?.code)
    }

    /// Waits for its end, and sends on every signal that this process is sent, each time it arrives, except when it went to the whole
    /// process group and so to the command as well.
    ///
    /// `on_signal` is called for each that is meant to end the build (SIGINT, SIGTERM, SIGHUP, SIGQUIT), after it was sent on; not for
    /// one that was ignored when this process started, as under nohup(1). `on_grace` is called once if the command still runs `grace`
    /// after the first: CI systems kill soon after they ask. Both are called on this thread and hold up forwarding, so they must not block.
    ///
    /// An end that does not look like success is returned after a moment in which such a signal may come ([`Ended::cancelled`]).
    ///
    /// # Errors
    /// The system's error for the wait; then the command's end is not known.
    pub fn wait(
        &mut self,
        mut on_signal: impl FnMut(ReceivedSignal),
        grace: Duration,
        on_grace: impl FnOnce(),
    ) -> io::Result<Ended> {
        let mut interrupted = None;
        let mut grace_over: Option<Instant> = None;
        let mut on_grace = Some(on_grace);
        let status = loop {
            // In this order: a signal that arrived before the end is seen before the end.
            let taken = sys::take(sys::is_held, Duration::ZERO);
            let came = taken.is_some();
            if let Some(seen) = taken.and_then(|taken| self.forward(&taken)) {
                interrupted.get_or_insert(seen);
                grace_over = grace_over.or_else(|| Instant::now().checked_add(grace));
                on_signal(seen);
            }
            if let Some(status) = self.reap()? {
                break status;
            }
            if came {
                continue;
            }
            let now = Instant::now();
            if self.witness.due().is_some_and(|due| now >= due) {
                self.witness.begin();
            }
            if grace_over.is_some_and(|over| now >= over)
                && let Some(on_grace) = on_grace.take()
            {
                on_grace();
            }
            let next = [grace_over.filter(|_| on_grace.is_some()), self.witness.due()];
            let next = next.into_iter().flatten().min();
            let left = next.map_or(LONGEST_SLEEP, |next| {
                next.saturating_duration_since(now).min(LONGEST_SLEEP)
            });
            if let Some(taken) = sys::take(sys::is_held, left)
                && let Some(seen) = self.forward(&taken)
            {
                interrupted.get_or_insert(seen);
                grace_over = grace_over.or_else(|| Instant::now().checked_add(grace));
                on_signal(seen);
            }
        };
        let duration = self.started.elapsed();
        let went_well = status.exit_status() == Some(0);
        if interrupted.is_none() && !self.was_killed_by_an_agent(status) {
            interrupted = self.settle(match (went_well, is_killed(code(status))) {
                (true, _) => Duration::ZERO,
                (false, false) => SETTLE,
                (false, true) => SETTLE_KILLED,
            });
        }
        let cancelled = interrupted.is_some() || self.was_killed_by_an_agent(status);
        let code = code(status);
        STATE.store(ENDED | i32::from(code), Relaxed);
        Ok(Ended {
            code,
            cancelled,
            #[cfg(test)]
            interrupted,
            duration,
        })
    }

    /// For the time after the end, when all is recorded and only delivery is left: a signal to end the build ends this process `budget` later,
    /// a second one at once, with the command's exit code. A signal that arrived since [`wait`](Self::wait) returned counts.
    pub fn exit_on_signal(self, code: u8, budget: Duration) -> LateSignals {
        let inherited = self.inherited;
        let came_soon = Arc::new(AtomicBool::new(false));
        let afterwards = LateSignals(Arc::clone(&came_soon));
        let began = Instant::now();
        let watch = move || {
            let mut over = None;
            loop {
                let left = over.map_or(LONGEST_SLEEP, |over: Instant| {
                    over.saturating_duration_since(Instant::now())
                });
                let wanted = |signal| (is_ending(signal) && !inherited.ignores(signal)) || sys::does_stop(signal);
                match sys::take(wanted, left.min(LONGEST_SLEEP)) {
                    Some(taken) if sys::does_stop(taken.signal) => sys::stop(taken.signal),
                    Some(_) => {
                        came_soon.fetch_or(began.elapsed() < SHORTLY, Relaxed);
                        over = Some(over.map_or_else(|| Instant::now() + budget, |_| Instant::now()));
                    }
                    None => {}
                }
                if over.is_some_and(|over| Instant::now() >= over) {
                    // Without exit handlers: another thread may hold a lock that they would wait for.
                    signal_hook::low_level::exit(code.into());
                }
            }
        };
        // Without the thread a signal has no effect, and delivery ends by its own time budget.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(watch);
        afterwards
    }

    /// The command's status if it has ended. As the first process of a container it also reaps orphans, which no other process can.
    fn reap(&mut self) -> io::Result<Option<WaitStatus>> {
        if let Some(pid) = self.witness.pid()
            && let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::NOHANG)
        {
            self.witness.has_ended(status);
        }
        if !getpid().is_init() {
            let ended = waitpid(Some(self.child), WaitOptions::NOHANG)?;
            return Ok(ended.map(|(_, status)| status));
        }
        while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
            if pid == self.child {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// Waits after an end for a signal to end the build. The wait is made of short sleeps: where this process has to wait for its turn after
    /// each, an agent on the same machine has to as well, and gets the time: twice as long, and no more, for a build waits.
    fn settle(&mut self, moment: Duration) -> Option<ReceivedSignal> {
        const SLEEP: Duration = Duration::from_millis(5);
        let mut left = moment;
        let over = Instant::now() + 2 * moment;
        loop {
            let taken = sys::take(|signal| is_ending(signal) || signal == SIGCHLD, left.min(SLEEP));
            // An agent that ends children first waits until they are gone, the witness too.
            if let Some(pid) = self.witness.pid()
                && let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::NOHANG)
            {
                self.witness.has_ended(status);
            }
            match taken {
                Some(taken) if taken.signal != SIGCHLD && !self.inherited.ignores(taken.signal) => {
                    return Some(self.seen(&taken, Forwarding::TooLate));
                }
                _ if left.is_zero() || Instant::now() >= over || self.was_ended_beside() => return None,
                Some(_) => {}
                None => left = left.saturating_sub(SLEEP),
            }
        }
    }

    /// True if an agent ended the command and sent this process no signal: it ended the children of a job one by one, this process's other
    /// child among them; or it ended the shell around this process, and then the processes of the job that it found.
    fn was_killed_by_an_agent(&self, status: WaitStatus) -> bool {
        let went_well = status.exit_status() == Some(0);
        let killed = status.terminating_signal().is_some() && is_killed(code(status));
        let parent = self.inherited.parent();
        (!went_well && self.was_ended_beside()) || (killed && parent.is_some() && getppid() != parent)
    }

    /// True if this process's other child was ended, shortly before or after the command.
    fn was_ended_beside(&self) -> bool {
        let shortly = Instant::now().checked_sub(SHORTLY).unwrap_or(self.started);
        self.witness.ended_by(shortly).is_some_and(is_ending)
    }

    /// Sends a signal on, and returns it if it is meant to end the build. Only called while the command is not reaped, so that its number is
    /// still its own.
    fn forward(&mut self, taken: &TakenSignal) -> Option<ReceivedSignal> {
        if taken.signal == SIGCHLD {
            return None;
        }
        let group_has_it = self.witness.saw(taken.signal).unwrap_or_else(|| {
            // A terminal sends to every process of its foreground group, and the kernel in its stead.
            taken.by_kernel && getpgid(Some(self.child)) == getpgid(None)
        });
        let forwarding = if group_has_it {
            Forwarding::HasIt
        } else {
            match sys::send_on(taken, self.child.as_raw_nonzero().get()) {
                Ok(()) => Forwarding::Forwarded,
                Err(_) => Forwarding::Refused,
            }
        };
        let seen = self.seen(taken, forwarding);
        tracing::debug!(signal = seen.name(), ?forwarding, "got a signal");
        if sys::does_stop(taken.signal) {
            sys::stop(taken.signal);
        }
        (is_ending(taken.signal) && !self.inherited.ignores(taken.signal)).then_some(seen)
    }

    fn seen(&self, taken: &TakenSignal, forwarding: Forwarding) -> ReceivedSignal {
        ReceivedSignal {
            signal: taken.signal,
            sender: taken.sender,
            after: self.started.elapsed(),
            forwarding,
        }
    }
}

/// True if an exit code is that of a process that was ended by a signal from outside, or of a shell whose command was.
fn is_killed(code: u8) -> bool {
    code.checked_sub(128)
        .is_some_and(|signal| is_ending(signal.into()) || i32::from(signal) == SIGKILL)
}

/// The exit code of an ended process, which has a status or a signal; 255 is what a shell returns for codes out of range.
fn code(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or(status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
