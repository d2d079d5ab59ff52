//! The collector as a GoCD server: the Feeds API over runs that were reported to it.

mod answers;
mod crawl;
mod documents;
mod names;
mod paging;
mod rights;
mod round_trip;
mod ruby_client;
mod site;
