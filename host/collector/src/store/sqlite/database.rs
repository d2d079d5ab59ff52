//! SQLite's settings with the reason for each, the tables, and their migrations.

use super::place::{Result, Trouble};
use super::rows::Sequence;
use crate::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest wait for a lock that another program holds. In WAL mode only another writer's counts, such as a `sqlite3` at work.
const BUSY: Duration = Duration::from_secs(5);

/// The pages of 4 KiB in the log before its content is carried over into the database. Fewer cost a sync of the database more often, in the
/// middle of a commit that callers wait for; more make the log longer to read through after a crash. 4,000 are 16 MiB, some 20 ms.
const CHECKPOINT_PAGES: u32 = 4_000;

/// The writer's cache, in KiB: the inner pages of every index of some million runs, and the pages that are being filled.
const WRITER_CACHE_KIB: i64 = 24 * 1024;

/// The cache of a reader that needs few pages at a time, in KiB.
pub const SMALL_CACHE_KIB: i64 = 2 * 1024;

/// The statements that stay prepared on a connection: all of this store.
const STATEMENTS: usize = 128;

/// Opens the one connection that writes. Nothing is written yet, and nothing is carried over from the log until [`may_write`].
pub fn writer(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A database that is not ours must stay as it is: closing would carry its log over.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Prepares a checked database for writing.
pub fn may_write(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    // A new file shrinks after its runs are removed. One with tables does not take this, and would be written to.
    if version(connection)? == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // The mode is stored in the file: readers go on while the writer writes.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Trouble::Store(StoreError::Io {
            action: "keep a log beside",
            path: connection.path().map(PathBuf::from).unwrap_or_default(),
            why: "its file system has no shared memory: name a data directory on a local disk".into(),
        }));
    }
    // A commit returns when it is on disk. With NORMAL, a power cut would lose what was acknowledged since the last checkpoint.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // After a burst, or after a reader that held the log back, the file shrinks again.
    connection.pragma_update(None, "journal_size_limit", i64::from(CHECKPOINT_PAGES) * 4096 * 2)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(())
}

/// Opens a connection that reads and cannot write.
pub fn reader(path: &Path, cache_kib: i64) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(connection)
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection> {
    // Each connection stays in one thread at a time; and the path must not end in a link that someone planted.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The file may be foreign: it cannot make SQLite call functions of ours or write into its own tables.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Plans do not depend on the values of parameters: without this SQLite plans many a statement again at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Reports damage within a page when it is read; costs under one percent.
    connection.pragma_update(None, "cell_size_check", "ON")?;
    Ok(connection)
}

/// `PfCo`, as a number in the database's header.
const APPLICATION_ID: i32 = 0x5066_436F;

/// The steps, oldest first. A step that was ever released never changes.
const STEPS: [&str; 6] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

/// The version of the schema that this code works with.
const VERSION: u32 = STEPS.len() as u32;

/// Refuses a foreign, newer or visibly damaged database, before anything is written.
pub fn check(connection: &Connection, path: &Path) -> Result<()> {
    let found = version(connection)?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // A process that died before its first commit leaves an empty file.
    if id != APPLICATION_ID && (found != 0 || tables != 0) {
        return Err(Trouble::Store(StoreError::NotOurs {
            path: path.to_owned(),
            why: "it is a database of another program".into(),
        }));
    }
    check_version(path, found)?;
    if found == VERSION {
        Sequence::read(connection)?;
        // Reads one page of each table, as far as damage can be seen in an instant. Deeper damage is found when it is read.
        for table in ["pipelines", "runs", "notifications", "jobs"] {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)");
            connection.query_row(&sql, [], |_| Ok(()))?;
        }
    }
    Ok(())
}

fn check_version(path: &Path, found: u32) -> Result<()> {
    if found > VERSION {
        return Err(Trouble::Store(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known: VERSION,
        }));
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Runs the missing steps.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = version(&tx)?;
        check_version(path, found)?;
        let Some(step) = STEPS.get(found as usize) else {
            return Ok(tx.commit()?);
        };
        tx.execute_batch(step)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.commit()?;
    }
}
