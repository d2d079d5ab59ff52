//! The rules of the configuration as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod file;
mod settings;
mod templates;
