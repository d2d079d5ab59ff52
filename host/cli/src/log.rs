//! `-v`: what happens, on stderr.

use tracing::Level;

use crate::terminal::Safe;

/// Shows the library's log, from `-v` (what is worth knowing) to `-vvv` (everything). Nothing without.
pub(crate) fn begin(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    show(level);
}

/// Shows events of a level and above on stderr, each on one line that is safe to show.
pub(crate) fn show(level: Level) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Safe(std::io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .init();
}
