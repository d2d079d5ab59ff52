//! The collector as a GoCD server: what the Feeds API tells of runs that were reported to it.

mod answers;
mod crawl;
mod documents;
mod names;
mod paging;
mod rights;
mod round_trip;
mod ruby_client;
mod site;
