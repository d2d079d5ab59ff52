//! A filter of runs, prepared: what its names mean, the ways that serve it, and the check of one run.

use super::place::{Result, Trouble};
use super::rows::{COUNT, PIPELINE, RECORD, STATUS, rank};
use super::way::{LAST, ONE_BY_ONE, Plan, Span, Way, everything, of_commit, of_pipeline, pipelines, values, way};
use crate::access::Access;
use crate::store::{Field, RunFilter, RunQuery, RunSummary, Total};
use pipefold_sandbox::Status;
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

/// The columns that [`Fits::row`] reads, behind those of a summary.
pub const NAMES: &str = "r.branch, r.email, r.github, r.gitlab, r.repository, r.source, r.commit_sha, r.pr_number";
const COMMIT: usize = COUNT + 6;
const PR_NUMBER: usize = COUNT + 7;
const LAST_ARRIVED: usize = 7;

/// Returns the columns of `runs` that have a field's name, with the place of the first among [`NAMES`].
fn columns(field: Field) -> (&'static [&'static str], usize) {
    match field {
        Field::Pipeline => (&[], PIPELINE),
        Field::Branch => (&["branch"], COUNT),
        Field::Person => (&["email", "github", "gitlab"], COUNT + 1),
        Field::Repository => (&["repository"], COUNT + 4),
        Field::Source => (&["source"], COUNT + 5),
    }
}

/// The condition of runs that DX refused for good, as the index has it.
pub const REFUSED: &str = "r.waiting_since IS NULL AND json_extract(r.dx_answer, '$.accepted') = 0 AND ?1 = 0";

/// The most runs of a way that are counted to compare it with others: 40 µs, for each of up to 32 ways.
const COMPARED: i64 = 1_000;

/// The most runs that have a text in one of their names: of more, enough are found among all.
const MOST_WITH_TEXT: i64 = 2_500;

/// The most runs that are counted along an index: 0.4 ms.
const COUNTED: i64 = 10_000;

/// The most runs of a store in which the references are searched: some 0.1 s.
const MOST_SEARCHED: u64 = 300_000;

/// The most runs that are looked at one by one. More are found soon among all.
const MOST_IDS: usize = 1_000;

/// The digits of a commit that are taken for one in a search.
const SHORT_COMMIT: usize = 7;

/// The name that a filter has for a field.
enum Name<'a> {
    Is(&'a str),
    /// In lower case.
    Has(String),
}

impl Name<'_> {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Is(name) => *name == value,
            Self::Has(part) => has(value, part),
        }
    }
}

/// Returns true if a text has a part, which is in lower case, without regard to case.
fn has(text: &str, part: &str) -> bool {
    if part.is_ascii() {
        text.to_ascii_lowercase().contains(part)
    } else {
        text.to_lowercase().contains(part)
    }
}

/// A filter, prepared.
pub struct Fits<'a> {
    filter: &'a RunFilter,
    access: &'a Access,
    names: Vec<(Field, Name<'a>)>,
    /// The beginnings that a commit may have: as it is given, and in lower case.
    commits: Vec<String>,
    text: Option<String>,
    /// The pull request that the text names.
    pr_number: Option<i64>,
}

impl<'a> Fits<'a> {
    pub fn of(connection: &Connection, query: &'a RunQuery) -> Result<Self> {
        let filter = &query.filter;
        let mut names = Vec::new();
        for field in Field::ALL {
            if let Some(name) = filter.name(field) {
                let is_name = !filter.parts || is_name(connection, field, name, &query.access)?;
                let name = if is_name {
                    Name::Is(name)
                } else {
                    Name::Has(name.to_lowercase())
                };
                names.push((field, name));
            }
        }
        let text = filter.text.as_deref().filter(|text| !text.is_empty());
        let commit = || filter.commit.iter();
        let mut commits: Vec<String> = commit()
            .cloned()
            .chain(commit().map(|commit| commit.to_ascii_lowercase()))
            .collect();
        commits.dedup();
        Ok(Self {
            filter,
            access: &query.access,
            names,
            commits,
            pr_number: text
                .and_then(|text| text.strip_prefix('#'))
                .and_then(|number| number.parse().ok()),
            text: text.map(str::to_lowercase),
        })
    }

    /// Returns the fields whose name is taken as a part.
    pub fn parts(&self) -> Vec<Field> {
        let parts = self.names.iter().filter(|(_, name)| matches!(name, Name::Has(_)));
        parts.map(|(field, _)| *field).collect()
    }

    /// Returns true if [`Fits::row`] decides alone.
    pub fn needs_no_text(&self) -> bool {
        self.text.is_none()
    }

    /// Returns the pipeline and the status that the filter consists of; `None` if there is more to it.
    pub fn counted(&self) -> Option<(Option<&str>, Option<Status>)> {
        let alone = RunFilter {
            pipeline: self.filter.pipeline.clone(),
            status: self.filter.status,
            parts: self.filter.parts,
            ..RunFilter::default()
        };
        let pipeline = match self.names.as_slice() {
            [] => None,
            [(Field::Pipeline, Name::Is(name))] => Some(*name),
            _ => return None,
        };
        (alone == *self.filter).then_some((pipeline, self.filter.status))
    }

    /// Returns true if a run fits, but for its text.
    pub fn row(&self, row: &Row<'_>) -> Result<bool> {
        let filter = self.filter;
        let text = |column: usize| -> Result<Option<&str>> {
            Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
        };
        if filter
            .status
            .is_some_and(|status| row.get_ref(STATUS) != Ok(ValueRef::Integer(rank(status))))
            || filter.pr_number.is_some() && filter.pr_number != row.get(PR_NUMBER)?
        {
            return Ok(false);
        }
        if let Some(before) = filter.stale_before
            && (row.get::<_, i64>(STATUS)? > rank(Status::Running)
                || row.get::<_, i64>(LAST_ARRIVED)? >= before.timestamp_millis())
        {
            return Ok(false);
        }
        if let Some(since) = filter.active_since
            && row.get::<_, i64>(LAST_ARRIVED)? < since.timestamp_millis()
        {
            return Ok(false);
        }
        if filter.commit.is_some() {
            let commit = text(COMMIT)?.unwrap_or_default();
            if !self.commits.iter().any(|start| commit.starts_with(start)) {
                return Ok(false);
            }
        }
        for (field, name) in &self.names {
            let (columns, first) = columns(*field);
            let mut fits = false;
            for place in first..first + columns.len().max(1) {
                fits = fits || text(place)?.is_some_and(|value| name.fits(value));
            }
            if !fits {
                return Ok(false);
            }
        }
        Ok(self.access.may_see(text(PIPELINE)?.unwrap_or_default()) && self.may_have_text(row)?)
    }

    /// Returns true if [`Fits::text`] may match: parsing a record takes ten times as long as searching its JSON.
    fn may_have_text(&self, row: &Row<'_>) -> Result<bool> {
        let Some(text) = &self.text else { return Ok(true) };
        // JSON escapes these, and control characters; a number is written without the `#`.
        let differs = |c: char| matches!(c, '"' | '\\') || c.is_control();
        let column = |column| -> Result<&str> { Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?) };
        Ok(self.pr_number.is_some()
            || text.contains(differs)
            || has(column(RECORD)?, text)
            || has(column(PIPELINE)?, text))
    }

    pub fn text(&self, run: &RunSummary) -> bool {
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

    /// Returns the plan that passes the fewest other runs, with its total if an index has that. There are `all` runs; those within `span` count.
    pub fn plan(&self, connection: &Connection, all: u64, span: &Span) -> Result<Plan> {
        let filter = self.filter;
        if filter.refused {
            return Ok(Plan::of(vec![way(REFUSED, 0)]));
        }
        let mut plans = Vec::new();
        let mut may_repeat = false;
        for (field, name) in &self.names {
            plans.extend(self.of_name(connection, *field, name)?);
            // A person may have several names.
            may_repeat |= *field == Field::Person;
        }
        if filter.commit.is_some() {
            plans.extend(of_commit(connection, &self.commits)?);
        }
        plans.extend(filter.pr_number.map(|number| vec![way("r.pr_number = ?1", number)]));
        if filter.stale_before.is_some() {
            let open = [Status::Unknown, Status::Running];
            plans.push(open.map(|status| way("r.status = ?1", rank(status))).into());
        } else if let Some(status) = filter.status {
            plans.push(vec![way("r.status = ?1", rank(status))]);
        }
        if !self.access.sees_everything() && filter.pipeline.is_none() {
            plans.extend(pipelines(connection, |name| self.access.may_see(name))?);
        }
        let mut plans: Vec<Plan> = plans.into_iter().map(Plan::of).collect();
        if all <= MOST_SEARCHED {
            plans.extend(self.of_text(connection)?);
        }
        let conditions = self.conditions().filter(|_| self.counted().is_none());
        let mut best: Option<(u64, Plan)> = None;
        let whole = oldest_and_newest(connection)?;
        for mut plan in plans {
            let mut runs = plan.ids.len() as u64;
            for way in std::mem::take(&mut plan.ways) {
                let on_it = about(connection, &way, whole)?;
                if on_it > 0 {
                    plan.ways.push(way);
                }
                runs += on_it;
            }
            if best.as_ref().is_none_or(|(fewest, _)| runs < *fewest) {
                best = Some((runs, plan));
            }
        }
        let total = |plan: &Plan| {
            let mut runs = 0;
            for way in &plan.ways {
                runs += count(connection, way, span, COUNTED - runs)?;
            }
            let total = Total {
                runs: runs.cast_unsigned(),
                is_all: runs < COUNTED,
            };
            Ok::<_, Trouble>(Some(total))
        };
        Ok(match best {
            Some((runs, mut plan)) => {
                if conditions == Some(1) && !may_repeat {
                    plan.total = total(&plan)?;
                }
                // Of each way as many runs are read as it takes to find a page that fits; of all runs, once for all ways, as many as that and those
                // on no way.
                let ways = plan.ways.len() as u64;
                if ways > 1 && plan.ids.is_empty() && all < ways * runs {
                    plan.ways = vec![everything()];
                }
                plan
            }
            None => {
                let mut plan = Plan::of(vec![everything()]);
                if conditions == Some(0) {
                    plan.total = total(&plan)?;
                }
                plan
            }
        })
    }

    /// Returns the number of conditions besides the span of time; `None` if one needs more than an index.
    fn conditions(&self) -> Option<usize> {
        // No `..`: a new condition must be added here.
        let RunFilter {
            pipeline: _,
            branch: _,
            person: _,
            repository: _,
            source: _,
            parts: _,
            status,
            commit,
            pr_number,
            from: _,
            until: _,
            stale_before,
            active_since,
            refused: _,
            text: _,
        } = self.filter;
        let is_more = stale_before.is_some() || active_since.is_some() || self.text.is_some();
        let others = [status.is_some(), commit.is_some(), pr_number.is_some()];
        let others = others.into_iter().filter(|condition| *condition).count();
        (!is_more && self.access.sees_everything()).then_some(self.names.len() + others)
    }

    /// Returns a plan for a text that few runs have; `None` if it may be in many.
    fn of_text(&self, connection: &Connection) -> Result<Option<Plan>> {
        // SQLite knows the case of ASCII alone.
        let Some(text) = self.text.as_ref().filter(|text| text.is_ascii()) else {
            return Ok(None);
        };
        if text.len() >= SHORT_COMMIT && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let commits = of_commit(connection, std::slice::from_ref(text))?;
            if let Some(ways) = commits.filter(|ways| !ways.is_empty()) {
                return Ok(Some(Plan::of(ways)));
            }
        }
        let mut plan = Plan::of(Vec::new());
        plan.ways
            .extend(self.pr_number.map(|number| way("r.pr_number = ?1", number)));
        match pipelines(connection, |name| has(name, text) && self.access.may_see(name))? {
            Some(ways) => plan.ways.extend(ways),
            None => return Ok(None),
        }
        for column in ["branch", "email", "github", "gitlab", "repository"] {
            match values(connection, column, "", LAST, |value| has(value, text))? {
                Some(ways) => plan.ways.extend(ways),
                None => return Ok(None),
            }
        }
        let mut runs = 0;
        for way in &plan.ways {
            runs += count(connection, way, &Span::default(), MOST_WITH_TEXT)?;
        }
        if plan.ways.len() > ONE_BY_ONE || runs >= MOST_WITH_TEXT {
            return Ok(None);
        }
        // LIKE ignores the case of ASCII, and takes half the time of `instr` and `lower`. What it finds too much is left out later.
        let pattern = format!("%{}%", text.replace(['%', '\0'], "_"));
        let commits = match text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => "commit_sha IS NOT NULL AND commit_sha",
            false => "commit_sha GLOB '*[^0-9a-fA-F]*' AND commit_sha",
        };
        // The indices have all that is read.
        for column in ["reference_id", commits] {
            let sql = format!("SELECT id FROM runs WHERE {column} LIKE ?1 LIMIT {MOST_IDS}");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([&pattern])?;
            while let Some(row) = rows.next()? {
                plan.ids.push(row.get(0)?);
            }
        }
        Ok((plan.ids.len() < MOST_IDS).then_some(plan))
    }

    /// Returns the ways of a name; `None` if they are too many.
    fn of_name(&self, connection: &Connection, field: Field, name: &Name<'_>) -> Result<Option<Vec<Way>>> {
        if field == Field::Pipeline {
            return match name {
                Name::Is(name) if !self.access.may_see(name) => Ok(Some(Vec::new())),
                Name::Is(name) => Ok(Some(
                    pipeline_id(connection, name)?.map(of_pipeline).into_iter().collect(),
                )),
                Name::Has(_) => pipelines(connection, |value| name.fits(value) && self.access.may_see(value)),
            };
        }
        let mut all = Vec::new();
        for column in columns(field).0 {
            match name {
                Name::Is(name) => all.push(way(format!("r.{column} = ?1"), (*name).to_owned())),
                Name::Has(_) => match values(connection, column, "", LAST, |value| name.fits(value))? {
                    Some(ways) => all.extend(ways),
                    None => return Ok(None),
                },
            }
        }
        Ok((all.len() <= ONE_BY_ONE).then_some(all))
    }
}

/// The most runs of other people that are passed to find out whether a name is one of the visible runs.
const PASSED: usize = 200;

/// Returns true if a visible run has this whole name.
fn is_name(connection: &Connection, field: Field, name: &str, access: &Access) -> Result<bool> {
    if field == Field::Pipeline {
        return Ok(access.may_see(name) && pipeline_id(connection, name)?.is_some());
    }
    for column in columns(field).0 {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT p.name FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline WHERE r.{column} = ?1 ORDER BY r.place DESC"
        ))?;
        let mut rows = statement.query([name])?;
        for _ in 0..PASSED {
            let Some(row) = rows.next()? else { break };
            if access.may_see(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns the number of runs of a way within a span, at most `most`.
fn count(connection: &Connection, way: &Way, span: &Span, most: i64) -> Result<i64> {
    let sql = counting(&way.condition);
    let mut statement = connection.prepare_cached(&sql)?;
    let values: [&dyn ToSql; 4] = [&*way.value, &span.from, &span.until.place, &most];
    Ok(statement.query_row(values, |row| row.get(0))?)
}

/// Returns about as many as there are runs of a way: from the time that its newest ones take if it has more than are counted.
fn about(connection: &Connection, way: &Way, (oldest, newest): (i64, i64)) -> Result<u64> {
    let mut statement = connection.prepare_cached(&comparing(&way.condition))?;
    let (counted, since): (i64, Option<i64>) = statement.query_row([&*way.value as &dyn ToSql, &COMPARED], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let took = newest.saturating_sub(since.unwrap_or(oldest)).max(1);
    let times = match counted < COMPARED {
        true => 1,
        false => (newest.saturating_sub(oldest) / took).max(1),
    };
    Ok(counted.saturating_mul(times).cast_unsigned())
}

/// Returns the query of [`about`].
pub fn comparing(condition: &str) -> String {
    format!(
        "SELECT count(*), min(place) FROM (SELECT r.place FROM runs AS r WHERE {condition} ORDER BY r.place DESC LIMIT ?2)"
    )
}

/// Returns the places of the oldest run and of the newest.
fn oldest_and_newest(connection: &Connection) -> Result<(i64, i64)> {
    let mut statement =
        connection.prepare_cached("SELECT (SELECT min(place) FROM runs), (SELECT max(place) FROM runs)")?;
    let places = statement.query_row([], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    Ok((places.0.unwrap_or_default(), places.1.unwrap_or_default()))
}

/// Returns the query of [`count`].
pub fn counting(condition: &str) -> String {
    format!(
        "SELECT count(*) FROM (SELECT 1 FROM runs AS r WHERE {condition} AND r.place >= ?2 AND r.place <= ?3 LIMIT ?4)"
    )
}

/// Returns the id of a pipeline.
pub fn pipeline_id(connection: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached("SELECT id FROM pipelines WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}
