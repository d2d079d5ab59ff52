//! `-v`: what happens, on stderr.

use tracing::Level;

/// Shows what the library tells, from `-v` (what is worth knowing) to `-vvv` (everything). Nothing without.
pub(crate) fn begin(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
}
