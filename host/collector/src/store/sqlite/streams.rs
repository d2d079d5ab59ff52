//! Several ordered ways through `runs`, read as one.
//!
//! A list without filters is one way, along the index by place. The runs of a person are three, one for each field that may name them;
//! the runs of a token's pipelines are one for each. Every way is bounded in how many runs it looks at. Where a way was left before its
//! end, what the others found beyond that place is not shown yet, and the next page begins there: so nothing is left out.

use super::row::{COLUMNS, ID, PLACE, summary};
use super::trouble::Result;
use crate::store::{Cursor, Page, RunSummary};
use rusqlite::types::ToSql;
use rusqlite::{Connection, Row};

/// How many runs are looked at for one page: some 5 ms. A search for what is rare goes on page by page.
const LOOKED_AT: usize = 2_500;

/// One way: the condition that an index serves, and its values.
pub(super) struct Way {
    /// Such as `r.pipeline = ?1`; its parameters come first.
    pub(super) condition: &'static str,
    pub(super) value: Option<Box<dyn ToSql>>,
}

/// What a way found, newest first.
struct Found {
    runs: Vec<(Cursor, RunSummary)>,
    /// Where it was left before its end.
    left_at: Option<Cursor>,
}

/// The newest `limit` runs after `after` on any of the ways, of those that `cheap` and then `fits` accept.
pub(super) fn page(
    connection: &Connection,
    ways: &[Way],
    after: Option<Cursor>,
    limit: usize,
    cheap: &dyn Fn(&Row<'_>) -> Result<bool>,
    fits: &dyn Fn(&RunSummary) -> bool,
) -> Result<Page> {
    let budget = (LOOKED_AT / ways.len().max(1)).max(limit);
    let mut runs = Vec::new();
    let mut left_at: Option<Cursor> = None;
    for way in ways {
        let found = walk(connection, way, after, limit, budget, cheap, fits)?;
        runs.extend(found.runs);
        left_at = left_at.max(found.left_at);
    }
    runs.sort_by(|(a, _), (b, _)| b.cmp(a));
    // A run may be on several ways.
    runs.dedup_by_key(|(cursor, _)| *cursor);
    if let Some(left_at) = left_at {
        runs.retain(|(cursor, _)| *cursor >= left_at);
    }
    let next = if runs.len() > limit {
        runs.truncate(limit);
        runs.last().map(|(cursor, _)| *cursor)
    } else {
        left_at
    };
    Ok(Page {
        runs: runs.into_iter().map(|(_, run)| run).collect(),
        next,
    })
}

/// The question for one way; rows are taken from it until there are enough.
pub(super) fn sql(condition: &str) -> String {
    // A cross join keeps its order: SQLite might otherwise begin with the pipeline, and sort.
    format!(
        "SELECT {COLUMNS} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline \
         WHERE {condition} AND r.place <= ?2 AND (r.place < ?2 OR r.id < ?3) ORDER BY r.place DESC, r.id DESC"
    )
}

fn walk(
    connection: &Connection,
    way: &Way,
    after: Option<Cursor>,
    limit: usize,
    budget: usize,
    cheap: &dyn Fn(&Row<'_>) -> Result<bool>,
    fits: &dyn Fn(&RunSummary) -> bool,
) -> Result<Found> {
    let mut statement = connection.prepare_cached(&sql(way.condition))?;
    let after = after.unwrap_or(Cursor {
        place: i64::MAX,
        id: i64::MAX.unsigned_abs(),
    });
    let value: &dyn ToSql = way.value.as_deref().unwrap_or(&0);
    let mut rows = statement.query([value, &after.place, &after.id.cast_signed()])?;
    let mut found = Found {
        runs: Vec::new(),
        left_at: None,
    };
    let (mut looked_at, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if looked_at == budget || found.runs.len() == limit {
            // There is this one more, at least.
            found.left_at = last;
            break;
        }
        looked_at += 1;
        let here = Cursor {
            place: row.get(PLACE)?,
            id: row.get::<_, i64>(ID)?.cast_unsigned(),
        };
        last = Some(here);
        if cheap(row)? {
            let run = summary(row)?;
            if fits(&run) {
                found.runs.push((here, run));
            }
        }
    }
    Ok(found)
}
