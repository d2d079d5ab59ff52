//! What must not reach the host: a panic, its message, and a call in a forked process.

use crate::answer::Fault;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

thread_local! {
    /// The message of the last panic of this thread.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the messages of panics from stderr, which is the host's. The library has a Rust runtime of its own: a host in Rust keeps its hook.
pub fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|panic| {
            let message = panic.to_string();
            // A panic while the thread ends has no place for its message.
            let _ = PANIC.try_with(|place| place.try_borrow_mut().map(|mut place| *place = Some(message)));
        }));
    });
}

/// Calls `call`; a panic is a fault.
pub fn caught<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What a panic may leave half changed is behind locks, whose users expect that.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        let message = PANIC.with(|place| place.try_borrow_mut().ok().and_then(|mut place| place.take()));
        let message = message.unwrap_or_default();
        Err(Fault::Failed(format!(
            "this is a bug in pipefold, please report it: {message}"
        )))
    })
}

/// The process that first opened a reporter; 0 before.
static PROCESS: AtomicI32 = AtomicI32::new(0);

fn this_process() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Makes this process the one that the library works in.
///
/// # Errors
/// [`Fault::Forked`] if the library works in a process that this one was forked from: locks and threads are not here.
pub fn enter_first() -> Result<(), Fault> {
    match PROCESS.compare_exchange(0, this_process(), Relaxed, Relaxed) {
        Ok(_) => Ok(()),
        Err(_) => enter(),
    }
}

/// Checks that this is the process that the library works in. Before any lock: in a forked process it may be held for ever.
///
/// # Errors
/// [`Fault::Forked`] if it is another.
pub fn enter() -> Result<(), Fault> {
    match PROCESS.load(Relaxed) {
        process if process == 0 || process == this_process() => Ok(()),
        _ => Err(Fault::Forked),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_with_its_message() {
        let fault = caught::<()>(|| panic!("too bad")).unwrap_err();
        assert!(fault.to_string().starts_with("this is a bug in pipefold"), "{fault}");
        assert!(matches!(fault, Fault::Failed(_)));
    }
}
