//! The folded run beside its notifications: the columns that lists are made of.

use super::history::moment;
use super::row::{column, rank};
use super::trouble::{Result, Trouble};
use super::writer::Tools;
use crate::store::RunSummary;
use chrono::DateTime;
use pipefold_sandbox::{Run, Status};
use rusqlite::{Transaction, params};

/// What is taken from a record for the columns.
pub(super) struct Columns {
    started: i64,
    finished: Option<i64>,
    place: i64,
}

impl Columns {
    /// `first_arrived` stands in for a time that the fold left unreadable, which DX's rules never do.
    pub(super) fn of(record: &Run, first_arrived: i64) -> Self {
        let ms = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| time.timestamp_millis())
        };
        let started = ms(&record.started_at).unwrap_or(first_arrived);
        Self {
            started,
            finished: record.finished_at.as_deref().and_then(ms),
            // A start in the future would keep the run on top of every list until then.
            place: started.min(first_arrived),
        }
    }
}

/// Writes the row of a new run, of which nothing but the identity, the times of arrival and the record are in `run`.
pub(super) fn insert(
    tx: &Transaction<'_>,
    pipeline: i64,
    run: &mut RunSummary,
    text_bytes: u64,
    parts: &str,
    tools: &mut Tools,
) -> Result<()> {
    let first_arrived = run.first_arrived.timestamp_millis();
    let columns = Columns::of(&run.record, first_arrived);
    let completion = is_complete(run.record.status).then(|| tools.sequence.one());
    tx.prepare_cached(
        "INSERT INTO runs (id, reference_id, pipeline, counter, place, status, started, finished, completion, branch, email, github, gitlab, \
         first_arrived, last_arrived, notifications, text_bytes, folded, waiting_since, record, parts) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?17, ?15, ?17, ?18, ?16, ?19)",
    )?
    .execute(params![
        run.id.cast_signed(),
        run.record.reference_id,
        pipeline,
        run.counter.cast_signed(),
        columns.place,
        rank(run.record.status),
        columns.started,
        columns.finished,
        completion,
        run.record.head_branch,
        run.record.email,
        run.record.github_username,
        run.record.gitlab_username,
        first_arrived,
        text_bytes.cast_signed(),
        json(&run.record)?,
        run.notifications,
        run.waiting_since.map(|since| since.timestamp_millis()),
        parts,
    ])?;
    count(tx, pipeline, None, run.record.status, first_arrived)?;
    fill(run, &columns, completion)
}

/// Puts a new record in the place of the one in `run`.
pub(super) fn replace(
    tx: &Transaction<'_>,
    pipeline: i64,
    run: &mut RunSummary,
    record: Run,
    tools: &mut Tools,
) -> Result<()> {
    // Most of a run's notifications change nothing that lists show: eleven indexes are left alone then.
    if record == run.record {
        return Ok(());
    }
    let columns = Columns::of(&record, run.first_arrived.timestamp_millis());
    // What a feed says of a completed run has changed: readers look for changes at the top.
    let moves = record.status != run.record.status || record.finished_at != run.record.finished_at;
    let completion = match (is_complete(record.status), run.completion) {
        (false, _) => None,
        (true, Some(before)) if !moves => Some(before.cast_signed()),
        (true, _) => Some(tools.sequence.one()),
    };
    // The reference of the row is what the run was kept under; the record's is the same, or the fold is not DX's.
    tx.prepare_cached(
        "UPDATE runs SET place = ?2, status = ?3, started = ?4, finished = ?5, completion = ?6, branch = ?7, email = ?8, github = ?9, \
         gitlab = ?10, record = ?11 WHERE id = ?1",
    )?
    .execute(params![
        run.id.cast_signed(),
        columns.place,
        rank(record.status),
        columns.started,
        columns.finished,
        completion,
        record.head_branch,
        record.email,
        record.github_username,
        record.gitlab_username,
        json(&record)?,
    ])?;
    if record.status != run.record.status {
        count(
            tx,
            pipeline,
            Some(run.record.status),
            record.status,
            run.last_arrived.timestamp_millis(),
        )?;
    }
    run.record = record;
    fill(run, &columns, completion)
}

/// Counts a run of a pipeline under another status.
fn count(tx: &Transaction<'_>, pipeline: i64, from: Option<Status>, to: Status, now: i64) -> Result<()> {
    if let Some(from) = from {
        uncount(tx, pipeline, from)?;
    }
    let to = column(to);
    tx.prepare_cached(&format!(
        "UPDATE pipelines SET {to} = {to} + 1, last_changed = max(last_changed, ?2) WHERE id = ?1"
    ))?
    .execute([pipeline, now])?;
    Ok(())
}

/// Takes a run out of its pipeline's counts.
pub(super) fn uncount(tx: &Transaction<'_>, pipeline: i64, status: Status) -> Result<()> {
    let column = column(status);
    tx.prepare_cached(&format!("UPDATE pipelines SET {column} = {column} - 1 WHERE id = ?1"))?
        .execute([pipeline])?;
    Ok(())
}

fn fill(run: &mut RunSummary, columns: &Columns, completion: Option<i64>) -> Result<()> {
    run.started = moment(columns.started)?;
    run.finished = columns.finished.map(moment).transpose()?;
    run.completion = completion.map(i64::cast_unsigned);
    Ok(())
}

fn is_complete(status: Status) -> bool {
    matches!(status, Status::Success | Status::Cancelled | Status::Failure)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Trouble::Content(format!("what is to be stored does not write: {e}")))
}
