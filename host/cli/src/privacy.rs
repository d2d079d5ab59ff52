//! Keeping other processes out of this one's memory and environment.

/// Makes this process's `/proc` entry unreadable to processes without `CAP_SYS_PTRACE`, the wrapped command among them: its environment,
/// memory and open files. Such a process cannot be traced and writes no core file either (Linux, `PR_SET_DUMPABLE` in prctl(2)).
///
/// The wrapped command is not affected: running a program sets the attribute again. Elsewhere than on Linux nothing happens.
///
/// # Errors
/// Whatever prctl(2) answers; with valid arguments it does not fail, unless a seccomp filter forbids it.
pub(crate) fn make_private() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

    #[test]
    fn a_private_process_is_not_dumpable() {
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
        super::make_private().unwrap();
        let now = dumpable_behavior().unwrap();
        // The other tests of this process may read their own `/proc` entry.
        set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
        assert_eq!(now, DumpableBehavior::NotDumpable);
    }
}
