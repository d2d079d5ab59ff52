//! The reader of GoCD: documents, addresses, the client, and what a sync reports.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod addresses;
mod attempts;
mod client;
mod crawl;
mod documented;
mod facts;
mod fixtures;
mod hostile_documents;
mod round_trip;
mod support;
mod sync_faults;
mod sync_feeds;
mod sync_histories;
mod sync_one_document;
mod sync_runs;
mod sync_support;
