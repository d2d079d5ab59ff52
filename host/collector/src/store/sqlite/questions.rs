//! One run, pipelines, statistics and feeds.

use super::filter::pipeline_id;
use super::place::{Result, Trouble};
use super::rows::{COLUMNS, COUNT, KEYS_PER_RUN, OF_JOBS, kept_job, key, moment, received, run_of, summary};
use crate::store::{
    DxAnswer, FeedOrder, FeedQuery, Forwarding, JOBS_AT_ONCE, KeptJob, MAX_PAGE, Outgoing, PipelineQuery,
    PipelineSummary, RunDetail, RunKey, RunSummary, StatusCounts,
};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row};

pub(super) fn run(connection: &Connection, key: &RunKey) -> Result<Option<RunDetail>> {
    let Some((summary, forwarding)) = find(connection, key)? else {
        return Ok(None);
    };
    let id = summary.id.cast_signed();
    Ok(Some(RunDetail {
        beside: (
            beside(connection, id, "<", "DESC")?,
            beside(connection, id, ">", "ASC")?,
        ),
        summary,
        received: received(connection, id, 0)?,
        own_job: own_job(connection, id)?,
        jobs: jobs(connection, "run = ?1 AND body IS NOT NULL ORDER BY id", id)?,
        forwarding,
    }))
}

/// Returns the reference of the nearest run of the same pipeline on one side.
fn beside(connection: &Connection, id: i64, side: &str, order: &str) -> Result<Option<String>> {
    let sql = format!(
        "SELECT o.reference_id FROM runs AS r CROSS JOIN runs AS o ON o.pipeline = r.pipeline AND o.counter {side} r.counter \
         WHERE r.id = ?1 ORDER BY o.counter {order} LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

pub(super) fn summary_of(connection: &Connection, key: &RunKey) -> Result<Option<RunSummary>> {
    Ok(find(connection, key)?.map(|(summary, _)| summary))
}

pub fn outgoing(connection: &Connection, id: u64) -> Result<Option<Outgoing>> {
    let Some((summary, forwarding)) = find(connection, &RunKey::Id(id))? else {
        return Ok(None);
    };
    let id = summary.id.cast_signed();
    // Without policies the first row ends the search.
    let by_policies = !connection
        .prepare_cached("SELECT 1 FROM notifications WHERE key BETWEEN ?1 AND ?2 AND NOT by_policies LIMIT 1")?
        .exists([key(id, 0)?, key(id, KEYS_PER_RUN - 1)?])?;
    let is_folded = connection
        .prepare_cached("SELECT 1 FROM runs WHERE id = ?1 AND folded = notifications")?
        .exists([id])?;
    let waiting = format!("run = ?1 AND waiting_since IS NOT NULL ORDER BY tried, id LIMIT {JOBS_AT_ONCE}");
    Ok(Some(Outgoing {
        unsent: received(connection, id, forwarding.covered)?,
        summary,
        forwarding,
        is_folded,
        by_policies,
        jobs: jobs(connection, &waiting, id)?,
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

/// Ids come from URLs: a number beyond SQLite's integers names nothing.
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

fn own_job(connection: &Connection, run: i64) -> Result<u64> {
    let id: i64 = connection
        .prepare_cached("SELECT id FROM jobs WHERE run = ?1 AND name = ''")?
        .query_row([run], |row| row.get(0))?;
    Ok(id.cast_unsigned())
}

fn jobs(connection: &Connection, condition: &str, run: i64) -> Result<Vec<KeptJob>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {OF_JOBS} FROM jobs WHERE {condition}"))?;
    let mut rows = statement.query([run])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(kept_job(row)?);
    }
    Ok(jobs)
}

/// The columns that [`pipeline_of`] reads.
const OF_PIPELINES: &str = "name, last_counter, last_changed, unknown, running, success, cancelled, failure";

pub fn pipelines(connection: &Connection, query: &PipelineQuery) -> Result<Vec<PipelineSummary>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {OF_PIPELINES} FROM pipelines WHERE name > ?1 AND unknown + running + success + cancelled + failure > 0 ORDER BY name"
    ))?;
    // No name is empty.
    let mut rows = statement.query([query.after.as_deref().unwrap_or("")])?;
    let mut found = Vec::new();
    while found.len() < usize::from(query.limit) {
        let Some(row) = rows.next()? else { break };
        if !query
            .access
            .may_see(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
        {
            continue;
        }
        found.push(pipeline_of(row)?);
    }
    Ok(found)
}

/// Calls `take` with every pipeline.
pub fn each_pipeline(connection: &Connection, take: &mut dyn FnMut(PipelineSummary)) -> Result<()> {
    let mut statement = connection.prepare_cached(&format!("SELECT {OF_PIPELINES} FROM pipelines"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(pipeline_of(row)?);
    }
    Ok(())
}

pub fn pipeline(connection: &Connection, name: &str) -> Result<Option<PipelineSummary>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {OF_PIPELINES} FROM pipelines WHERE name = ?1"))?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(pipeline_of).transpose()
}

fn pipeline_of(row: &Row<'_>) -> Result<PipelineSummary> {
    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.cast_unsigned());
    Ok(PipelineSummary {
        name: row.get(0)?,
        last_counter: number(1)?,
        last_changed: moment(row.get(2)?)?,
        counts: StatusCounts {
            unknown: number(3)?,
            running: number(4)?,
            success: number(5)?,
            cancelled: number(6)?,
            failure: number(7)?,
        },
    })
}

pub fn completed(connection: &Connection, query: &FeedQuery) -> Result<Vec<RunSummary>> {
    let Some(pipeline) = pipeline_id(connection, &query.pipeline)? else {
        return Ok(Vec::new());
    };
    let column = match query.order {
        FeedOrder::Completion => "completion",
        FeedOrder::Counter => "counter",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline \
         WHERE r.pipeline = ?1 AND r.completion IS NOT NULL AND r.{column} < ?2 ORDER BY r.{column} DESC LIMIT ?3"
    ))?;
    let before = query
        .before
        .map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let limit = i64::from(query.limit.min(MAX_PAGE));
    let mut rows = statement.query([pipeline, before, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(row)?);
    }
    Ok(found)
}
