//! Places where a test can make the process die as if the power button had been pressed.
//!
//! A debug build that finds `PIPEFOLD_TEST_KILL_AT=N` in its environment kills itself with SIGKILL at its Nth [`pass`]. A test counts N up
//! until a process survives, and so has seen a death before every operation that matters. Release builds contain nothing of this.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Read once, so that a pass costs an atomic load where no test is running.
    static KILL_AT: OnceLock<Option<u64>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pass() {
        let kill_at = KILL_AT.get_or_init(|| std::env::var("PIPEFOLD_TEST_KILL_AT").ok()?.parse().ok());
        let Some(kill_at) = *kill_at else { return };
        if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == kill_at {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}

/// Marks that `_point` is about to happen; the name, such as `spool.rename`, is for whoever reads the code.
#[inline]
pub(crate) fn pass(_point: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass();
}
