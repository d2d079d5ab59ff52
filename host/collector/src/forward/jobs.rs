//! The jobs of a run on their way to DX, which takes them only after the run.

use super::forwarder::{Forwarder, digest, token};
use super::parcel::ForwardTo;
use crate::rules::{Admitted, Left, NotAdmitted};
use crate::store::{JOBS_AT_ONCE, JobForwarded, JobOutcome, KeptJob, RunSummary, StoreError};
use chrono::Utc;
use pipefold::dx::{Outcome, job_body};
use pipefold_sandbox::{Job, Run};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The time for which no job is sent to a DX without the method: one request an hour finds out that it has it.
const LACKING_FOR: Duration = Duration::from_hours(1);

/// The time between two lines in the log about it.
const SAID_AGAIN: Duration = Duration::from_hours(24);

/// The refusals in a row after which the other jobs of the run are not tried: the run is the reason.
const REFUSALS: u32 = 3;

/// The finding that DX takes no jobs.
#[derive(Clone, Copy, Debug)]
pub struct Lacking {
    until: Instant,
    said: Instant,
}

/// A job as DX gets it.
enum Fate {
    /// These jobs: a policy may make several of one that an older server stored without it.
    Sent(Vec<Job>),
    /// Nothing, as a policy drops or holds it.
    Left,
    /// Nothing for now.
    Later(String),
}

impl Forwarder {
    /// Sends jobs of a run that DX has; `is_fresh` if it was sent just now. Records each answer at once.
    pub(super) async fn send_jobs(
        &mut self,
        summary: &RunSummary,
        run: &Arc<Run>,
        jobs: Vec<KeptJob>,
        mut is_fresh: bool,
    ) -> Result<(), StoreError> {
        let id = summary.id;
        let is_full = jobs.len() == JOBS_AT_ONCE;
        let (mut refused, mut in_a_row) = (Vec::new(), 0);
        let mut jobs = jobs.into_iter();
        while let Some(kept) = jobs.next() {
            if self.signals.is_stopping() {
                return Ok(());
            }
            if self.lacking.is_some_and(|lacking| Instant::now() < lacking.until) {
                return self.leave(id, std::iter::once(kept).chain(jobs)).await;
            }
            let sent = match self.fate(summary, &kept).await {
                Fate::Sent(sent) => sent,
                Fate::Left => {
                    self.leave(id, [kept]).await?;
                    continue;
                }
                Fate::Later(why) => {
                    self.journal.complain("fold", &format!("job {} waits: {why}", kept.id));
                    self.pauses.failed(id, None, Instant::now());
                    return Ok(());
                }
            };
            let bodies: Vec<u8> = sent.iter().flat_map(|job| job_body(run, job)).collect();
            let digest = digest(&bodies);
            if kept.sent.as_ref() == Some(&digest) {
                self.record(id, kept, JobOutcome::Answered(digest)).await?;
                continue;
            }
            let outcome = match self.send_job(run, sent, &mut is_fresh).await {
                Ok(outcome) => outcome,
                Err(why) => {
                    self.say_once(why);
                    self.pauses.stuck(Instant::now());
                    return Ok(());
                }
            };
            self.count(&outcome);
            match outcome {
                Outcome::Accepted => {
                    self.reached().await;
                    in_a_row = 0;
                    self.record(id, kept, JobOutcome::Answered(digest)).await?;
                }
                Outcome::Rejected { .. } => {
                    self.reached().await;
                    self.complain_of(summary, &kept.job, &outcome);
                    self.record(id, kept, JobOutcome::Answered(digest)).await?;
                }
                Outcome::Refused { .. } => {
                    self.reached().await;
                    in_a_row += 1;
                    self.record(id, kept.clone(), JobOutcome::Refused(Utc::now())).await?;
                    refused.push((kept, digest, outcome));
                    if in_a_row == REFUSALS {
                        break;
                    }
                }
                Outcome::NoMethod { .. } => {
                    self.lacks_jobs(&outcome);
                    return self.leave(id, std::iter::once(kept).chain(jobs)).await;
                }
                Outcome::Retry { after, why } => {
                    self.failed(id, after, &why);
                    return Ok(());
                }
                Outcome::Unauthorised { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. } => {
                    self.say_once(outcome.to_string());
                    self.pauses.stuck(Instant::now());
                    return Ok(());
                }
            }
        }
        if is_full {
            self.yielding.insert(id);
        }
        if refused.is_empty() {
            self.pauses.settled(id);
            return Ok(());
        }
        if self.pauses.jobs_refused(id, summary.notifications, Instant::now()) {
            for (kept, digest, outcome) in refused {
                self.journal.metrics.jobs_rejected.fetch_add(1, Relaxed);
                self.complain_of(summary, &kept.job, &outcome);
                self.record(id, kept, JobOutcome::Answered(digest)).await?;
            }
        }
        Ok(())
    }

    /// Records that these jobs are not sent.
    pub(super) async fn leave(&mut self, run: u64, jobs: impl IntoIterator<Item = KeptJob>) -> Result<(), StoreError> {
        let left = jobs.into_iter().map(|kept| JobForwarded {
            id: kept.id,
            job: kept.job,
            outcome: JobOutcome::Left,
        });
        self.store.jobs_forwarded(run, left.collect()).await?;
        self.pauses.settled(run);
        Ok(())
    }

    async fn record(&self, run: u64, kept: KeptJob, outcome: JobOutcome) -> Result<(), StoreError> {
        let KeptJob { id, job, .. } = kept;
        self.store
            .jobs_forwarded(run, vec![JobForwarded { id, job, outcome }])
            .await
    }

    /// Judges a job by the policies, if it was stored without any.
    async fn fate(&self, summary: &RunSummary, kept: &KeptJob) -> Fate {
        if kept.by_policies || !self.rules.has_policies() {
            return Fate::Sent(vec![kept.job.clone()]);
        }
        let (rules, run, job) = (self.rules.clone(), summary.record.clone(), kept.job.clone());
        let judged =
            tokio::task::spawn_blocking(move || rules.admit_job(&run, &run.pipeline_source, &job, Utc::now())).await;
        match judged {
            Ok(Ok(Admitted::Kept(Left { jobs, held: false, .. }))) => Fate::Sent(jobs),
            Ok(Ok(_) | Err(NotAdmitted::OtherSource)) => Fate::Left,
            Ok(Err(NotAdmitted::Failed(error))) => Fate::Later(error.to_string()),
            Err(_) => Fate::Later("judging it panicked".to_owned()),
        }
    }

    /// Sends a job. If DX refuses it, it may not know the run any more: the run is sent again once, and then the job.
    async fn send_job(&mut self, run: &Arc<Run>, sent: Vec<Job>, is_fresh: &mut bool) -> Result<Outcome, String> {
        let mut outcome = Outcome::Accepted;
        for job in sent {
            outcome = self.upsert_job(run, job.clone()).await?;
            if matches!(outcome, Outcome::Refused { .. }) && !*is_fresh {
                *is_fresh = true;
                sleep(self.pace.wait(Instant::now())).await;
                let again = self.upsert(Arc::clone(run)).await?;
                if !again.is_accepted() {
                    return Ok(outcome);
                }
                outcome = self.upsert_job(run, job).await?;
            }
            if !outcome.is_accepted() {
                break;
            }
        }
        Ok(outcome)
    }

    async fn upsert_job(&mut self, run: &Arc<Run>, job: Job) -> Result<Outcome, String> {
        sleep(self.pace.wait(Instant::now())).await;
        let run = Arc::clone(run);
        self.request(move |options| match &options.to {
            ForwardTo::Dx { client, token_file } => {
                Ok(client.upsert_job(&run, &job, &token(token_file)?, options.timeout))
            }
            ForwardTo::Queue(outlet) => Ok(outlet.upsert_job(&run, &job, options.timeout)),
        })
        .await
    }

    fn count(&self, outcome: &Outcome) {
        let metrics = &self.journal.metrics;
        let counter = match outcome {
            Outcome::Accepted => &metrics.jobs_forwarded,
            Outcome::Rejected { .. } => &metrics.jobs_rejected,
            Outcome::NoMethod { .. } => &metrics.jobs_left,
            _ => &metrics.jobs_not_forwarded,
        };
        counter.fetch_add(1, Relaxed);
        metrics.dx_answered(!matches!(
            outcome,
            Outcome::Retry { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. }
        ));
    }

    fn complain_of(&self, summary: &RunSummary, job: &Job, outcome: &Outcome) {
        let (Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. }) = outcome else {
            return;
        };
        let (job, run) = (&job.name, &summary.record.reference_id);
        self.journal.complain(
            "job refused by DX",
            &format!("job {job:?} of run {run:?} is not in DX, which refused it as {code}: {message}"),
        );
    }

    /// Notes that DX takes no jobs. The log says so once a day.
    fn lacks_jobs(&mut self, outcome: &Outcome) {
        let now = Instant::now();
        let said = self.lacking.map(|lacking| lacking.said);
        let is_new = said.is_none_or(|said| now.duration_since(said) >= SAID_AGAIN);
        if is_new {
            tracing::warn!(
                "{} takes no jobs, so only runs are forwarded: {outcome}",
                self.options.to
            );
        }
        self.lacking = Some(Lacking {
            until: now + LACKING_FOR,
            said: said.filter(|_| !is_new).unwrap_or(now),
        });
    }
}
