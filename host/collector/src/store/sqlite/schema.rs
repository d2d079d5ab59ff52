//! The tables, and how older ones become today's.
//!
//! `user_version` counts the steps that were taken, `application_id` says whose database it is. Each step runs in one transaction; a
//! database whose version is greater than the number of steps known here is refused.

use super::sequence::Sequence;
use super::trouble::{Result, Trouble};
use crate::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// `PfCo`, as a number in the database's header.
const APPLICATION_ID: i32 = 0x5066_436F;

/// The steps, oldest first. A step that was ever released never changes.
const STEPS: [&str; 3] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

/// The version of the schema that this code works with.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Refuses what is not ours, newer, or visibly damaged, before anything is written.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<()> {
    let found = version(connection)?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // Empty is what a process leaves that died before its first commit.
    if id != APPLICATION_ID && (found != 0 || tables != 0) {
        return Err(Trouble::Told(StoreError::NotOurs {
            path: path.to_owned(),
            why: "it is a database of another program".into(),
        }));
    }
    check_version(path, found)?;
    if found == VERSION {
        Sequence::read(connection)?;
        // One page of each, as far as damage can be seen in an instant. What lies deeper is found when it is read.
        for table in ["pipelines", "runs", "notifications", "jobs"] {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)");
            connection.query_row(&sql, [], |_| Ok(()))?;
        }
    }
    Ok(())
}

fn check_version(path: &Path, found: u32) -> Result<()> {
    if found > VERSION {
        return Err(Trouble::Told(StoreError::TooNew {
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

/// Takes the steps that are missing.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
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
