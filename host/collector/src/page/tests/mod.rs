//! The pages, asked as a browser asks.

mod accessible;
mod answers;
mod browser;
mod hostile;
mod lists;
mod questions;
mod run;
mod site;
