//! The server over real sockets.

mod errors;
mod hostile;
mod limits;
mod lists;
mod mounted;
mod page_example;
mod stopping;
pub(crate) mod support;
mod tls;
