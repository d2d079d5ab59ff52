//! Runs newest first.
//!
//! Several ordered ways through `runs` are read as one. A list without filters is one way, along the index by place. The runs of a person
//! are three, one for each field that may name them; the runs of a token's pipelines are one for each. Every way reads a bounded number of
//! runs. If a way was left before its end, runs of other ways beyond that place are not shown yet, and the next page starts there: so no
//! run is left out.

use super::place::Result;
use super::rows::{COLUMNS, ID, PIPELINE, PLACE, RECORD, STATUS, rank, summary};
use crate::store::{Cursor, MAX_PAGE, Page, RunFilter, RunQuery, RunSummary};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row};

/// The most pipelines that are read one by one if they are all that may be seen. With more, all runs are read, of which enough will be
/// theirs.
const PIPELINES_ONE_BY_ONE: usize = 32;

/// The condition of runs that DX refused for good, as the index has it.
pub const REFUSED: &str = "r.waiting_since IS NULL AND json_extract(r.dx_answer, '$.accepted') = 0 AND ?1 = 0";

pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Page> {
    let RunQuery {
        filter,
        access,
        after,
        limit,
    } = query;
    let fits = Fits::of(filter);
    if !filter.refused
        && let Some(run) = exact(connection, filter)?
        && access.may_see(&run.pipeline)
        && fits.all_but_text(&run)
    {
        let runs = if after.is_none() { vec![run] } else { Vec::new() };
        return Ok(Page { runs, next: None });
    }
    let Some(ways) = ways(connection, query)? else {
        return Ok(Page::default());
    };
    let status = filter.status.map(rank);
    let cheap = |row: &rusqlite::Row<'_>| {
        if status.is_some() && status != Some(row.get(STATUS)?) {
            return Ok(false);
        }
        let text = |column| -> Result<&str> { Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?) };
        let pipeline = text(PIPELINE)?;
        Ok(access.may_see(pipeline) && fits.may_have_text(pipeline, text(RECORD)?))
    };
    let limit = usize::from((*limit).clamp(1, MAX_PAGE));
    page(connection, &ways, *after, limit, &cheap, &|run| {
        fits.all_but_text(run) && fits.text(run)
    })
}

/// Returns the run whose whole reference is searched for, however old it is.
fn exact(connection: &Connection, filter: &RunFilter) -> Result<Option<RunSummary>> {
    let Some(text) = &filter.text else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline WHERE r.reference_id = ?1"
    ))?;
    let mut rows = statement.query([text])?;
    rows.next()?.map(summary).transpose()
}

/// Returns the ways that pass the fewest other runs. `None`: there are none at all.
fn ways(connection: &Connection, query: &RunQuery) -> Result<Option<Vec<Way>>> {
    let RunFilter {
        pipeline,
        status,
        branch,
        person,
        refused,
        text: _,
    } = &query.filter;
    if *refused {
        return Ok(Some(vec![Way {
            condition: REFUSED,
            value: None,
        }]));
    }
    if let Some(name) = pipeline {
        if !query.access.may_see(name) {
            return Ok(None);
        }
        return Ok(pipeline_id(connection, name)?.map(|id| vec![of_pipeline(id)]));
    }
    if let Some(person) = person {
        let conditions = ["r.email = ?1", "r.github = ?1", "r.gitlab = ?1"];
        return Ok(Some(conditions.map(|condition| way(condition, person.clone())).into()));
    }
    if let Some(branch) = branch {
        return Ok(Some(vec![way("r.branch = ?1", branch.clone())]));
    }
    if !query.access.sees_everything() {
        let visible = visible(connection, query)?;
        if visible.len() <= PIPELINES_ONE_BY_ONE {
            return Ok((!visible.is_empty()).then(|| visible.into_iter().map(of_pipeline).collect()));
        }
    }
    Ok(Some(vec![match status {
        Some(status) => way("r.status = ?1", rank(*status)),
        None => Way {
            condition: "?1 = 0",
            value: None,
        },
    }]))
}

fn way(condition: &'static str, value: impl rusqlite::types::ToSql + 'static) -> Way {
    Way {
        condition,
        value: Some(Box::new(value)),
    }
}

fn of_pipeline(id: i64) -> Way {
    way("r.pipeline = ?1", id)
}

/// Returns the first of the pipelines that may be seen: one more than would be read one by one.
fn visible(connection: &Connection, query: &RunQuery) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM pipelines")?;
    let mut rows = statement.query([])?;
    let mut visible = Vec::new();
    while let Some(row) = rows.next()? {
        if query
            .access
            .may_see(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)
        {
            visible.push(row.get(0)?);
            if visible.len() > PIPELINES_ONE_BY_ONE {
                break;
            }
        }
    }
    Ok(visible)
}

/// Returns the id of a pipeline.
pub fn pipeline_id(connection: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached("SELECT id FROM pipelines WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// A filter, prepared.
struct Fits<'a> {
    filter: &'a RunFilter,
    text: Option<String>,
    pr_number: Option<i64>,
}

impl<'a> Fits<'a> {
    fn of(filter: &'a RunFilter) -> Self {
        let text = filter.text.as_deref().filter(|text| !text.is_empty());
        Self {
            filter,
            pr_number: text
                .and_then(|text| text.strip_prefix('#'))
                .and_then(|number| number.parse().ok()),
            text: text.map(str::to_lowercase),
        }
    }

    fn all_but_text(&self, run: &RunSummary) -> bool {
        let RunFilter {
            pipeline,
            status,
            branch,
            person,
            // The way has refused runs only.
            refused: _,
            text: _,
        } = self.filter;
        let record = &run.record;
        let people = [&record.email, &record.github_username, &record.gitlab_username];
        pipeline.as_ref().is_none_or(|name| *name == run.pipeline)
            && status.is_none_or(|status| status == record.status)
            && (branch.is_none() || *branch == record.head_branch)
            && (person.is_none() || people.contains(&person))
    }

    /// Returns true if [`Fits::text`] may match: parsing a record takes ten times as long as searching its JSON.
    fn may_have_text(&self, pipeline: &str, record: &str) -> bool {
        let Some(text) = &self.text else { return true };
        // JSON escapes these, and control characters; a number is written without the `#`.
        let differs = |c: char| matches!(c, '"' | '\\') || c.is_control();
        self.pr_number.is_some()
            || text.contains(differs)
            || record.to_lowercase().contains(text)
            || pipeline.to_lowercase().contains(text)
    }

    fn text(&self, run: &RunSummary) -> bool {
        let Some(text) = &self.text else { return true };
        let record = &run.record;
        if self.pr_number.is_some() && self.pr_number == record.pr_number {
            return true;
        }
        let fields = [
            Some(&record.reference_id),
            Some(&run.pipeline),
            record.repository.as_ref(),
            record.head_branch.as_ref(),
            record.commit_sha.as_ref(),
            record.email.as_ref(),
            record.github_username.as_ref(),
            record.gitlab_username.as_ref(),
        ];
        fields
            .into_iter()
            .flatten()
            .any(|field| field.to_lowercase().contains(text))
    }
}

/// The runs that are read for one page: some 5 ms. A search for a rare text goes on page by page.
const MOST_READ: usize = 2_500;

/// One way: the condition that an index serves, and its values.
struct Way {
    /// Such as `r.pipeline = ?1`; its parameters come first.
    pub condition: &'static str,
    pub value: Option<Box<dyn ToSql>>,
}

/// The runs of one way, newest first.
struct Found {
    runs: Vec<(Cursor, RunSummary)>,
    /// The place where it was left before its end.
    left_at: Option<Cursor>,
}

/// Returns the newest `limit` runs after `after` on any of the ways, of those that `cheap` and then `fits` accept.
fn page(
    connection: &Connection,
    ways: &[Way],
    after: Option<Cursor>,
    limit: usize,
    cheap: &dyn Fn(&Row<'_>) -> Result<bool>,
    fits: &dyn Fn(&RunSummary) -> bool,
) -> Result<Page> {
    let budget = (MOST_READ / ways.len().max(1)).max(limit);
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

/// Returns the query of one way; rows are taken from it until there are enough.
pub fn sql(condition: &str) -> String {
    // A cross join keeps its order: SQLite might otherwise start with the pipeline, and sort.
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
    let (mut count, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if count == budget || found.runs.len() == limit {
            // At least this one run follows.
            found.left_at = last;
            break;
        }
        count += 1;
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
