//! Rows as values: a run with the columns that lists are made of, and its notifications.

use super::overviews::Overviews;
use super::place::{Result, Trouble};
use super::recent::{Known, RunsInTransaction};
use crate::store::{Fold, KeptJob, Received, RunSummary};
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Notification, Run, Status};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, params, params_from_iter};
use std::sync::Arc;

/// The columns that [`summary`] reads, from `runs AS r` and `pipelines AS p`.
pub const COLUMNS: &str = "r.id, p.name, r.counter, r.record, r.started, r.finished, r.first_arrived, r.last_arrived, \
     r.notifications, r.completion, r.waiting_since, r.place, r.status";

/// The number of [`COLUMNS`]: the place of the first column behind them.
pub const COUNT: usize = 13;

/// Places of single columns, for code that reads one before all.
pub const ID: usize = 0;
pub const PIPELINE: usize = 1;
pub const RECORD: usize = 3;
pub const PLACE: usize = 11;
pub const STATUS: usize = 12;

/// Reads a row that was selected with [`COLUMNS`].
pub fn summary(row: &Row<'_>) -> Result<RunSummary> {
    let id: i64 = row.get(ID)?;
    Ok(RunSummary {
        id: id.cast_unsigned(),
        stage_id: stage_of(id).cast_unsigned(),
        pipeline: row.get(PIPELINE)?,
        counter: row.get::<_, i64>(2)?.cast_unsigned(),
        record: record(row.get_ref(RECORD)?.as_str().map_err(rusqlite::Error::from)?)?,
        started: moment(row.get(4)?)?,
        finished: row.get::<_, Option<i64>>(5)?.map(moment).transpose()?,
        first_arrived: moment(row.get(6)?)?,
        last_arrived: moment(row.get(7)?)?,
        notifications: row.get(8)?,
        completion: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        waiting_since: row.get::<_, Option<i64>>(10)?.map(moment).transpose()?,
    })
}

pub fn record(text: &str) -> Result<Run> {
    serde_json::from_str(text).map_err(|e| Trouble::Content(format!("the record of a run does not read: {e}")))
}

/// Returns a status as it is stored: its rank.
pub fn rank(status: Status) -> i64 {
    status as i64
}

pub fn status(rank: i64) -> Result<Status> {
    [
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ]
    .into_iter()
    .find(|status| *status as i64 == rank)
    .ok_or_else(|| Trouble::Content(format!("{rank} is no status")))
}

/// Returns the column of `pipelines` that counts runs of this status.
pub fn column(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Running => "running",
        Status::Success => "success",
        Status::Cancelled => "cancelled",
        Status::Failure => "failure",
    }
}

/// The values of a record for the columns.
struct Columns {
    started: i64,
    finished: Option<i64>,
    place: i64,
}

impl Columns {
    /// Returns the values of a record. `first_arrived` replaces a time that the fold left unreadable, which DX's rules never do.
    pub fn of(record: &Run, first_arrived: i64) -> Self {
        let ms = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| time.timestamp_millis())
        };
        let started = ms(&record.started_at).unwrap_or(first_arrived);
        Self {
            started,
            finished: record.finished_at.as_deref().and_then(ms),
            // A start in the future would keep the run on top of every list until then.
            place: started.min(first_arrived),
        }
    }
}

/// Writes the row of a new run. `run` has only the identity, the times of arrival and the record; the rest is filled in.
pub fn insert(
    tx: &Transaction<'_>,
    pipeline: i64,
    run: &mut RunSummary,
    text_bytes: u64,
    tools: &mut Tools,
) -> Result<()> {
    let first_arrived = run.first_arrived.timestamp_millis();
    let columns = Columns::of(&run.record, first_arrived);
    let completion = is_complete(run.record.status).then(|| tools.sequence.one());
    tx.prepare_cached(
        "INSERT INTO runs (id, reference_id, pipeline, counter, place, status, started, finished, completion, branch, email, github, gitlab, \
         first_arrived, last_arrived, notifications, text_bytes, folded, waiting_since, record, source, repository, commit_sha, pr_number) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?17, ?15, ?17, ?18, ?16, ?19, ?20, ?21, ?22)",
    )?
    .execute(params![
        run.id.cast_signed(),
        run.record.reference_id,
        pipeline,
        run.counter.cast_signed(),
        columns.place,
        rank(run.record.status),
        columns.started,
        columns.finished,
        completion,
        run.record.head_branch,
        run.record.email,
        run.record.github_username,
        run.record.gitlab_username,
        first_arrived,
        text_bytes.cast_signed(),
        json(&run.record)?,
        run.notifications,
        run.waiting_since.map(|since| since.timestamp_millis()),
        run.record.pipeline_source,
        run.record.repository,
        run.record.commit_sha,
        run.record.pr_number,
    ])?;
    count(tx, pipeline, None, run.record.status, first_arrived)?;
    fill(run, &columns, completion)
}

/// Replaces the record of a run, and writes all that has changed from `before` to `after`.
pub fn replace(tx: &Transaction<'_>, before: &Known, after: &mut Known, record: Run, tools: &mut Tools) -> Result<()> {
    let (was, run) = (&before.run, &mut after.run);
    let mut set = Assignments::default();
    if record != was.record {
        let columns = Columns::of(&record, was.first_arrived.timestamp_millis());
        // The feed's entry of a completed run has changed: readers expect changes at the top.
        let moves = record.status != was.record.status || record.finished_at != was.record.finished_at;
        let completion = match (is_complete(record.status), was.completion) {
            (false, _) => None,
            (true, Some(before)) if !moves => Some(before.cast_signed()),
            (true, _) => Some(tools.sequence.one()),
        };
        // The reference of the row is the key that the run was stored under; the record's is the same, or the fold is not DX's.
        set.add("record", json(&record)?);
        set.changed(
            "place",
            was.started.min(was.first_arrived).timestamp_millis(),
            columns.place,
        );
        set.changed("status", rank(was.record.status), rank(record.status));
        set.changed("started", was.started.timestamp_millis(), columns.started);
        set.changed(
            "finished",
            was.finished.map(|time| time.timestamp_millis()),
            columns.finished,
        );
        set.changed("completion", was.completion.map(u64::cast_signed), completion);
        let (names, others) = (names(&was.record), names(&record));
        for ((column, before), (_, after)) in names.into_iter().zip(others) {
            set.text(column, before, after);
        }
        set.changed("pr_number", was.record.pr_number, record.pr_number);
        fill(run, &columns, completion)?;
        run.record = record;
    }
    let ms = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
    set.changed("waiting_since", ms(was.waiting_since), ms(run.waiting_since));
    set.changed(
        "last_arrived",
        was.last_arrived.timestamp_millis(),
        run.last_arrived.timestamp_millis(),
    );
    set.changed("notifications", was.notifications, run.notifications);
    set.changed(
        "text_bytes",
        before.text_bytes.cast_signed(),
        after.text_bytes.cast_signed(),
    );
    if after.is_folded && (!before.is_folded || run.notifications != was.notifications) {
        set.add("folded", run.notifications);
    }
    set.write(tx, run.id.cast_signed())?;
    if run.record.status != was.record.status {
        let now = run.last_arrived.timestamp_millis();
        count(tx, before.pipeline, Some(was.record.status), run.record.status, now)?;
    }
    Ok(())
}

/// The columns of a run that are written. A column that has not changed is left out, as setting it writes a page of each index that has it.
#[derive(Default)]
struct Assignments(Vec<(&'static str, Value)>);

impl Assignments {
    fn add(&mut self, column: &'static str, value: impl Into<Value>) {
        self.0.push((column, value.into()));
    }

    fn changed<T: PartialEq + Into<Value>>(&mut self, column: &'static str, before: T, after: T) {
        if before != after {
            self.add(column, after);
        }
    }

    fn text(&mut self, column: &'static str, before: Option<&str>, after: Option<&str>) {
        if before != after {
            self.add(column, after.map(str::to_owned));
        }
    }

    fn write(self, tx: &Transaction<'_>, id: i64) -> Result<()> {
        let (columns, values): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        if columns.is_empty() {
            return Ok(());
        }
        let sql = format!("UPDATE runs SET {} = ? WHERE id = ?", columns.join(" = ?, "));
        tx.prepare_cached(&sql)?
            .execute(params_from_iter(values.into_iter().chain([id.into()])))?;
        Ok(())
    }
}

/// Returns the texts of a record that lists are filtered by, with their columns.
fn names(record: &Run) -> [(&'static str, Option<&str>); 7] {
    [
        ("source", Some(&*record.pipeline_source)),
        ("branch", record.head_branch.as_deref()),
        ("email", record.email.as_deref()),
        ("github", record.github_username.as_deref()),
        ("gitlab", record.gitlab_username.as_deref()),
        ("repository", record.repository.as_deref()),
        ("commit_sha", record.commit_sha.as_deref()),
    ]
}

/// Counts a run of a pipeline under another status.
fn count(tx: &Transaction<'_>, pipeline: i64, from: Option<Status>, to: Status, now: i64) -> Result<()> {
    if let Some(from) = from {
        uncount(tx, pipeline, from)?;
    }
    let to = column(to);
    tx.prepare_cached(&format!(
        "UPDATE pipelines SET {to} = {to} + 1, last_changed = max(last_changed, ?2) WHERE id = ?1"
    ))?
    .execute([pipeline, now])?;
    Ok(())
}

/// Takes a run out of its pipeline's counts.
pub fn uncount(tx: &Transaction<'_>, pipeline: i64, status: Status) -> Result<()> {
    let column = column(status);
    tx.prepare_cached(&format!("UPDATE pipelines SET {column} = {column} - 1 WHERE id = ?1"))?
        .execute([pipeline])?;
    Ok(())
}

fn fill(run: &mut RunSummary, columns: &Columns, completion: Option<i64>) -> Result<()> {
    run.started = moment(columns.started)?;
    run.finished = columns.finished.map(moment).transpose()?;
    run.completion = completion.map(i64::cast_unsigned);
    Ok(())
}

fn is_complete(status: Status) -> bool {
    matches!(status, Status::Success | Status::Cancelled | Status::Failure)
}

pub fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Trouble::Content(format!("what is to be stored does not write: {e}")))
}

/// The state of changes, besides the transaction.
pub struct Tools {
    pub sequence: Sequence,
    pub fold: Fold,
    pub limits: RunLimits,
    /// The pipelines whose runs were changed in the transaction.
    pub changed: Vec<i64>,
    pub recent: RunsInTransaction,
    pub overviews: Arc<Overviews>,
}

/// The ids of every kind, from one sequence: an id of one kind never names something of another, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    next: i64,
}

/// The id of a run's stage is the one after the run's own: they are always given out together.
const STAGE: i64 = 1;

impl Sequence {
    pub fn read(connection: &Connection) -> Result<Self> {
        let next = connection.query_row("SELECT next FROM sequence", [], |row| row.get(0))?;
        if next < 1 {
            return Err(Trouble::Content(format!("the next id would be {next}")));
        }
        Ok(Self { next })
    }

    /// Stores the sequence, in the transaction that uses its ids.
    pub fn write(self, tx: &Transaction<'_>) -> Result<()> {
        tx.prepare_cached("UPDATE sequence SET next = ?1")?
            .execute([self.next])?;
        Ok(())
    }

    pub fn one(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Returns the id of a new run; its stage's follows.
    pub fn run(&mut self) -> i64 {
        let id = self.one();
        self.next += STAGE;
        id
    }
}

/// Returns the stage of a run.
pub fn stage_of(run: i64) -> i64 {
    run + STAGE
}

/// Returns the run that would have this stage.
pub fn run_of(stage: i64) -> i64 {
    stage - STAGE
}

/// Bounds on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// The most notifications of one run; at most 16,384.
    pub notifications_per_run: u32,
    /// The most bytes of all their texts, and as many of its jobs.
    pub text_bytes_per_run: u64,
    /// The most jobs of one run.
    pub jobs_per_run: u32,
}

impl Default for RunLimits {
    /// The bounds of the rules.
    fn default() -> Self {
        Self {
            notifications_per_run: 10_000,
            text_bytes_per_run: 8 * 1024 * 1024,
            jobs_per_run: 10_000,
        }
    }
}

/// The number of keys of a run. More than the notifications that a run may have, and a power of two, to be seen in a hex dump.
pub const KEYS_PER_RUN: u32 = 16_384;

/// Returns the key of a run's notification; the first is number 0.
pub fn key(run: i64, number: u32) -> Result<i64> {
    run.checked_mul(i64::from(KEYS_PER_RUN))
        .and_then(|first| first.checked_add(i64::from(number)))
        .ok_or_else(|| Trouble::Content(format!("there is a run with the number {run}")))
}

/// Returns the time of a stored number.
pub fn moment(ms: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| Trouble::Content(format!("{ms} is no time")))
}

/// Returns the notifications of a run, in their order.
pub fn notifications(connection: &Connection, run: i64) -> Result<Vec<Notification>> {
    each(connection, run, 0, body)
}

/// Returns the notifications of a run from the number `first` on, with the way they came.
pub fn received(connection: &Connection, run: i64, first: u32) -> Result<Vec<Received>> {
    each(connection, run, first, |row| {
        Ok(Received {
            notification: body(row)?,
            by_policies: row.get(3)?,
            held: row.get(4)?,
            token: row.get(1)?,
            arrived: moment(row.get(2)?)?,
        })
    })
}

fn each<T>(connection: &Connection, run: i64, first: u32, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(
        "SELECT body, token, arrived, by_policies, held FROM notifications WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let mut rows = statement.query([key(run, first)?, key(run, KEYS_PER_RUN - 1)?])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn body(row: &Row<'_>) -> Result<Notification> {
    let body = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(body).map_err(|e| Trouble::Content(format!("a notification does not read: {e}")))
}

/// The columns that [`kept_job`] reads.
pub const OF_JOBS: &str = "id, body, assumed, by_policies, held, waiting_since, sent";

/// Reads a row that was selected with [`OF_JOBS`].
pub fn kept_job(row: &Row<'_>) -> Result<KeptJob> {
    let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(KeptJob {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        job: serde_json::from_str(body).map_err(|e| Trouble::Content(format!("a job does not read: {e}")))?,
        assumed: row.get(2)?,
        by_policies: row.get(3)?,
        held: row.get(4)?,
        waiting_since: row.get::<_, Option<i64>>(5)?.map(moment).transpose()?,
        sent: row.get(6)?,
    })
}
