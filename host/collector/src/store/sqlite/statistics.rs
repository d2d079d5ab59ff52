//! Pipelines in numbers, and the attempts of a commit.

use super::filter::pipeline_id;
use super::overviews::Reading;
use super::place::{Result, Trouble};
use super::rows::{COLUMNS, status, summary};
use crate::store::statistics::{Sample, Tally, buckets, figures, main_branch};
use crate::store::{
    Branch, Failing, Figures, FlakyCommit, History, HistoryQuery, OverviewQuery, PipelineNow, RunSummary, Span,
    StepHistory,
};
use chrono::{DateTime, Utc};
use pipefold_sandbox::Status;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Rows, params};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The most runs of a pipeline that are read, the newest: a month of one that runs every two minutes, in some 10 ms.
const MOST_READ: usize = 20_000;

/// The newest runs that decide which branch is the main one.
const FOR_THE_BRANCH: usize = 1_000;

/// The runs of a small drawing.
const RECENT: usize = 20;

/// The newest runs of a span whose steps count: enough for a rank, in half a millisecond.
const STEP_RUNS: usize = 50;

/// The most steps that count, those with most executions: names of steps may be different in each run.
const STEPS: usize = 200;

/// The latest runs that are shown; all are one click away.
const LATEST: usize = 15;

/// The most attempts of a commit that are shown.
const ATTEMPTS: usize = 20;

/// The most flaky commits that are listed.
const FLAKY: usize = 20;

pub fn overview(
    connection: &Connection,
    reading: &Reading<'_>,
    query: &OverviewQuery,
) -> Result<Vec<Arc<PipelineNow>>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM pipelines ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if !query.access.may_see(name) {
            continue;
        }
        let id = row.get(0)?;
        let state = match reading.state(id, &query.span) {
            Some(state) => Some(state),
            None => now(connection, reading, id, name, &query.span)?,
        };
        all.extend(state);
    }
    Ok(all)
}

/// Reads the state of a pipeline; `None` if it has no runs.
fn now(
    connection: &Connection,
    reading: &Reading<'_>,
    pipeline: i64,
    name: &str,
    span: &Span,
) -> Result<Option<Arc<PipelineNow>>> {
    let samples = Samples::read(connection, pipeline, span)?;
    let state = samples.state(connection, pipeline, name, span)?.map(Arc::new);
    if let Some(state) = &state {
        reading.keep(pipeline, span, state);
    }
    Ok(state)
}

pub fn history(connection: &Connection, reading: &Reading<'_>, query: &HistoryQuery) -> Result<Option<Arc<History>>> {
    let HistoryQuery {
        pipeline: name,
        branch: wanted_branch,
        span,
    } = query;
    let Some(pipeline) = pipeline_id(connection, name)? else {
        return Ok(None);
    };
    if let Some(history) = reading.history(pipeline, wanted_branch, span) {
        return Ok(Some(history));
    }
    let samples = Samples::read(connection, pipeline, span)?;
    let state = match reading.state(pipeline, span) {
        Some(state) => Some(state),
        None => samples.state(connection, pipeline, name, span)?.map(Arc::new),
    };
    let Some(now) = state else { return Ok(None) };
    let branch = match wanted_branch {
        Branch::Main => now.branch.clone(),
        Branch::All => None,
        Branch::Named(branch) => Some(branch.clone()),
    };
    let wanted = match &branch {
        None => Wanted::All,
        Some(branch) => samples.number(branch).map_or(Wanted::None, Wanted::Branch),
    };
    // Without any branch, all runs are of one.
    let of_one_branch = branch.is_some() || now.branch.is_none();
    let (from, until, before) = bounds(span);
    let step_runs = [samples.of(wanted, from, until), samples.of(wanted, before, from)];
    let mut branches: Vec<(String, u64)> = samples.branches.iter().cloned().zip(samples.of_newest()).collect();
    branches.retain(|(_, runs)| *runs > 0);
    branches.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    let newest = samples.all.iter().filter(|sample| wanted.fits(sample)).take(LATEST);
    let latest = newest
        .map(|sample| run(connection, sample.id))
        .collect::<Result<Vec<_>>>()?;
    let ids: Vec<u64> = latest.iter().map(|run| run.id).collect();
    let flaky_commits = flaky_commits(connection, pipeline, from, until)?.into_iter();
    let attempts = flaky_commits
        .take(FLAKY)
        .map(|commit| {
            let runs = of_commit(connection, pipeline, &commit)?;
            Ok(FlakyCommit { commit, runs })
        })
        .collect::<Result<_>>()?;
    let history = Arc::new(History {
        flaky_runs: flaky(connection, &ids)?,
        latest,
        figures: samples.figures(wanted, from, until, of_one_branch),
        before: samples.figures(wanted, before, from, of_one_branch),
        is_cut: samples.is_cut,
        buckets: buckets(samples.of(wanted, from, until).into_iter(), span),
        steps: steps(connection, step_runs.each_ref().map(Vec::as_slice))?,
        step_runs: step_runs[0].len().min(STEP_RUNS) as u64,
        flaky: attempts,
        branches,
        branch,
        now,
    });
    reading.keep_history(pipeline, wanted_branch, span, &history);
    Ok(Some(history))
}

/// Returns the start and the end of a span, and the start of the one before, in milliseconds.
fn bounds(span: &Span) -> (i64, i64, i64) {
    let ms = |time: DateTime<Utc>| time.timestamp_millis();
    (ms(span.from), ms(span.until), ms(span.before()))
}

/// The runs that count.
#[derive(Clone, Copy)]
enum Wanted {
    All,
    Branch(usize),
    None,
}

impl Wanted {
    fn fits(self, sample: &Sample) -> bool {
        match self {
            Self::All => true,
            Self::Branch(branch) => sample.branch == Some(branch),
            Self::None => false,
        }
    }
}

/// The newest runs of a pipeline.
#[derive(Default)]
struct Samples {
    /// The newest first.
    all: Vec<Sample>,
    /// The names of their branches, in the order of their latest run.
    branches: Vec<String>,
    numbers: HashMap<String, usize>,
    /// True if runs of the spans were left out.
    is_cut: bool,
}

impl Samples {
    /// Reads the runs of the span and of the one before, and as many as the main branch is found by.
    fn read(connection: &Connection, pipeline: i64, span: &Span) -> Result<Self> {
        let (_, _, before) = bounds(span);
        let mut statement = connection.prepare_cached(
            "SELECT id, place, branch, status, started, finished FROM runs WHERE pipeline = ?1 ORDER BY place DESC, id DESC",
        )?;
        let mut rows = statement.query([pipeline])?;
        let mut samples = Self::default();
        while let Some(sample) = samples.next(&mut rows)? {
            let is_needed = sample.place >= before;
            if samples.all.len() >= FOR_THE_BRANCH && (!is_needed || samples.all.len() >= MOST_READ) {
                samples.is_cut = is_needed;
                break;
            }
            samples.all.push(sample);
        }
        Ok(samples)
    }

    fn next(&mut self, rows: &mut Rows<'_>) -> Result<Option<Sample>> {
        let Some(row) = rows.next()? else { return Ok(None) };
        let branch = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let branch = branch.map(|name| self.number_of(name));
        Ok(Some(Sample {
            id: row.get(0)?,
            place: row.get(1)?,
            branch,
            status: status(row.get(3)?)?,
            started: row.get(4)?,
            finished: row.get(5)?,
        }))
    }

    fn number_of(&mut self, branch: &str) -> usize {
        if let Some(number) = self.number(branch) {
            return number;
        }
        let number = self.branches.len();
        self.branches.push(branch.to_owned());
        self.numbers.insert(branch.to_owned(), number);
        number
    }

    fn number(&self, branch: &str) -> Option<usize> {
        self.numbers.get(branch).copied()
    }

    /// Returns the numbers of runs of each branch among the newest.
    fn of_newest(&self) -> Vec<u64> {
        let mut runs = vec![0; self.branches.len()];
        for branch in self.all.iter().take(FOR_THE_BRANCH).filter_map(|sample| sample.branch) {
            runs[branch] += 1;
        }
        runs
    }

    /// Returns the runs of some time, oldest first.
    fn of(&self, wanted: Wanted, from: i64, until: i64) -> Vec<&Sample> {
        let is_of = |sample: &&Sample| (from..until).contains(&sample.place) && wanted.fits(sample);
        self.all.iter().rev().filter(is_of).collect()
    }

    fn figures(&self, wanted: Wanted, from: i64, until: i64, of_one_branch: bool) -> Figures {
        figures(self.of(wanted, from, until).into_iter(), of_one_branch)
    }

    /// Returns the state of the pipeline; `None` if it has no runs.
    fn state(&self, connection: &Connection, pipeline: i64, name: &str, span: &Span) -> Result<Option<PipelineNow>> {
        let runs = self.of_newest();
        // The names of older runs are behind those of the newest.
        let names = runs.iter().take_while(|runs| **runs > 0).count();
        let main = main_branch(&self.branches[..names], &runs[..names]);
        let wanted = main.map_or(Wanted::All, Wanted::Branch);
        let mut of_main = self.all.iter().filter(|sample| wanted.fits(sample));
        let Some(latest) = of_main.clone().next() else {
            return Ok(None);
        };
        let recent = of_main
            .clone()
            .take(RECENT)
            .map(|sample| (sample.status, sample.took()));
        let judged = of_main.find(|sample| sample.is_judged());
        let branch = main.map(|number| self.branches[number].clone());
        let failing = match judged {
            Some(last) if last.status == Status::Failure => {
                Some(failing(connection, pipeline, branch.as_deref(), last)?)
            }
            _ => None,
        };
        let (from, until, before) = bounds(span);
        Ok(Some(PipelineNow {
            name: name.to_owned(),
            branch,
            latest: run(connection, latest.id)?,
            state: judged.map(|sample| sample.status),
            failing,
            recent: recent.collect(),
            figures: self.figures(wanted, from, until, true),
            before: self.figures(wanted, before, from, true),
            flaky: flaky_commits(connection, pipeline, from, until)?.len() as u64,
        }))
    }
}

fn run(connection: &Connection, id: i64) -> Result<RunSummary> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r CROSS JOIN pipelines AS p ON p.id = r.pipeline WHERE r.id = ?1"
    ))?;
    let mut rows = statement.query([id])?;
    // Ids are read in the same transaction.
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    summary(row)
}

/// Returns the failure that ends with the run `last`, however long it has lasted.
fn failing(connection: &Connection, pipeline: i64, branch: Option<&str>, last: &Sample) -> Result<Failing> {
    // Without a branch all runs count.
    let condition = if branch.is_some() { "branch = ?2" } else { "?2 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, status FROM runs WHERE pipeline = ?1 AND {condition} AND (place, id) <= (?3, ?4) ORDER BY place DESC, id DESC"
    ))?;
    let mut rows = statement.query(params![pipeline, branch, last.place, last.id])?;
    let (mut first, mut runs) = (last.id, 0);
    while let Some(row) = rows.next()? {
        match status(row.get(1)?)? {
            Status::Success => break,
            Status::Failure => (first, runs) = (row.get(0)?, runs + 1),
            _ => {}
        }
    }
    let latest = run(connection, last.id)?;
    Ok(Failing {
        first: run(connection, first)?,
        runs,
        steps: failed_steps(connection, last.id)?,
        is_flaky: !flaky(connection, &[latest.id])?.is_empty(),
        last: latest,
    })
}

/// A job as statistics need it.
#[derive(Deserialize)]
struct JobBody<'j> {
    #[serde(borrow)]
    name: Cow<'j, str>,
    #[serde(borrow)]
    started_at: Option<Cow<'j, str>>,
    #[serde(borrow)]
    finished_at: Option<Cow<'j, str>>,
    status: Status,
}

impl JobBody<'_> {
    /// Returns the duration of a job that has a start and a finish.
    fn took(&self) -> Option<Duration> {
        let time = |text: &Option<Cow<'_, str>>| DateTime::parse_from_rfc3339(text.as_deref()?).ok();
        let took = time(&self.finished_at)? - time(&self.started_at)?;
        Some(took.to_std().unwrap_or_default())
    }
}

/// Calls `take` with the jobs of runs, in no order.
fn each_job(
    connection: &Connection,
    runs: impl Iterator<Item = i64>,
    take: &mut dyn FnMut(&JobBody<'_>),
) -> Result<()> {
    let mut statement = connection.prepare_cached("SELECT body FROM jobs WHERE run = ?1 AND body IS NOT NULL")?;
    for run in runs {
        let mut rows = statement.query([run])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            take(&serde_json::from_str(body).map_err(|e| Trouble::Content(format!("a job does not read: {e}")))?);
        }
    }
    Ok(())
}

fn failed_steps(connection: &Connection, run: i64) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    each_job(connection, std::iter::once(run), &mut |job| {
        if job.status == Status::Failure {
            failed.push((job.started_at.as_deref().map(str::to_owned), job.name.to_string()));
        }
    })?;
    failed.sort();
    Ok(failed.into_iter().map(|(_, name)| name).collect())
}

/// Returns the steps of the newest of these runs, which are oldest first: of a span, and of the one before.
fn steps(connection: &Connection, runs: [&[&Sample]; 2]) -> Result<Vec<StepHistory>> {
    let mut tallies: HashMap<String, [Tally; 2]> = HashMap::new();
    for (place, runs) in runs.into_iter().enumerate() {
        let newest = runs.iter().rev().take(STEP_RUNS).map(|run| run.id);
        each_job(connection, newest, &mut |job| {
            if !matches!(job.status, Status::Success | Status::Failure) {
                return;
            }
            if !tallies.contains_key(&*job.name) {
                tallies.insert(job.name.to_string(), Default::default());
            }
            if let Some(tally) = tallies.get_mut(&*job.name) {
                tally[place].add_step(job.status, job.took());
            }
        })?;
    }
    let mut steps: Vec<StepHistory> = tallies
        .into_iter()
        .map(|(name, [now, before])| StepHistory {
            name,
            figures: now.step(),
            before: before.step(),
        })
        .collect();
    steps.sort_by(|a, b| b.figures.runs.cmp(&a.figures.runs).then_with(|| a.name.cmp(&b.name)));
    steps.truncate(STEPS);
    Ok(steps)
}

/// The condition that another run of the same commit in the pipeline has the opposite result. Statuses are ranks.
const OPPOSITE: &str = "EXISTS (SELECT 1 FROM runs AS o INDEXED BY results_by_commit WHERE o.pipeline = r.pipeline AND o.commit_sha = r.commit_sha \
     AND o.status = iif(r.status = 2, 4, 2) AND o.status IN (2, 4))";

pub fn flaky(connection: &Connection, runs: &[u64]) -> Result<BTreeSet<u64>> {
    const { assert!(Status::Success as i64 == 2 && Status::Failure as i64 == 4) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT 1 FROM runs AS r WHERE r.id = ?1 AND r.status IN (2, 4) AND r.commit_sha IS NOT NULL AND {OPPOSITE}"
    ))?;
    let mut found = BTreeSet::new();
    for id in runs {
        if statement.exists([id.cast_signed()])? {
            found.insert(*id);
        }
    }
    Ok(found)
}

/// Returns the commits that failed in a span and have also passed, those of the newest failures first.
fn flaky_commits(connection: &Connection, pipeline: i64, from: i64, until: i64) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT r.commit_sha FROM runs AS r INDEXED BY runs_by_pipeline WHERE r.pipeline = ?1 AND r.place >= ?2 AND r.place < ?3 \
         AND r.status = 4 AND r.commit_sha IS NOT NULL AND {OPPOSITE} ORDER BY r.place DESC, r.id DESC"
    ))?;
    let mut rows = statement.query([pipeline, from, until])?;
    let (mut commits, mut known) = (Vec::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        let commit: String = row.get(0)?;
        if known.insert(commit.clone()) {
            commits.push(commit);
        }
    }
    Ok(commits)
}

pub fn attempts(connection: &Connection, run: u64) -> Result<Vec<RunSummary>> {
    let of = connection
        .prepare_cached("SELECT pipeline, commit_sha FROM runs WHERE id = ?1 AND commit_sha IS NOT NULL")?
        .query_row([run.cast_signed()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    match of {
        Some((pipeline, commit)) => of_commit(connection, pipeline, &commit),
        None => Ok(Vec::new()),
    }
}

/// Returns the latest runs of a commit, oldest first.
fn of_commit(connection: &Connection, pipeline: i64, commit: &dyn ToSql) -> Result<Vec<RunSummary>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs AS r INDEXED BY runs_by_commit CROSS JOIN pipelines AS p ON p.id = r.pipeline \
         WHERE r.pipeline = ?1 AND r.commit_sha = ?2 ORDER BY r.place DESC, r.id DESC LIMIT {ATTEMPTS}"
    ))?;
    let mut rows = statement.query(params![pipeline, commit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(row)?);
    }
    found.reverse();
    Ok(found)
}
