//! The pages, asked as a browser asks.

mod answers;
mod browser;
mod hostile;
mod lists;
mod site;
