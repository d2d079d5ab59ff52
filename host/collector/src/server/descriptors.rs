//! As many files as connections need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to what is needed, as far as the hard limit lets it: shells and systemd give 1,024, of which a
/// thousand idle connections would leave nothing for the store. Failing is no harm: connections then wait.
pub(super) fn raise(connections: usize) {
    // The store, the log, the sockets that listen, and room.
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(128);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < needed) else {
        return;
    };
    let wanted = maximum.map_or(needed, |maximum| needed.min(maximum));
    let raised = Rlimit {
        current: Some(wanted.max(current)),
        maximum,
    };
    if wanted < needed || setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(
            "this process may open {current} files at a time, and {needed} would be good: raise `ulimit -n`"
        );
    }
}
