//! Points where a test can kill the process, as a power failure would, or make it panic.
//!
//! A debug build that finds `PIPEFOLD_TEST_KILL_AT=N` in its environment kills itself with SIGKILL at its Nth [`pass`]; with
//! `PIPEFOLD_TEST_PANIC_AT=N` it panics there. A test counts N up until a process survives, and so has tried a death before every operation
//! that matters. Release builds contain nothing of this.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Read once, so that a pass costs an atomic load where no test is running.
    static ARMED: OnceLock<Option<(u64, Fault)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    #[derive(Clone, Copy)]
    enum Fault {
        Kill,
        Panic,
    }

    pub(super) fn pass(point: &str) {
        let at = |name: &str| std::env::var(name).ok()?.parse().ok();
        let armed = ARMED.get_or_init(|| {
            let kill = at("PIPEFOLD_TEST_KILL_AT").map(|at| (at, Fault::Kill));
            kill.or_else(|| at("PIPEFOLD_TEST_PANIC_AT").map(|at| (at, Fault::Panic)))
        });
        let Some((at, fault)) = *armed else { return };
        if PASSED.fetch_add(1, Ordering::Relaxed) + 1 != at {
            return;
        }
        match fault {
            Fault::Kill => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            Fault::Panic => panic!("a test asked for it at {point}"),
        }
    }
}

/// Marks that `_point` is about to happen; the name, such as `spool.rename`, is for readers of the code.
#[inline]
pub fn pass(_point: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(_point);
}
