//! The jobs of a run: folded beside the writer, kept within a transaction.

use super::place::{Result, Trouble};
use super::recent::Known;
use super::rows::{OF_JOBS, Tools, json, kept_job, moment};
use super::weight::job_bytes;
use crate::store::job::Started;
use crate::store::{Fold, KeptJob, NewJob, StoreError};
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Job, Notification, Run};
use rusqlite::{Connection, Transaction, params};

/// A job that can be stored.
pub struct JudgedJob {
    new: NewJob,
    /// The stored job that it was folded with.
    base: Option<KeptJob>,
    folded: FoldedJob,
}

/// The fold of a report with the stored job.
#[derive(Clone)]
struct FoldedJob {
    job: Job,
    /// True if its start is the time of receipt.
    assumed: bool,
}

impl JudgedJob {
    /// Folds a report with the stored job.
    pub fn of(new: &NewJob, base: Option<KeptJob>, fold: &Fold, run: &Run, received: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            folded: fold_job(fold, run, base.as_ref(), new, received)?,
            new: new.clone(),
            base,
        })
    }
}

/// Folds a report of a job with its stored state.
fn fold_job(
    fold: &Fold,
    run: &Run,
    kept: Option<&KeptJob>,
    new: &NewJob,
    received: DateTime<Utc>,
) -> Result<FoldedJob> {
    let started = Started::of(kept.map(|kept| (&kept.job, kept.assumed)), &new.job, received);
    let job = match &started.known {
        None => started.new.clone(),
        Some(known) => {
            let steps = [known, &started.new].map(|job| job.clone().into_notification(run));
            let all: Vec<Notification> = std::iter::once(run.clone().into()).chain(steps).collect();
            let report = fold(&all).map_err(|error| Trouble::Store(error.into()))?;
            let mut jobs = report.jobs.into_iter();
            jobs.find(|job| job.reference_id == new.job.reference_id)
                .ok_or_else(|| Trouble::Store(StoreError::FoldFailed("the rules left out a job".into())))?
        }
    };
    Ok(FoldedJob {
        assumed: started.is_assumed(&job),
        job,
    })
}

/// A job as it is stored.
pub struct JobRow<'j> {
    new: &'j NewJob,
    before: Option<KeptJob>,
    folded: FoldedJob,
}

/// Returns the jobs to be stored, and checks that there is room for those that are new or grow.
pub fn to_keep<'j>(
    tx: &Transaction<'_>,
    tools: &Tools,
    judged: &'j [JudgedJob],
    arrived: DateTime<Utc>,
    run: Option<i64>,
    record: &Run,
    (mut count, mut bytes): (u32, u64),
) -> Result<Vec<JobRow<'j>>> {
    let limits = tools.limits;
    let mut rows = Vec::with_capacity(judged.len());
    for JudgedJob { new, base, folded } in judged {
        let before = match run {
            Some(run) => kept(tx, run, &new.job.reference_id)?,
            None => None,
        };
        let folded = if before == *base {
            folded.clone()
        } else {
            fold_job(&tools.fold, record, before.as_ref(), new, arrived)?
        };
        let (had, has) = (
            before.as_ref().map_or(0, |kept| job_bytes(&kept.job)),
            job_bytes(&folded.job),
        );
        let full = (count, bytes);
        count += u32::from(before.is_none());
        bytes += has.saturating_sub(had);
        if has > had && (count > limits.jobs_per_run || bytes > limits.text_bytes_per_run) {
            let (jobs, bytes) = full;
            return Err(StoreError::JobsFull { jobs, bytes }.into());
        }
        rows.push(JobRow { new, before, folded });
    }
    Ok(rows)
}

/// Stores jobs of a run.
pub fn keep(
    tx: &Transaction<'_>,
    tools: &mut Tools,
    known: &mut Known,
    jobs: Vec<JobRow<'_>>,
    arrived: DateTime<Utc>,
) -> Result<()> {
    let run = &mut known.run;
    let id = run.id.cast_signed();
    // As it is stored.
    let arrived = moment(arrived.timestamp_millis())?;
    for JobRow { new, before, folded } in jobs {
        let has_changed = before
            .as_ref()
            .is_none_or(|before| before.job != folded.job || before.held != new.held);
        // A state that DX has, or that it does not have yet, waits no longer than it did.
        let waits = match &before {
            _ if new.held => None,
            Some(before) if !has_changed => before.waiting_since,
            before => Some(
                before
                    .as_ref()
                    .and_then(|before| before.waiting_since)
                    .unwrap_or(arrived),
            ),
        };
        let job = before
            .as_ref()
            .map_or_else(|| tools.sequence.one(), |before| before.id.cast_signed());
        tx.prepare_cached(
            "INSERT INTO jobs (id, run, name, body, assumed, by_policies, held, waiting_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET body = ?4, assumed = ?5, by_policies = ?6, held = ?7, waiting_since = ?8",
        )?
        .execute(params![
            job,
            id,
            folded.job.reference_id,
            json(&folded.job)?,
            folded.assumed,
            new.by_policies,
            new.held,
            waits.map(|since| since.timestamp_millis()),
        ])?;
        known.jobs += u32::from(before.is_none());
        known.job_bytes += job_bytes(&folded.job);
        known.job_bytes -= before.map_or(0, |before| job_bytes(&before.job)).min(known.job_bytes);
        if let Some(since) = waits {
            run.waiting_since = Some(run.waiting_since.map_or(since, |before| before.min(since)));
        }
    }
    tx.prepare_cached("UPDATE runs SET jobs = ?2, job_bytes = ?3, waiting_since = ?4 WHERE id = ?1")?
        .execute(params![
            id,
            known.jobs,
            known.job_bytes.cast_signed(),
            run.waiting_since.map(|since| since.timestamp_millis())
        ])?;
    Ok(())
}

/// Returns a stored job of a run.
pub fn kept(connection: &Connection, run: i64, reference_id: &str) -> Result<Option<KeptJob>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {OF_JOBS} FROM jobs WHERE run = ?1 AND name = ?2 AND body IS NOT NULL"
    ))?;
    let mut rows = statement.query(params![run, reference_id])?;
    rows.next()?.map(kept_job).transpose()
}

/// Lets the jobs of a run wait that DX never had: those that came while the run was held, or while DX did not take jobs.
pub fn wait_again(tx: &Transaction<'_>, run: i64, since: DateTime<Utc>) -> Result<()> {
    tx.prepare_cached(
        "UPDATE jobs SET waiting_since = ?2 WHERE run = ?1 AND sent IS NULL AND waiting_since IS NULL AND NOT held AND body IS NOT NULL",
    )?
    .execute(params![run, since.timestamp_millis()])?;
    Ok(())
}
