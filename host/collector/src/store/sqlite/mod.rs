//! The store on one machine: SQLite, with one thread that writes and a few that read.
//!
//! An append waits in a queue, and is answered after the commit that has it. While one commit waits for the disk the next ones gather,
//! so that many callers share each wait (group commit). Readers see the last commit and never wait for the writer (WAL). Before that a
//! notification is judged and folded in a thread beside the writer, with the few parts that stand for all others of its run. Only where the run
//! has grown meanwhile is it folded again in the transaction.
//!
//! - `place`: the data directory, its lock, the names of its files.
//! - `open`: everything put together.
//! - `connection`: SQLite's settings, with the reason for each.
//! - `schema`: the tables, and how older ones become today's.
//! - `trouble`: SQLite's errors in our words.
//! - `queue`: what waits for a thread, within bounds.
//! - `writer`: the thread that writes; `sequence`: the ids it gives out.
//! - `append`, `record`: a notification and its run; `history`: the notifications of a run.
//! - `readers`: the threads that read; `row`, `list`, `streams`, `detail`, `pipelines`, `stats`, `feed`: what they answer.
//! - `forward`, `upkeep`, `backup`: the rest of the trait.

mod append;
mod backup;
mod connection;
mod detail;
mod feed;
mod forward;
mod history;
mod list;
mod open;
mod pipelines;
mod place;
mod queue;
mod readers;
mod record;
mod row;
mod schema;
mod sequence;
mod stats;
mod store;
mod streams;
#[cfg(test)]
mod tests;
mod trouble;
mod upkeep;
mod writer;

pub use backup::backup;
pub use open::{Limits, SqliteStore};
pub use place::{DATABASE_FILE, LOCK_FILE, data_directory};
