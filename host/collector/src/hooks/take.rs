//! The notifications of a delivery: judged and stored as if each had come by an upsert.

use super::recent::RunName;
use crate::request::{Intake, Sender};
use crate::rules::Left;
use crate::store::{RunSummary, StoreError, stamp};
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Job, Notification, Status};
use std::collections::HashMap;
use tokio::task::block_in_place;

/// The results of a delivery's notifications.
#[derive(Debug, Default)]
pub struct Taken {
    /// The stored runs, with the names that the policies left them.
    pub runs: Vec<RunName>,
    /// The stored jobs.
    pub jobs: usize,
    /// The notifications that policies dropped.
    pub dropped: usize,
}

/// The notifications of one run.
#[derive(Debug, Default)]
struct OfRun {
    reference_id: String,
    whole: Vec<Notification>,
    steps: Vec<Notification>,
    /// True if the notifications of the whole run were made of those of its steps.
    is_begun_by_steps: bool,
}

impl OfRun {
    /// Adds the notifications that the run goes on, which are made of those of its steps.
    fn begin(&mut self, received: DateTime<Utc>) {
        self.whole = self.steps.iter().map(|step| begun_by(step, received)).collect();
        self.is_begun_by_steps = true;
    }
}

/// Returns the notification that a run goes on, by the facts that the notification of a step has: a job's event may come before all of the
/// run's. The start is replaced by an earlier one that comes later.
#[must_use]
pub fn begun_by(step: &Notification, received: DateTime<Utc>) -> Notification {
    let begin = step.started_at.as_ref().or(step.finished_at.as_ref());
    Notification {
        step: None,
        step_id: None,
        allowed_to_fail: false,
        urgent: false,
        started_at: Some(begin.cloned().unwrap_or_else(|| stamp(received))),
        finished_at: None,
        status: Some(Status::Running.as_str().to_owned()),
        ..step.clone()
    }
}

/// A job of a run, and the run's source as its notification names it.
struct OfStep {
    source: String,
    job: Job,
}

/// Judges and stores notifications that were received at this time: all of a run in one transaction, or with policies the run and then its
/// jobs. If a delivery is of several runs, one of them may fail after others were stored. The same delivery may come again: what is stored
/// twice folds into the same record.
///
/// # Errors
/// A refusal of the rules, before anything is stored if it does not depend on what is stored already; or a failure.
pub async fn take(
    intake: &Intake,
    sender: Sender<'_>,
    notifications: Vec<Notification>,
    received: DateTime<Utc>,
) -> Result<Taken, StoreError> {
    let runs = by_run(notifications);
    let mut jobs = Vec::with_capacity(runs.len());
    for run in &runs {
        jobs.push(if run.steps.is_empty() {
            Vec::new()
        } else {
            block_in_place(|| jobs_of(intake, run))?
        });
    }
    let mut taken = Taken::default();
    for (mut run, jobs) in runs.into_iter().zip(jobs) {
        if run.whole.is_empty() && !intake.knows(&run.reference_id).await? {
            run.begin(received);
        }
        if intake.has_policies() {
            under_policies(intake, sender, run, jobs, &mut taken).await?;
        } else {
            at_once(intake, sender, run, jobs, &mut taken).await?;
        }
    }
    Ok(taken)
}

fn by_run(notifications: Vec<Notification>) -> Vec<OfRun> {
    let mut runs: Vec<OfRun> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for notification in notifications {
        let reference_id = notification.reference_id.clone().unwrap_or_default();
        let place = *places.entry(reference_id).or_insert_with_key(|reference_id| {
            runs.push(OfRun {
                reference_id: reference_id.clone(),
                ..OfRun::default()
            });
            runs.len() - 1
        });
        let is_step = notification.step.as_ref().is_some_and(|step| !step.trim().is_empty());
        let run = &mut runs[place];
        if is_step { &mut run.steps } else { &mut run.whole }.push(notification);
    }
    runs
}

/// Checks the steps of a run.
fn jobs_of(intake: &Intake, run: &OfRun) -> Result<Vec<OfStep>, StoreError> {
    let job = |step: &Notification| {
        Ok(OfStep {
            source: step.pipeline_source.clone().unwrap_or_default(),
            job: intake.rules().job_of(step)?,
        })
    };
    run.steps.iter().map(job).collect()
}

async fn at_once(
    intake: &Intake,
    sender: Sender<'_>,
    run: OfRun,
    jobs: Vec<OfStep>,
    taken: &mut Taken,
) -> Result<(), StoreError> {
    // A job is of the run that its source names, as by an upsert of a job: one in this delivery, or else a stored one.
    let named = run
        .whole
        .first()
        .map(|whole| whole.pipeline_source.clone().unwrap_or_default());
    let source = named.clone().or_else(|| jobs.first().map(|of| of.source.clone()));
    if jobs.iter().any(|of| Some(&of.source) != source.as_ref()) {
        return Err(StoreError::NoRun);
    }
    let count = jobs.len();
    let left = Left {
        notifications: run.whole,
        jobs: jobs.into_iter().map(|of| of.job).collect(),
        held: false,
    };
    let source = source.filter(|_| named.is_none());
    let kept = intake.keep(sender, run.reference_id, source, vec![left]).await?;
    taken.count(&kept, count);
    Ok(())
}

async fn under_policies(
    intake: &Intake,
    sender: Sender<'_>,
    run: OfRun,
    jobs: Vec<OfStep>,
    taken: &mut Taken,
) -> Result<(), StoreError> {
    let mut left = Vec::new();
    for notification in &run.whole {
        match intake.admit(notification)? {
            Some(admitted) => left.push(admitted),
            None => taken.dropped += usize::from(!run.is_begun_by_steps),
        }
    }
    let is_dropped = left.is_empty() && !run.whole.is_empty();
    if !left.is_empty() {
        let count = left.iter().map(|left| left.jobs.len()).sum();
        let kept = intake.keep(sender, run.reference_id.clone(), None, left).await?;
        taken.count(&kept, count);
    }
    let mut left = Vec::new();
    for OfStep { source, job } in jobs {
        match intake.admit_job(sender, &run.reference_id, &source, job).await {
            Ok(Some(admitted)) => left.push(admitted),
            Ok(None) => taken.dropped += 1,
            // The policies dropped its run a moment ago.
            Err(StoreError::NoRun) if is_dropped => taken.dropped += 1,
            Err(error) => return Err(error),
        }
    }
    if !left.is_empty() {
        let count = left.iter().map(|left| left.jobs.len()).sum();
        let kept = intake.keep(sender, run.reference_id, None, left).await?;
        taken.count(&kept, count);
    }
    Ok(())
}

impl Taken {
    fn count(&mut self, run: &RunSummary, jobs: usize) {
        self.jobs += jobs;
        let name = RunName {
            pipeline: run.pipeline.clone(),
            reference_id: run.record.reference_id.clone(),
        };
        if !self.runs.contains(&name) {
            self.runs.push(name);
        }
    }
}
