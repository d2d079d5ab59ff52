//! The store on one machine: SQLite, with one thread that writes and a few that read.
//!
//! An append waits in a queue, and is answered after the commit that has it. While one commit waits for the disk the next ones gather,
//! so that many callers share each wait (group commit). Readers see the last commit and never wait for the writer (WAL). Before that a
//! notification is judged and folded in a thread beside the writer, with the few parts that stand for all others of its run. Only where the run
//! has grown meanwhile is it folded again in the transaction.
//!
//! - `store`: everything put together, and the trait on it.
//! - `place`: the data directory, its lock, the names of its files.
//! - `database`: SQLite's settings, the tables, and how older ones become today's. `trouble`: SQLite's errors in our words.
//! - `queue`: what waits for a thread, within bounds. `readers`: the threads that read and judge. `writer`: the thread that writes.
//! - `append`: notifications and their run. `rows`: rows as values, and back.
//! - `list`: runs newest first. `questions`: one run, pipelines, statistics and feeds.
//! - `upkeep`: what DX does not know yet, retention, and backups.

mod append;
mod database;
mod list;
mod place;
mod questions;
mod queue;
mod readers;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod trouble;
mod upkeep;
mod writer;

pub use place::{DATABASE_FILE, LOCK_FILE, data_directory};
pub use rows::Limits;
pub use store::SqliteStore;
pub use upkeep::backup;
