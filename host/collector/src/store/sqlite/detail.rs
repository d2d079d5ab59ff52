//! One run with everything that is known of it.

use super::history::received;
use super::row::{COLUMNS, COUNT, summary};
use super::sequence::run_of;
use super::trouble::{Result, Trouble};
use crate::store::{DxAnswer, Forwarding, Job, RunDetail, RunKey, RunSummary};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension};

pub(super) fn run(connection: &Connection, key: &RunKey) -> Result<Option<RunDetail>> {
    let Some((summary, forwarding)) = find(connection, key)? else {
        return Ok(None);
    };
    let id = summary.id.cast_signed();
    Ok(Some(RunDetail {
        summary,
        received: received(connection, id)?,
        jobs: jobs(connection, id)?,
        forwarding,
    }))
}

fn find(connection: &Connection, key: &RunKey) -> Result<Option<(RunSummary, Forwarding)>> {
    match key {
        RunKey::Reference(reference) => one(connection, "r.reference_id = ?1", &[reference]),
        RunKey::Id(id) => by_id(connection, signed(*id)),
        RunKey::Stage(id) => by_id(connection, signed(*id).map(run_of)),
        RunKey::Job(id) => {
            let run = connection
                .prepare_cached("SELECT run FROM jobs WHERE id = ?1")?
                .query_row([signed(*id)], |row| row.get(0))
                .optional()?;
            by_id(connection, run)
        }
        RunKey::Counter(pipeline, counter) => one(
            connection,
            "p.name = ?1 AND r.pipeline = p.id AND r.counter = ?2",
            &[pipeline, &signed(*counter)],
        ),
    }
}

/// Ids come from URLs: what no integer of SQLite can be names nothing.
fn signed(id: u64) -> Option<i64> {
    i64::try_from(id).ok()
}

fn by_id(connection: &Connection, id: Option<i64>) -> Result<Option<(RunSummary, Forwarding)>> {
    one(connection, "r.id = ?1", &[&id])
}

fn one(connection: &Connection, condition: &str, values: &[&dyn ToSql]) -> Result<Option<(RunSummary, Forwarding)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, r.covered, r.dx_answer, r.sent FROM runs AS r JOIN pipelines AS p ON p.id = r.pipeline WHERE {condition}"
    ))?;
    let mut rows = statement.query(values)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let summary = summary(row)?;
    let answer: Option<String> = row.get(COUNT + 1)?;
    let forwarding = Forwarding {
        waiting_since: summary.waiting_since,
        covered: row.get(COUNT)?,
        answer: answer.as_deref().map(dx_answer).transpose()?,
        sent: row.get(COUNT + 2)?,
    };
    Ok(Some((summary, forwarding)))
}

fn dx_answer(text: &str) -> Result<DxAnswer> {
    serde_json::from_str(text).map_err(|e| Trouble::Content(format!("an answer of DX does not read: {e}")))
}

fn jobs(connection: &Connection, run: i64) -> Result<Vec<Job>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM jobs WHERE run = ?1 ORDER BY id")?;
    let mut rows = statement.query([run])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(Job {
            id: row.get::<_, i64>(0)?.cast_unsigned(),
            step: Some(row.get::<_, String>(1)?).filter(|name| !name.is_empty()),
        });
    }
    Ok(jobs)
}
