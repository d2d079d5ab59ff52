//! Forwarding, retention, unfinished runs, and backups.

use super::database;
use super::place::{DATABASE_FILE, Result, Trouble, io_failed};
use super::rows::{COLUMNS, KEYS_PER_RUN, Tools, json, key, moment, status, summary, uncount};
use crate::store::{
    Backlog, DxAnswer, Forwarded, JobForwarded, JobOutcome, MAX_PAGE, Retention, RunSummary, StaleQuery, StoreError,
    Waiting, WaitingQuery,
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most bytes of DX's text that are kept.
const ANSWER_BYTES: usize = 4096;

pub fn waiting(connection: &Connection, query: &WaitingQuery) -> Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, reference_id, waiting_since, notifications, covered FROM runs \
         WHERE waiting_since >= ?1 AND (waiting_since > ?1 OR id > ?2) ORDER BY waiting_since, id LIMIT ?3",
    )?;
    let after = query.after.as_ref();
    let (since, id) = after.map_or((i64::MIN, 0), |after| {
        (after.since.timestamp_millis(), after.id.cast_signed())
    });
    let mut rows = statement.query([since, id, i64::from(query.limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Waiting {
            id: row.get::<_, i64>(0)?.cast_unsigned(),
            reference_id: row.get(1)?,
            since: moment(row.get(2)?)?,
            notifications: row.get(3)?,
            covered: row.get(4)?,
        });
    }
    Ok(found)
}

pub fn backlog(connection: &Connection) -> Result<Backlog> {
    let (runs, since) = connection
        .prepare_cached("SELECT count(*), min(waiting_since) FROM runs WHERE waiting_since IS NOT NULL")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    Ok(Backlog {
        runs: runs.cast_unsigned(),
        since: since.map(moment).transpose()?,
    })
}

pub fn forwarded(tx: &Transaction<'_>, tools: &mut Tools, forwarded: &Forwarded) -> Result<()> {
    let id = forwarded.id.cast_signed();
    let known = tx
        .prepare_cached("SELECT reference_id, notifications, covered FROM runs WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get(0)?, row.get::<_, u32>(1)?, row.get::<_, u32>(2)?))
        })
        .optional()?;
    let Some((reference_id, notifications, before)) = known else {
        return Ok(());
    };
    tools.recent.forget(reference_id);
    // Answers may overtake each other.
    let covered = forwarded.covered.min(notifications).max(before);
    tx.prepare_cached(
        "UPDATE runs SET covered = ?2, waiting_since = ?3, dx_answer = ifnull(?4, dx_answer), sent = ifnull(?5, sent) WHERE id = ?1",
    )?
    .execute(params![
        id,
        covered,
        waits_since(tx, id, covered)?,
        forwarded.answer.as_ref().map(text).transpose()?,
        forwarded.sent
    ])?;
    Ok(())
}

/// Returns the arrival of the first notification that is neither covered nor held, or of the first job that waits.
fn waits_since(tx: &Transaction<'_>, run: i64, covered: u32) -> Result<Option<i64>> {
    // Numbers start with 0.
    let of_run: Option<i64> = tx
        .prepare_cached(
            "SELECT arrived FROM notifications WHERE key BETWEEN ?1 AND ?2 AND NOT held ORDER BY key LIMIT 1",
        )?
        .query_row([key(run, covered)?, key(run, KEYS_PER_RUN - 1)?], |row| row.get(0))
        .optional()?;
    let of_jobs: Option<i64> = tx
        .prepare_cached("SELECT min(waiting_since) FROM jobs WHERE run = ?1 AND waiting_since IS NOT NULL")?
        .query_row([run], |row| row.get(0))?;
    Ok(of_run.into_iter().chain(of_jobs).min())
}

pub fn jobs_forwarded(tx: &Transaction<'_>, tools: &mut Tools, run: i64, jobs: &[JobForwarded]) -> Result<()> {
    for JobForwarded { id, job, outcome } in jobs {
        let (sent, tried) = match outcome {
            JobOutcome::Answered(digest) => (Some(digest), 0),
            JobOutcome::Left => (None, 0),
            JobOutcome::Refused(at) => (None, at.timestamp_millis()),
        };
        tx.prepare_cached(
            "UPDATE jobs SET sent = ifnull(?3, sent), tried = ?4, waiting_since = iif(?5 AND body = ?2, NULL, waiting_since) WHERE id = ?1",
        )?
        .execute(params![id.cast_signed(), json(job)?, sent, tried, tried == 0])?;
    }
    let known = tx
        .prepare_cached("SELECT reference_id, covered FROM runs WHERE id = ?1")?
        .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((reference_id, covered)) = known {
        tools.recent.forget(reference_id);
        tx.prepare_cached("UPDATE runs SET waiting_since = ?2 WHERE id = ?1")?
            .execute(params![run, waits_since(tx, run, covered)?])?;
    }
    Ok(())
}

fn text(answer: &DxAnswer) -> Result<String> {
    let mut end = answer.text.len().min(ANSWER_BYTES);
    while !answer.text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = DxAnswer {
        text: answer.text[..end].to_owned(),
        ..answer.clone()
    };
    serde_json::to_string(&kept).map_err(|e| Trouble::Content(format!("an answer of DX does not write: {e}")))
}

/// The runs that are read in one transaction, and removed if they are old: a few milliseconds, in which appends wait.
pub const AT_ONCE: i64 = 100;

/// The result of one step of a retention.
#[derive(Debug)]
pub struct Step {
    pub removed: u64,
    /// The start of the next step; `None` after the last.
    pub next: Option<i64>,
}

/// Removes the old ones among the next runs after the id `after`. Ids grow with the first arrival, so the walk ends at the first run that
/// is too young to be followed by an older one.
pub fn retain(tx: &Transaction<'_>, tools: &mut Tools, retention: Retention, after: i64) -> Result<Step> {
    let before = retention.before.timestamp_millis();
    let found = tx
        .prepare_cached(
            "SELECT id, pipeline, status, first_arrived, last_arrived, waiting_since IS NOT NULL FROM runs WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?
        .query_map([after, AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })?
        .collect::<Result<Vec<(i64, i64, i64, i64, i64, bool)>, _>>()?;
    let is_last = (found.len() as i64) < AT_ONCE;
    // The walk ends after a whole step of young runs: a few may have come while the clock was ahead.
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
            remove(tx, tools, id, pipeline, rank)?;
            step.removed += 1;
        }
    }
    Ok(step)
}

/// Removes runs, and returns their number.
pub fn remove_all(tx: &Transaction<'_>, tools: &mut Tools, runs: &[u64]) -> Result<u64> {
    let mut removed = 0;
    for id in runs {
        let known: Option<(i64, i64)> = tx
            .prepare_cached("SELECT pipeline, status FROM runs WHERE id = ?1")?
            .query_row([id.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((pipeline, rank)) = known {
            remove(tx, tools, id.cast_signed(), pipeline, rank)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn remove(tx: &Transaction<'_>, tools: &mut Tools, run: i64, pipeline: i64, rank: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM notifications WHERE key BETWEEN ?1 AND ?2")?
        .execute([key(run, 0)?, key(run, KEYS_PER_RUN - 1)?])?;
    tx.prepare_cached("DELETE FROM jobs WHERE run = ?1")?.execute([run])?;
    let reference_id = tx
        .prepare_cached("DELETE FROM runs WHERE id = ?1 RETURNING reference_id")?
        .query_row([run], |row| row.get(0))?;
    tools.recent.forget(reference_id);
    tools.changed.push(pipeline);
    uncount(tx, pipeline, status(rank)?)
}

/// The pages that are given back in one transaction, 1 MiB: appends wait meanwhile.
const GIVEN_BACK: i64 = 256;

/// The share of free pages that a file keeps for new runs: one in this many.
const KEPT_FREE: i64 = 4;

/// Gives free pages of the file back to the system. Returns true if there are more to be given back.
pub fn shrink(tx: &Transaction<'_>) -> Result<bool> {
    let number = |name: &str| Ok::<_, Trouble>(tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?);
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    // A file of an older version has no map of its pages.
    if number("auto_vacuum")? == 0 || free - pages / KEPT_FREE < GIVEN_BACK {
        return Ok(false);
    }
    let mut statement = tx.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(number("freelist_count")? < free)
}

pub fn stale(connection: &Connection, query: StaleQuery) -> Result<Vec<RunSummary>> {
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

/// Writes the content of the data directory `dir` at this moment to the new file `to`, whether a server uses the directory or not. To
/// restore it, put it in the place of the database of a stopped server, without files beside it.
///
/// # Errors
/// As [`Store::backup`](crate::store::Store::backup).
pub fn backup(dir: &Path, to: &Path) -> Result<(), StoreError> {
    let database = dir
        .canonicalize()
        .map_err(|e| io_failed("find", dir, &e))?
        .join(DATABASE_FILE);
    let write = || {
        let connection = database::reader(&database, database::SMALL_CACHE_KIB)?;
        database::check(&connection, &database)?;
        write(&connection, to)
    };
    write().map_err(|trouble| trouble.into_store_error(&database))
}

/// Writes the database of `connection`, which is in no transaction, to the new file `to`.
pub fn write(connection: &Connection, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(StoreError::BackupExists(to.to_owned()).into());
    }
    let aside = aside(to);
    let written = write_aside(connection, &aside).and_then(|()| {
        // Unlike a rename, a link never replaces a file that someone put there meanwhile.
        std::fs::hard_link(&aside, to).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::BackupExists(to.to_owned()).into(),
            _ => io_failed("make", to, &e).into(),
        })
    });
    let removed = std::fs::remove_file(&aside);
    written?;
    removed.map_err(|e| io_failed("remove", &aside, &e))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    Ok(File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| io_failed("sync", parent, &e))?)
}

fn write_aside(connection: &Connection, aside: &Path) -> Result<()> {
    // We make the file, as SQLite would make it readable by others; it takes an empty file as a new one.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)
        .map_err(|e| io_failed("make", aside, &e))?;
    let name = aside.to_str().ok_or_else(|| StoreError::Io {
        action: "make",
        path: aside.to_owned(),
        why: "its name is not UTF-8, which SQLite needs: name another file".into(),
    })?;
    // One read transaction: writers go on, and their writes are not in it. The online backup would start again with each commit.
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(file.sync_all().map_err(|e| io_failed("sync", aside, &e))?)
}

fn aside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    name.into()
}
