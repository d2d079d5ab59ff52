//! Runs newest first.
//!
//! Several ordered ways through `runs` are read as one. A list without filters is one way, along the index by place. The runs of a person
//! are three, one for each field that may name them; the runs of a token's pipelines are one for each. Every way is read for a bounded time.
//! If a way was left before its end, runs of other ways beyond that place are not shown yet, and the next page starts there: so no run is
//! left out.

use super::filter::{Fits, NAMES};
use super::place::Result;
use super::questions;
use super::rows::{COLUMNS, ID, PLACE, summary};
use super::way::{Plan, Span, Way};
use crate::access::Access;
use crate::store::{Cursor, MAX_PAGE, Names, Page, PipelineSummary, RunQuery, RunSummary, StatusCounts, Total};
use chrono::{DateTime, Utc};
use rusqlite::types::ToSql;
use rusqlite::{Connection, Row};
use std::time::{Duration, Instant};

/// The runs that are read for a page however long that takes: some 5 ms.
const READ_ALWAYS: usize = 2_500;

/// The time after which a search stops, and shows its next page on request: it takes one of the threads that read.
const LONGEST: Duration = Duration::from_millis(400);

/// The most runs that are read to count those that fit: 1 ms.
const READ_TO_COUNT: usize = 500;

pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Page> {
    let fits = Fits::of(connection, query)?;
    let is_first = query.after.is_none();
    let mut page = Page {
        of: counts(connection, &query.access, None)?.total(),
        parts: fits.parts(),
        ..Page::default()
    };
    if let Some(run) = exact(connection, query, &fits)? {
        if is_first {
            page.total = Some(Total { runs: 1, is_all: true });
            page.runs.push(run);
        }
        return Ok(page);
    }
    let span = span_of(query);
    let plan = fits.plan(connection, page.of, &span)?;
    if is_first {
        page.total = match fits.counted() {
            Some((pipeline, status)) => {
                let counts = counts(connection, &query.access, pipeline)?;
                let runs = status.map_or_else(|| counts.total(), |status| counts.of(status));
                Some(Total { runs, is_all: true })
            }
            None => plan.total,
        };
    }
    let read = Reading {
        limit: usize::from(query.limit.clamp(1, MAX_PAGE)),
        // Whether a text fits is known only once the record is parsed.
        counts: is_first && page.total.is_none() && fits.needs_no_text(),
        span,
        fits,
    };
    let total = read.all(connection, &plan, &mut page)?;
    if is_first && page.total.is_none() {
        page.total = Some(total);
    }
    Ok(page)
}

/// Returns the numbers of runs of a pipeline, or of all that may be seen.
fn counts(connection: &Connection, access: &Access, pipeline: Option<&str>) -> Result<StatusCounts> {
    let mut all = StatusCounts::default();
    let mut add = |summary: PipelineSummary| {
        if access.may_see(&summary.name) {
            all += summary.counts;
        }
    };
    match pipeline {
        Some(name) => questions::pipeline(connection, name)?.into_iter().for_each(add),
        None => questions::each_pipeline(connection, &mut add)?,
    }
    Ok(all)
}

/// Returns the run whose whole reference is searched for, however old it is.
fn exact(connection: &Connection, query: &RunQuery, fits: &Fits<'_>) -> Result<Option<RunSummary>> {
    let Some(text) = &query.filter.text else {
        return Ok(None);
    };
    if query.filter.refused {
        return Ok(None);
    }
    let span = span_of(query);
    let mut statement = connection.prepare_cached(&format!("{} WHERE r.reference_id = ?1", select()))?;
    let mut rows = statement.query([text])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let place: i64 = row.get(PLACE)?;
    let in_span = span.from <= place && query.filter.until.is_none_or(|until| place < until.timestamp_millis());
    if in_span && fits.row(row)? {
        summary(row).map(Some)
    } else {
        Ok(None)
    }
}

/// The runs whose names are offered, and the most names of a field: more are no help, and make the page long.
const NAMED: usize = 200;
const OFFERED: usize = 40;

pub(super) fn names(connection: &Connection, access: &Access) -> Result<Names> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT p.name, {NAMES} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline ORDER BY r.place DESC LIMIT {NAMED}"
    ))?;
    let mut rows = statement.query([])?;
    let mut names = Names::default();
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get_ref(column).ok()?.as_str().ok();
        if !access.may_see(text(0).unwrap_or_default()) {
            continue;
        }
        for column in 0..7 {
            let known = match column {
                0 => &mut names.pipelines,
                1 => &mut names.branches,
                2..=4 => &mut names.people,
                5 => &mut names.repositories,
                _ => &mut names.sources,
            };
            let name = text(column).filter(|name| !name.trim().is_empty());
            if let Some(name) = name
                && known.len() < OFFERED
                && !known.iter().any(|known| known == name)
            {
                known.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// Returns the beginning of a query for runs.
fn select() -> String {
    // A cross join keeps its order: SQLite might otherwise start with the pipeline, and sort.
    format!("SELECT {COLUMNS}, {NAMES} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline")
}

/// Returns the query of one way; rows are taken from it until there are enough.
pub fn sql(condition: &str) -> String {
    format!(
        "{} WHERE {condition} AND r.place <= ?2 AND (r.place < ?2 OR r.id < ?3) AND r.place >= ?4 ORDER BY r.place DESC, r.id DESC",
        select()
    )
}

/// Returns the part of the list that a query is about.
fn span_of(query: &RunQuery) -> Span {
    let place = |time: DateTime<Utc>| time.timestamp_millis();
    let whole = Span::default();
    let start = query.after.unwrap_or(whole.until);
    let until = query.filter.until.map(|until| Cursor {
        place: place(until).saturating_sub(1),
        ..whole.until
    });
    Span {
        from: query.filter.from.map_or(whole.from, place),
        until: until.map_or(start, |until| until.min(start)),
    }
}

fn here(row: &Row<'_>) -> Result<Cursor> {
    Ok(Cursor {
        place: row.get(PLACE)?,
        id: row.get::<_, i64>(ID)?.cast_unsigned(),
    })
}

/// A page to be read.
struct Reading<'a> {
    limit: usize,
    span: Span,
    fits: Fits<'a>,
    /// True to count the runs that fit beyond the page.
    counts: bool,
}

/// The runs of one way, newest first.
#[derive(Default)]
struct Found {
    runs: Vec<(Cursor, RunSummary)>,
    /// Further ones.
    more: Vec<Cursor>,
    /// The place where it was left before its end.
    left_at: Option<Cursor>,
    /// True if all that fit are known.
    is_all: bool,
}

impl Reading<'_> {
    /// Fills in the newest runs that are on any of the ways, and returns how many there are.
    fn all(&self, connection: &Connection, plan: &Plan, page: &mut Page) -> Result<Total> {
        let begin = Instant::now();
        let ways = &plan.ways;
        let (mut runs, mut more) = (self.ids(connection, &plan.ids)?, Vec::new());
        let (mut left_at, mut is_all): (Option<Cursor>, _) = (None, true);
        for (number, way) in (1..).zip(ways) {
            // Each way has its part of the time; what one leaves, the next has.
            let end = begin + LONGEST * number / ways.len() as u32;
            let found = self.way(connection, way, ways.len(), end)?;
            runs.extend(found.runs);
            more.extend(found.more);
            left_at = left_at.max(found.left_at);
            is_all &= found.is_all;
        }
        // A run may be on several ways.
        more.extend(runs.iter().map(|(cursor, _)| *cursor));
        more.sort_unstable();
        more.dedup();
        runs.sort_by(|(a, _), (b, _)| b.cmp(a));
        runs.dedup_by_key(|(cursor, _)| *cursor);
        if let Some(left_at) = left_at {
            runs.retain(|(cursor, _)| *cursor >= left_at);
        }
        page.next = if runs.len() > self.limit {
            runs.truncate(self.limit);
            runs.last().map(|(cursor, _)| *cursor)
        } else {
            left_at
        };
        page.runs = runs.into_iter().map(|(_, run)| run).collect();
        Ok(Total {
            runs: more.len() as u64,
            is_all,
        })
    }

    /// Returns those of the runs that fit.
    fn ids(&self, connection: &Connection, ids: &[i64]) -> Result<Vec<(Cursor, RunSummary)>> {
        let mut statement = connection.prepare_cached(&format!("{} WHERE r.id = ?1", select()))?;
        let mut found = Vec::new();
        for id in ids {
            let mut rows = statement.query([id])?;
            let Some(row) = rows.next()? else { continue };
            let here = here(row)?;
            if self.span.from <= here.place && here < self.span.until && self.fits.row(row)? {
                let run = summary(row)?;
                found.extend(self.fits.text(&run).then_some((here, run)));
            }
        }
        Ok(found)
    }

    fn way(&self, connection: &Connection, way: &Way, ways: usize, end: Instant) -> Result<Found> {
        let mut statement = connection.prepare_cached(&sql(&way.condition))?;
        let Cursor { place, id } = self.span.until;
        let values: [&dyn ToSql; 4] = [&*way.value, &place, &id.cast_signed(), &self.span.from];
        let mut rows = statement.query(values)?;
        let mut found = Found::default();
        let (always, most) = (READ_ALWAYS / ways, READ_TO_COUNT / ways);
        let (mut count, mut last) = (0, None);
        loop {
            let Some(row) = rows.next()? else {
                found.is_all = true;
                // Nothing that fits follows the page.
                if self.counts && found.more.is_empty() {
                    found.left_at = None;
                }
                return Ok(found);
            };
            let is_full = found.runs.len() >= self.limit;
            if is_full && found.left_at.is_none() {
                // At least this one run follows.
                found.left_at = last;
            }
            if is_full && (!self.counts || count >= most) {
                return Ok(found);
            }
            if !is_full && count >= always.max(self.limit) && (count % 64 == 0) && Instant::now() >= end {
                found.left_at = last;
                return Ok(found);
            }
            count += 1;
            let here = here(row)?;
            last = Some(here);
            if !self.fits.row(row)? {
                continue;
            }
            if is_full {
                found.more.push(here);
                continue;
            }
            let run = summary(row)?;
            if self.fits.text(&run) {
                found.runs.push((here, run));
            }
        }
    }
}
