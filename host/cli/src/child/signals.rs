//! The signals that end a build, caught so that the wrapped command gets them; and `SIGCHLD`, which tells of its end.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};

/// What CI systems, terminals and service managers end a job with.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// One signal that this process got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignalSeen {
    /// Its number, such as 15.
    pub(crate) signal: i32,
    /// The process that sent it; none when the kernel did, for a terminal, or when the system does not tell.
    pub(crate) sender: Option<i32>,
    /// How long after the command's start it was seen.
    pub(crate) after: Duration,
    /// What was done for the command.
    pub(crate) forwarding: Forwarding,
}

impl SignalSeen {
    /// Its name, such as `SIGTERM`.
    pub(crate) fn name(&self) -> &'static str {
        signal_hook::low_level::signal_name(self.signal).unwrap_or("a signal")
    }
}

/// Whether the wrapped command got a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// It was sent on.
    Forwarded,
    /// The terminal had sent it to the command as well.
    HasIt,
    /// The system did not allow it: the command runs as another user, as under sudo(8).
    Refused,
}

/// The handlers, for as long as it lives; and the sleep until one of them ran.
#[derive(Debug)]
pub(super) struct Signals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
}

impl Signals {
    /// Installs the handlers, except for signals that are ignored: a handler would take that away from the command, and with it the effect
    /// of nohup(1) and of `&` in a shell script.
    pub(super) fn install() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let ignored = ignored();
        let caught = ENDING.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        // Not filtered: were SIGCHLD ignored, the kernel would reap the command and its exit code would be lost.
        let delivery = SignalDelivery::with_pipe(read, write, WithOrigin::default(), caught.chain([SIGCHLD]))?;
        Ok(Self { delivery })
    }

    /// The signals that arrived since the last call, without `SIGCHLD`; does not block.
    pub(super) fn arrived(&mut self) -> impl Iterator<Item = Origin> + use<> {
        self.delivery.pending().filter(|origin| origin.signal != SIGCHLD)
    }

    /// Sleeps until a signal arrives, `SIGCHLD` included, or the time is up. It may return early, and never late for a signal that
    /// arrived since [`arrived`](Self::arrived) was called.
    pub(super) fn sleep(&mut self, until: Option<Instant>) -> io::Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(());
        }
        let read = self.delivery.get_read_mut();
        read.set_read_timeout(left)?;
        match read.read(&mut [0; 64]) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the command has got a signal already when this process gets it: a terminal sends it to every process of its foreground group.
///
/// Linux says in `si_code` that the kernel itself sent it. Where the system does not tell, as on macOS, the answer is no: a signal twice
/// is better than none.
pub(super) fn reached_the_group(cause: Cause, same_group: bool) -> bool {
    matches!(cause, Cause::Kernel) && same_group
}

/// The signals that this process ignores, as a mask: bit 0 is signal 1.
///
/// sigaction(2) would tell on any system, but has no safe wrapper; `/proc` does on Linux (proc_pid_status(5), `SigIgn`). Elsewhere none.
fn ignored() -> u64 {
    let status = if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/self/status")
    } else {
        Ok(String::new())
    };
    status.map_or(0, |status| mask(&status))
}

fn mask(status: &str) -> u64 {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    digits
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::siginfo::Sent;

    #[test]
    fn only_the_kernel_reaches_the_group_and_only_one_group() {
        assert!(reached_the_group(Cause::Kernel, true));
        assert!(!reached_the_group(Cause::Kernel, false));
        assert!(!reached_the_group(Cause::Sent(Sent::User), true));
        assert!(!reached_the_group(Cause::Sent(Sent::TKill), true));
        assert!(!reached_the_group(Cause::Unknown, true));
    }

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004000\n";
        assert_eq!(mask(status), 1 | 1 << 12);
        assert_eq!(mask("SigIgn:\tnonsense"), 0);
        assert_eq!(mask(""), 0);
    }
}
