//! Pipelines by name.

use super::history::moment;
use super::trouble::Result;
use crate::store::{PipelineQuery, PipelineSummary, StatusCounts};
use rusqlite::{Connection, Row};

/// What [`summary`] reads.
const COLUMNS: &str = "name, last_counter, last_changed, unknown, running, success, cancelled, failure";

pub(super) fn pipelines(connection: &Connection, query: &PipelineQuery) -> Result<Vec<PipelineSummary>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM pipelines WHERE name > ?1 ORDER BY name"
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
        found.push(summary(row)?);
    }
    Ok(found)
}

pub(super) fn pipeline(connection: &Connection, name: &str) -> Result<Option<PipelineSummary>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM pipelines WHERE name = ?1"))?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(summary).transpose()
}

fn summary(row: &Row<'_>) -> Result<PipelineSummary> {
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
