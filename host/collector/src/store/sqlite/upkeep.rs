//! Retention, and runs that never finished.

use super::history::{KEYS_PER_RUN, key};
use super::record::uncount;
use super::row::{COLUMNS, status, summary};
use super::trouble::Result;
use crate::store::{MAX_PAGE, Retention, RunSummary, StaleQuery};
use rusqlite::{Connection, Transaction, params};

/// How many runs are looked at in one transaction, and removed if they are old: a few milliseconds, in which appends wait.
const AT_ONCE: i64 = 100;

/// One step of a retention: what it looked at, and removed.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) removed: u64,
    /// Where the next step begins; `None` after the last.
    pub(super) next: Option<i64>,
}

/// Removes the old ones among the next runs after the one with the number `after`. Numbers grow with the first arrival, so the walk ends at
/// the first run that is too young to be followed by an older one.
pub(super) fn retain(tx: &Transaction<'_>, retention: Retention, after: i64) -> Result<Step> {
    let before = retention.before.timestamp_millis();
    let found = tx
        .prepare_cached(
            "SELECT id, pipeline, status, first_arrived, last_arrived, waiting_since IS NOT NULL FROM runs WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?
        .query_map([after, AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })?
        .collect::<std::result::Result<Vec<(i64, i64, i64, i64, i64, bool)>, _>>()?;
    let is_last = (found.len() as i64) < AT_ONCE;
    // A whole step of young runs: a few may have come while the clock was ahead.
    let is_over = is_last
        || found
            .iter()
            .all(|(_, _, _, first_arrived, ..)| *first_arrived >= before);
    let mut step = Step {
        removed: 0,
        next: found.last().map(|(id, ..)| *id).filter(|_| !is_over),
    };
    for (id, pipeline, rank, _, last_arrived, waits) in found {
        if last_arrived < before && !(waits && retention.keep_waiting) {
            remove(tx, id)?;
            uncount(tx, pipeline, status(rank)?)?;
            step.removed += 1;
        }
    }
    Ok(step)
}

fn remove(tx: &Transaction<'_>, run: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM notifications WHERE key BETWEEN ?1 AND ?2")?
        .execute([key(run, 0)?, key(run, KEYS_PER_RUN - 1)?])?;
    tx.prepare_cached("DELETE FROM jobs WHERE run = ?1")?.execute([run])?;
    tx.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute([run])?;
    Ok(())
}

pub(super) fn stale(connection: &Connection, query: StaleQuery) -> Result<Vec<RunSummary>> {
    // `place` is never later than the last arrival, and in an index with the status: it keeps the walk off the young ones.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r INDEXED BY runs_by_status CROSS JOIN pipelines AS p ON p.id = r.pipeline \
         WHERE r.status IN (0, 1) AND r.place < ?1 AND r.finished IS NULL AND r.last_arrived < ?1 AND r.id > ?2 ORDER BY r.id LIMIT ?3"
    ))?;
    let after = query.after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let limit = i64::from(query.limit.min(MAX_PAGE));
    let mut rows = statement.query(params![query.before.timestamp_millis(), after, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(row)?);
    }
    Ok(found)
}
