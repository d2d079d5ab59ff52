//! Completed runs in the orders of the GoCD feeds.

use super::list::pipeline_id;
use super::row::{COLUMNS, summary};
use super::trouble::Result;
use crate::store::{FeedOrder, FeedQuery, MAX_PAGE, RunSummary};
use rusqlite::Connection;

pub(super) fn completed(connection: &Connection, query: &FeedQuery) -> Result<Vec<RunSummary>> {
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
