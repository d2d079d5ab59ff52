//! The wrapped command of `exec` and `step`: started, watched, waited for, and otherwise left alone.
//!
//! Its stdin, stdout and stderr are this process's own, so there is nothing in between that could change or slow its output. Signals meant to
//! end the build reach it ([`Running::wait`]), and its end is passed on as a shell would ([`Ended::code`]).
//!
//! One thread does it all: signal handlers write into a socket pair, `SIGCHLD` among them, and the waiting thread sleeps on its other end.
//! As the same thread sends signals and reaps, a signal never goes to a process that took over the number of one already reaped.

mod command;
mod running;
mod signals;
#[cfg(test)]
mod tests;

pub(crate) use command::Command;
pub(crate) use running::Ended;
