//! What a person reads: the closing line of `exec`, durations, progress, colours, lines of a width, and what may be written on them.

mod closing;
mod colour;
mod duration;
mod progress;
mod text;
mod wrap;

pub(crate) use closing::{Closing, Fate};
pub(crate) use colour::Paint;
pub(crate) use duration::human;
pub(crate) use pipefold_sandbox::foreign::{excerpt, neutral};
pub(crate) use progress::Progress;
pub(crate) use text::{Safe, lines, say};
pub(crate) use wrap::wrap;
