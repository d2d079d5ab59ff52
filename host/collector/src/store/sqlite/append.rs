//! Notifications and jobs of a run: folded beside the writer, kept within a transaction.

use super::jobs;
use super::jobs::{JudgedJob, kept};
use super::place::{Result, Trouble};
use super::recent::{Known, RecentRuns};
use super::rows;
use super::rows::{COLUMNS, COUNT, RunLimits, Tools, json, key, moment, notifications, stage_of, summary};
use super::weight::text_bytes;
use crate::store::{Append, Appended, Fold, RunSummary, StoreError};
use pipefold_sandbox::{Notification, Run};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::Arc;

/// The share of a run's room that is kept for notifications of its end: one in this many.
const FOR_THE_END: u32 = 100;

/// Notifications and jobs that can be stored, with the run that they lead to.
pub struct Judged {
    new: New,
    /// The run that they were folded with: its id, and the number of its notifications.
    base: Option<(u64, u32)>,
    record: Run,
    jobs: Vec<JudgedJob>,
}

/// Notifications to be stored.
struct New {
    append: Append,
    /// The notifications as they are stored.
    bodies: Vec<String>,
    text_bytes: u64,
    /// True if they report the run's end.
    is_end: bool,
}

/// The means of judging.
#[derive(Clone)]
pub struct Judging {
    pub fold: Fold,
    pub limits: RunLimits,
    pub recent: Arc<RecentRuns>,
}

/// Folds notifications with their run, and jobs with their stored state. All refusals happen here, or in [`keep`], which also notices what
/// changed while this was reading.
pub fn judge(connection: &Connection, judging: &Judging, append: Append) -> Result<Judged> {
    let Judging { fold, limits, recent } = judging;
    let new = New::of(append)?;
    let reference_id = &new.append.reference_id;
    let known = match recent.get(reference_id) {
        Some(known) => Some(known),
        None => find(connection, reference_id)?,
    };
    let known = known.as_deref();
    let record = new.fold_with(known, connection, fold, *limits)?;
    let jobs = new.append.jobs.iter().map(|job| {
        let base = match known {
            Some(known) => kept(connection, known.run.id.cast_signed(), &job.job.reference_id)?,
            None => None,
        };
        JudgedJob::of(job, base, fold, &record, new.append.arrived)
    });
    Ok(Judged {
        jobs: jobs.collect::<Result<_>>()?,
        record,
        base: known.map(Known::version),
        new,
    })
}

impl New {
    fn of(append: Append) -> Result<Self> {
        let all = || append.notifications.iter().map(|kept| &kept.notification);
        Ok(Self {
            bodies: all().map(json).collect::<Result<_>>()?,
            text_bytes: all().map(text_bytes).sum(),
            is_end: all().all(reports_the_end),
            append,
        })
    }

    /// Folds them with a run, or as a new one.
    fn fold_with(&self, known: Option<&Known>, connection: &Connection, fold: &Fold, limits: RunLimits) -> Result<Run> {
        let record = known.map(|known| &known.run.record);
        let is_of = |source: &String| record.is_some_and(|record| record.pipeline_source == *source);
        if self.append.notifications.is_empty() && known.is_none()
            || self.append.source.as_ref().is_some_and(|source| !is_of(source))
        {
            return Err(StoreError::NoRun.into());
        }
        if known.is_some_and(|known| !self.append.access.may_write(&known.run.pipeline)) {
            return Err(StoreError::Foreign.into());
        }
        if let (Some(record), true) = (record, self.append.notifications.is_empty()) {
            return Ok(record.clone());
        }
        let (count, text) = known.map_or((0, 0), |known| (known.run.notifications, known.text_bytes));
        self.room(limits, count, text)?;
        let mut all = match known {
            Some(known) if known.is_folded => vec![known.run.record.clone().into()],
            Some(known) => notifications(connection, known.run.id.cast_signed())?,
            None => Vec::new(),
        };
        all.extend(self.append.notifications.iter().map(|kept| kept.notification.clone()));
        let record = fold(&all).map_err(|error| Trouble::Store(error.into()))?.run;
        // After the rules, whose messages about missing fields say more.
        for kept in &self.append.notifications {
            named(&kept.notification.reference_id, "reference_id")?;
            named(&kept.notification.pipeline_name, "pipeline_name")?;
        }
        if known.is_none() && !self.append.access.may_write(self.pipeline()) {
            return Err(StoreError::Foreign.into());
        }
        Ok(record)
    }

    /// Checks that there is room for them beside a run's notifications. The last of it is for the run's end: without that it would go on
    /// for ever.
    fn room(&self, limits: RunLimits, notifications: u32, text: u64) -> Result<()> {
        let mut most = (limits.notifications_per_run, limits.text_bytes_per_run);
        if !self.is_end {
            most.0 -= most.0 / FOR_THE_END;
            most.1 -= most.1 / u64::from(FOR_THE_END);
        }
        if notifications.saturating_add(self.count()) > most.0 || text.saturating_add(self.text_bytes) > most.1 {
            return Err(StoreError::HistoryFull {
                notifications,
                bytes: text,
            }
            .into());
        }
        Ok(())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.append.notifications.len()).unwrap_or(u32::MAX)
    }

    /// Returns true if any of them is a reason to send the run to DX.
    fn is_news(&self) -> bool {
        self.append.notifications.iter().any(|kept| !kept.held)
    }

    fn pipeline(&self) -> &str {
        let first = self.append.notifications.first();
        first
            .and_then(|kept| kept.notification.pipeline_name.as_deref())
            .unwrap_or_default()
    }
}

/// Stores notifications and jobs. If their run has others since they were folded, or a job has changed, they are folded again.
pub fn keep(tx: &Transaction<'_>, tools: &mut Tools, judged: &Judged) -> Result<Appended> {
    let new = &judged.new;
    let reference_id = &new.append.reference_id;
    let known = match tools.recent.get(reference_id) {
        Some(known) => {
            debug_assert_eq!(Some(&known), find(tx, reference_id)?.as_ref(), "it is as it is stored");
            Some(known)
        }
        None => find(tx, reference_id)?,
    };
    let known = known.as_deref();
    let record = if judged.base == known.map(Known::version) {
        judged.record.clone()
    } else {
        new.fold_with(known, tx, &tools.fold, tools.limits)?
    };
    let room = known.map_or((0, 0), |known| (known.jobs, known.job_bytes));
    let id = known.map(|known| known.run.id.cast_signed());
    let jobs = jobs::to_keep(tx, tools, &judged.jobs, new.append.arrived, id, &record, room)?;
    let before = known.map_or(0, |known| known.run.notifications);
    let mut after = match known {
        Some(known) => again(tx, tools, new, record, known)?,
        None => first(tx, tools, new, record)?,
    };
    let run = after.run.id.cast_signed();
    for ((number, kept), body) in (before..).zip(&new.append.notifications).zip(&new.bodies) {
        tx.prepare_cached(
            "INSERT INTO notifications (key, arrived, token, body, by_policies, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key(run, number)?,
            new.append.arrived.timestamp_millis(),
            new.append.token,
            body,
            kept.by_policies,
            kept.held,
        ])?;
    }
    if !jobs.is_empty() {
        jobs::keep(tx, tools, &mut after, jobs, new.append.arrived)?;
    }
    let appended = Appended {
        run: after.run.clone(),
        is_new: known.is_none(),
    };
    tools.recent.put(reference_id, after);
    Ok(appended)
}

/// Returns true if a notification reports the run's end.
fn reports_the_end(notification: &Notification) -> bool {
    let is_over = |status: &String| !matches!(status.trim(), "" | "unknown" | "running");
    notification.step.is_none()
        && (notification.finished_at.is_some() || notification.status.as_ref().is_some_and(is_over))
}

fn named<'a>(field: &'a Option<String>, name: &'static str) -> Result<&'a str> {
    match field.as_deref() {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(StoreError::NoName(name).into()),
    }
}

fn find(connection: &Connection, reference_id: &str) -> Result<Option<Arc<Known>>> {
    Ok(find_by(connection, "r.reference_id = ?1", &reference_id)?.map(Arc::new))
}

pub fn find_by(connection: &Connection, condition: &str, value: &dyn ToSql) -> Result<Option<Known>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, r.pipeline, r.text_bytes, r.jobs, r.job_bytes, r.folded = r.notifications FROM runs AS r JOIN pipelines AS p ON p.id = r.pipeline WHERE {condition}"
    ))?;
    let mut rows = statement.query([value])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Known {
        run: summary(row)?,
        pipeline: row.get(COUNT)?,
        text_bytes: row.get::<_, i64>(COUNT + 1)?.cast_unsigned(),
        jobs: row.get(COUNT + 2)?,
        job_bytes: row.get::<_, i64>(COUNT + 3)?.cast_unsigned(),
        is_folded: row.get(COUNT + 4)?,
    }))
}

/// Stores the first notifications of a run.
fn first(tx: &Transaction<'_>, tools: &mut Tools, new: &New, record: Run) -> Result<Known> {
    let now = new.append.arrived.timestamp_millis();
    let (pipeline_id, counter) = next_counter(tx, new.pipeline(), now)?;
    tools.changed.push(pipeline_id);
    let id = tools.sequence.run();
    let arrived = moment(now)?;
    let mut run = RunSummary {
        id: id.cast_unsigned(),
        stage_id: stage_of(id).cast_unsigned(),
        pipeline: new.pipeline().to_owned(),
        counter: counter.cast_unsigned(),
        record,
        started: arrived,
        finished: None,
        first_arrived: arrived,
        last_arrived: arrived,
        notifications: new.count(),
        completion: None,
        waiting_since: new.is_news().then_some(arrived),
    };
    rows::insert(tx, pipeline_id, &mut run, new.text_bytes, tools)?;
    // In GoCD's terms the run itself is a job.
    tx.prepare_cached("INSERT INTO jobs (id, run, name) VALUES (?1, ?2, '')")?
        .execute([tools.sequence.one(), id])?;
    Ok(Known {
        run,
        pipeline: pipeline_id,
        text_bytes: new.text_bytes,
        jobs: 0,
        job_bytes: 0,
        is_folded: true,
    })
}

/// Stores further notifications of a run.
fn again(tx: &Transaction<'_>, tools: &mut Tools, new: &New, record: Run, before: &Known) -> Result<Known> {
    let mut known = before.clone();
    tools.changed.push(known.pipeline);
    let run = &mut known.run;
    run.notifications += new.count();
    // The clock may have jumped back.
    run.last_arrived = run.last_arrived.max(moment(new.append.arrived.timestamp_millis())?);
    if run.waiting_since.is_none() && new.is_news() {
        run.waiting_since = Some(run.last_arrived);
        if known.jobs > 0 {
            jobs::wait_again(tx, run.id.cast_signed(), run.last_arrived)?;
        }
    }
    known.text_bytes += new.text_bytes;
    known.is_folded |= new.count() > 0;
    rows::replace(tx, before, &mut known, record, tools)?;
    Ok(known)
}

/// Returns the pipeline's id, and the counter of its next run.
fn next_counter(tx: &Transaction<'_>, pipeline: &str, now: i64) -> Result<(i64, i64)> {
    let known = tx
        .prepare_cached(
            "UPDATE pipelines SET last_counter = last_counter + 1 WHERE name = ?1 RETURNING id, last_counter",
        )?
        .query_row([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    tx.prepare_cached("INSERT INTO pipelines (name, last_counter, last_changed) VALUES (?1, 1, ?2)")?
        .execute(params![pipeline, now])?;
    Ok((tx.last_insert_rowid(), 1))
}
