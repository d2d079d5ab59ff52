//! What a person reads on stderr: the closing line of `exec`, durations, colours, and foreign text made harmless.

mod closing;
mod colour;
mod duration;
mod text;

pub(crate) use closing::{Closing, Fate};
pub(crate) use colour::Paint;
pub(crate) use duration::human;
pub(crate) use text::{excerpt, neutral, say};
