//! The two files that a CI system points to instead of setting variables.

mod event;
mod properties;
mod read;

pub(crate) use event::Event;
pub(crate) use properties::Properties;
pub use read::read_file;
