//! The pages, asked as a browser asks.

mod addresses;
mod browser;
mod fold;
mod hostile;
mod lists;
mod live;
mod policy;
mod site;
mod timelines;
