//! Runs newest first.

use super::row::{COLUMNS, PIPELINE, RECORD, STATUS, rank, summary};
use super::streams::{Way, page};
use super::trouble::Result;
use crate::store::{MAX_PAGE, Page, RunFilter, RunQuery, RunSummary};
use rusqlite::{Connection, OptionalExtension};

/// Up to so many pipelines are walked along one by one when that is all that may be seen. With more, all runs are walked along, of which
/// enough will be theirs.
const PIPELINES_ONE_BY_ONE: usize = 32;

/// Runs that DX refused for good, as the index has them.
pub(super) const REFUSED: &str = "r.waiting_since IS NULL AND json_extract(r.dx_answer, '$.accepted') = 0 AND ?1 = 0";

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

/// The run whose whole reference is searched for, however long ago it was.
fn exact(connection: &Connection, filter: &RunFilter) -> Result<Option<RunSummary>> {
    let Some(text) = &filter.text else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline WHERE r.reference_id = ?1"
    ))?;
    let mut rows = statement.query([text])?;
    rows.next()?.map(summary).transpose()
}

/// The ways that pass the fewest runs that are not asked for. `None`: there are none at all.
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

/// The first of the pipelines that may be seen: one more than would be walked along one by one.
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

/// The number of a pipeline.
pub(super) fn pipeline_id(connection: &Connection, name: &str) -> Result<Option<i64>> {
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
            // The way has them alone.
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

    /// Whether [`Fits::text`] is worth asking: reading a record takes ten times as long as looking through its JSON.
    fn may_have_text(&self, pipeline: &str, record: &str) -> bool {
        let Some(text) = &self.text else { return true };
        // JSON writes these, and control characters, in another way; a number is written without the `#`.
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
