//! The server over real sockets.

mod api;
mod connections;
mod hostile;
mod jobs;
mod pipeline_page;
mod removal;
mod run_pages;
mod shown;
mod statistics;
pub(crate) mod support;
mod whole;
