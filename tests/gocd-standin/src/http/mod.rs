//! The server over HTTP.

mod connection;
mod endless;
mod fault;
mod standin;

pub use fault::{Fault, Times};
pub use standin::{GocdStandin, Logged};
