//! The wrapped command of `exec` and `step`: started, watched, waited for, and otherwise left alone.
//!
//! Its stdin, stdout and stderr are this process's own, so there is nothing in between that could change or slow its output; the dispositions
//! and the mask of its signals are those that this process was started with. Signals reach it once ([`Running::wait`]), and its end is
//! passed on as a shell would ([`Ended::code`]).
//!
//! There are no signal handlers: signals are held back ([`hold`]) and taken one by one, by the thread that also reaps. So a signal never goes to
//! a process that took over the number of one already reaped, and there is no descriptor, thread or handler that a system could refuse.

mod command;
mod running;
mod signals;
mod sys;
#[cfg(test)]
mod tests;
mod witness;

pub(crate) use command::Command;
pub(crate) use running::{Ended, Progress};
pub(crate) use signals::SignalSeen;
pub(crate) use sys::{hold, outlive_the_file_limit};
