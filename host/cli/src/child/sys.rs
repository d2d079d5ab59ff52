//! The system calls about signals and processes for which neither the standard library nor rustix has a safe function: the only `unsafe` of
//! the command. Each function here is safe to call at any time.
//!
//! The standard library changes what a program inherits before `main` (it ignores `SIGPIPE`, and opens `/dev/null` where a standard
//! descriptor is closed) and once more in a child (it resets `SIGPIPE` and the mask). [`at_start`] runs before it, and [`Inherited::spawn`] starts
//! a child without it.
#![allow(
    unsafe_code,
    reason = "masks and dispositions of signals, waiting for one, fork and exec have no safe interface that leaves both as they were"
)]

use std::ffi::CString;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use libc::{c_char, c_int, pid_t, sigset_t};
use rustix::process::{Pid, WaitOptions, getppid, waitpid};

/// The highest number that a signal has anywhere; each fits into a mask of 64 bits.
const LAST: c_int = 64;

/// The state at the start of the process: `SIGPIPE` was ignored (bit 63), and descriptors 0 to 2 were closed (bits 0 to 2).
static AT_START: AtomicU64 = AtomicU64::new(0);
const PIPE_IGNORED: u64 = 1 << 63;

/// Runs before the standard library's own start, and so before it changes what was inherited.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static RUN_AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    let mut found = if is_ignored(libc::SIGPIPE) { PIPE_IGNORED } else { 0 };
    for descriptor in 0..3 {
        // SAFETY: it asks about a number, which need not be a descriptor.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            found |= 1 << descriptor;
        }
    }
    AT_START.store(found, Relaxed);
    // No thread of the tests' may die of the signals that a test sends to this process.
    #[cfg(test)]
    hold();
}

/// The signals that a wrapped command is to get in this process's stead: all but those that cannot be taken, and those that report a fault of
/// this process itself, which the sandbox has to see.
pub fn is_held(signal: c_int) -> bool {
    let faults = [
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
    ];
    // Those between are the C library's.
    let is_signal = (1..32).contains(&signal) || is_realtime(signal);
    let is_own = is_by_writing(signal) && !cfg!(target_os = "linux");
    is_signal && ![libc::SIGKILL, libc::SIGSTOP].contains(&signal) && !faults.contains(&signal) && !is_own
}

/// True if a process may also get a signal for what it writes itself. Only Linux shows which of the two it is.
fn is_by_writing(signal: c_int) -> bool {
    [libc::SIGPIPE, libc::SIGXFSZ].contains(&signal)
}

#[cfg(target_os = "linux")]
fn is_realtime(signal: c_int) -> bool {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal)
}

#[cfg(not(target_os = "linux"))]
fn is_realtime(_: c_int) -> bool {
    false
}

/// Holds back, in this thread and in all that it starts later, every signal that a wrapped command is to get ([`is_held`]): from here on
/// they wait to be [taken](take). A further call returns the result of the first.
pub fn hold() -> &'static Inherited {
    static HELD: OnceLock<Inherited> = OnceLock::new();
    HELD.get_or_init(Inherited::hold)
}

/// The mask, the dispositions and the descriptors that a command inherits, as this process was started with them.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: sigset_t,
    /// The ignored signals; bit 0 is signal 1.
    ignored: u64,
    /// The closed descriptors of 0 to 2, a bit each.
    closed: u64,
    parent: Option<Pid>,
}

impl Inherited {
    fn hold() -> Self {
        let at_start = AT_START.load(Relaxed);
        let mut ignored = 0;
        for signal in 1..=LAST {
            let is_ignored = match signal {
                libc::SIGPIPE => at_start & PIPE_IGNORED != 0,
                _ => is_ignored(signal),
            };
            ignored |= u64::from(is_ignored) << (signal - 1);
        }
        let mask = block(is_held);
        // Ignored, it would make the kernel reap the command, and its exit code would be lost. The command gets it back.
        set(libc::SIGCHLD, libc::SIG_DFL);
        Self {
            mask,
            ignored,
            closed: at_start & 0b111,
            parent: getppid(),
        }
    }

    /// True if a signal was ignored.
    pub fn ignores(&self, signal: c_int) -> bool {
        (1..=LAST).contains(&signal) && self.ignored >> (signal - 1) & 1 == 1
    }

    /// The process that started this one.
    pub fn parent(&self) -> Option<Pid> {
        self.parent
    }

    /// Starts a process that runs `image` with all of this restored. The error is the reason why the image cannot run.
    pub fn spawn(&self, image: &Image) -> io::Result<Pid> {
        // Closed by exec: the pipe carries an error, or nothing.
        let (mut reader, writer) = io::pipe()?;
        // SAFETY: with other threads perhaps stopped at any point, only what is async-signal-safe may run in the child (signal-safety(7)):
        // sigaction, close, sigprocmask, execve, write and _exit. Nothing is allocated, dropped, or locked.
        let pid = unsafe {
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {
                    self.restore(writer.as_raw_fd());
                    let why = image.exec().to_ne_bytes();
                    libc::write(writer.as_raw_fd(), why.as_ptr().cast(), why.len());
                    libc::_exit(127)
                }
                pid => pid,
            }
        };
        drop(writer);
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?;
        let mut why = [0; size_of::<c_int>()];
        match reader.read_exact(&mut why) {
            Err(_) => Ok(pid),
            Ok(()) => {
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(why)))
            }
        }
    }

    /// Runs `image` in the place of this process, with all of this restored. Returns only if that failed.
    pub fn exec(&self, image: &Image) -> io::Error {
        self.restore(-1);
        io::Error::from_raw_os_error(image.exec())
    }

    /// Restores all of this in this process. `kept` is a descriptor that is still needed.
    fn restore(&self, kept: c_int) {
        for signal in 1..=LAST {
            let ours = matches!(signal, libc::SIGPIPE | libc::SIGXFSZ | libc::SIGCHLD);
            match self.ignores(signal) {
                true => set(signal, libc::SIG_IGN),
                // Handlers end with exec by themselves.
                false if ours => {
                    // Ignored it is forgotten where it waits: one for a line of this process's own would end the command.
                    set(signal, libc::SIG_IGN);
                    set(signal, libc::SIG_DFL);
                }
                false => {}
            }
        }
        for descriptor in 0..3 {
            if self.closed >> descriptor & 1 == 1 && descriptor != kept {
                // SAFETY: the descriptor is the `/dev/null` of the standard library, which nothing else in this process uses.
                unsafe { libc::close(descriptor) };
            }
        }
        set_mask(&self.mask);
    }

    /// Lets the held signals through again: one that arrived meanwhile then has its usual effect here.
    pub fn let_through(&self) {
        set_mask(&self.mask);
    }
}

impl std::fmt::Debug for Inherited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inherited")
            .field("ignored", &self.ignored)
            .finish_non_exhaustive()
    }
}

/// A program with its arguments and its environment, in the form that the system takes.
pub struct Image {
    /// The paths where the program may be, in order.
    pub paths: Vec<CString>,
    pub arguments: CStrings,
    pub environment: CStrings,
}

impl Image {
    /// Replaces this process, as execvp(3) does but for one thing: what is no program is not handed to a shell, where it might be anything.
    /// Returns only if that failed, with the number of the error.
    fn exec(&self) -> c_int {
        let mut why = libc::ENOENT;
        for path in &self.paths {
            // SAFETY: `path` ends with a zero, and both arrays with a null pointer; what the others point to lives as long as `self`.
            unsafe { libc::execve(path.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr()) };
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EACCES) => why = libc::EACCES,
                Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {}
                other => return other.unwrap_or(libc::ENOEXEC),
            }
        }
        why
    }
}

/// Strings, and the array of pointers to them that C requires, with a null at its end.
pub struct CStrings {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([null()]).collect();
        Self {
            _strings: strings,
            pointers,
        }
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// A held signal that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenSignal {
    pub signal: c_int,
    /// True if the kernel itself sent it: for a terminal, or for a timer.
    pub by_kernel: bool,
    /// The process that sent it, if one did.
    pub sender: Option<pid_t>,
    /// The value that came with it, by sigqueue(3).
    value: Option<usize>,
}

/// Takes one of the signals that are held and that `wanted` names, or waits for one. None when the time is over; it may also be early.
#[cfg(target_os = "linux")]
pub fn take(wanted: impl Fn(c_int) -> bool, left: Duration) -> Option<TakenSignal> {
    let wanted = set_of(wanted);
    let timeout = libc::timespec {
        tv_sec: i32::try_from(left.as_secs()).unwrap_or(i32::MAX).into(),
        tv_nsec: left.subsec_nanos().into(),
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the three pointers are valid for the call, and zeroes are a valid siginfo_t.
    let (signal, info) = unsafe {
        let signal = libc::sigtimedwait(&raw const wanted, info.as_mut_ptr(), &raw const timeout);
        (signal, info.assume_init())
    };
    if signal <= 0 {
        let is_over = matches!(
            io::Error::last_os_error().raw_os_error(),
            Some(libc::EAGAIN | libc::EINTR)
        );
        if !is_over {
            // Not allowed here: without signals, the command's end is still asked for.
            std::thread::sleep(left.min(Duration::from_millis(10)));
        }
        return None;
    }
    let from_a_process = matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
    // SAFETY: these members are set for the codes that were asked for (sigaction(2)).
    let (sender, value) = unsafe {
        let value = (info.si_code == libc::SI_QUEUE).then(|| info.si_value().sival_ptr.addr());
        // 0 is a process outside of this one's PID namespace.
        (Some(info.si_pid()).filter(|pid| from_a_process && *pid > 0), value)
    };
    // The kernel has a process send itself the signals for what it writes.
    let is_own = is_by_writing(signal) && sender == Some(rustix::process::getpid().as_raw_nonzero().get());
    (!is_own).then_some(TakenSignal {
        signal,
        by_kernel: !from_a_process,
        sender,
        value,
    })
}

/// The same on systems without sigtimedwait(2), which do not show who sent a signal.
#[cfg(not(target_os = "linux"))]
pub fn take(wanted: impl Fn(c_int) -> bool, timeout: Duration) -> Option<TakenSignal> {
    const STEP: Duration = Duration::from_millis(10);
    let set = set_of(&wanted);
    let end = std::time::Instant::now().checked_add(timeout);
    loop {
        if is_waiting(&wanted) {
            let mut signal = 0;
            // SAFETY: both pointers are valid. One is pending, so that this does not wait.
            let failed = unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0;
            return (!failed).then_some(TakenSignal {
                signal,
                by_kernel: false,
                sender: None,
                value: None,
            });
        }
        let left = end.map_or(STEP, |end| end.saturating_duration_since(std::time::Instant::now()));
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(left.min(STEP));
    }
}

/// True if one of the held signals that `wanted` names is waiting.
pub fn is_waiting(wanted: impl Fn(c_int) -> bool) -> bool {
    let pending = pending();
    // SAFETY: the pointer is valid.
    (1..=LAST).any(|signal| wanted(signal) && unsafe { libc::sigismember(&raw const pending, signal) } == 1)
}

fn pending() -> sigset_t {
    let mut pending = set_of(|_| false);
    // SAFETY: the pointer is valid.
    unsafe { libc::sigpending(&raw mut pending) };
    pending
}

/// Sends a signal on to a process, with its value if it had one.
pub fn send_on(taken: &TakenSignal, pid: pid_t) -> io::Result<()> {
    // SAFETY: neither call touches this process's memory; the value goes as it came.
    let result = unsafe {
        match taken.value {
            #[cfg(target_os = "linux")]
            Some(value) => {
                let sival_ptr = std::ptr::without_provenance_mut(value);
                libc::sigqueue(pid, taken.signal, libc::sigval { sival_ptr })
            }
            _ => libc::kill(pid, taken.signal),
        }
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Ignores `SIGXFSZ`, so that a limit on the size of files is an error to report and not the end of this process. To be called after
/// [`hold`] where a command is wrapped, which gets back what was there.
pub fn outlive_the_file_limit() {
    if !is_ignored(libc::SIGXFSZ) {
        set(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Starts a process that does nothing but be there, in the same process group, until a signal ends it or this thread ends. It holds no
/// descriptor open.
#[cfg(target_os = "linux")]
pub fn fork_a_witness() -> io::Result<pid_t> {
    // SAFETY: getpid, and fork whose child calls nothing but what is async-signal-safe.
    unsafe {
        let parent = libc::getpid();
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => stand_by(parent),
            pid => Ok(pid),
        }
    }
}

/// The whole work of that process.
///
/// # Safety
/// Only for a process that was forked a moment ago: it closes every descriptor.
#[cfg(target_os = "linux")]
unsafe fn stand_by(parent: pid_t) -> ! {
    for signal in 1..=LAST {
        set(signal, libc::SIG_DFL);
    }
    // SAFETY: plain system calls about this process, which uses none of its memory and descriptors any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) != 0 {
            // Before Linux 5.9. Some thousand are more than a build hands down.
            for descriptor in 0..4096 {
                libc::close(descriptor);
            }
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
        set_mask(&set_of(does_not_end));
        loop {
            libc::pause();
        }
    }
}

/// True if a signal without a handler leaves a process alive: it does nothing, or stops or continues it. One for the group waits in the
/// process of [`fork_a_witness`], where it can be seen.
pub fn does_not_end(signal: c_int) -> bool {
    [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH].contains(&signal) || does_stop(signal)
}

/// True if a signal without a handler stops a process.
pub fn does_stop(signal: c_int) -> bool {
    [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
}

/// Stops this process as a held signal that [stops](does_stop) would have. Returns when the process continues.
pub fn stop(signal: c_int) {
    let only = set_of(|one| one == signal);
    let mut before = set_of(|_| false);
    // SAFETY: the pointers are valid. No code of ours runs for a signal.
    unsafe {
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, &raw mut before);
        libc::raise(signal);
    }
    set_mask(&before);
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the pointers are valid or null, and zeroes are a valid sigaction. A number that is no signal is refused.
    unsafe {
        libc::sigaction(signal, null(), action.as_mut_ptr()) == 0 && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Sets a disposition, which is either to ignore or the default: no code of ours runs for a signal. A disposition that cannot be set stays as
/// it is.
fn set(signal: c_int, disposition: libc::sighandler_t) {
    debug_assert!([libc::SIG_IGN, libc::SIG_DFL].contains(&disposition));
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the pointers are valid or null; zeroes are a sigaction with an empty mask and without flags.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = disposition;
        libc::sigaction(signal, action.as_ptr(), null_mut());
    }
}

fn set_of(members: impl Fn(c_int) -> bool) -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: the pointer is valid, and sigemptyset makes a set of what it points to. A number that is no signal is refused.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in (1..=LAST).filter(|signal| members(*signal)) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks further signals in this thread, and returns the mask from before.
fn block(members: impl Fn(c_int) -> bool) -> sigset_t {
    let set = set_of(members);
    let mut before = set_of(|_| false);
    // SAFETY: both pointers are valid.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before) };
    before
}

fn set_mask(mask: &sigset_t) {
    // SAFETY: the pointer is valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, null_mut()) };
}
