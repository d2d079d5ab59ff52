//! Sends the report of a run, and acts on DX's answers.

use super::{
    attempts::{AttemptOutcome, Target},
    deliverer::{Deliverer, reference_id, trouble},
    delivery::Delivery,
    jobs::{DueJobs, JobResults},
    plan::{UNAUTHORISED, refused_token},
    state::{DeliveryState, now},
};
use crate::{
    clock,
    dx::{GIVEN_UP_AFTER, Outcome, body},
    judge::Refused,
    kill_points,
    spool::{AcceptedStates, EntryId, Hook, InDx, Judgement, Rejection, SpoolError, SpooledRun, StateDigest},
    steps::fill_in_starts,
};
use pipefold_sandbox::{Job, Notification, Report, Run};
use std::{
    collections::BTreeSet,
    ops::ControlFlow::{self, Break, Continue},
    time::Instant,
};

/// The circumstances of a report.
pub struct ReportTask<'a> {
    /// The entries that DX has after it accepted the run and its jobs.
    pub covers: &'a BTreeSet<EntryId>,
    /// True if the run is over, so that the report has all its jobs.
    pub is_end: bool,
    pub send_run: SendRun,
    pub target: Target<'a>,
}

/// The condition for sending a report's run before its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRun {
    /// DX does not have the run at all.
    IfAbsent,
    /// DX does not have the run in this state.
    IfChanged,
}

/// The records that are settled by the run alone: all but those of steps.
fn covered_by_run(run: &SpooledRun, covers: &BTreeSet<EntryId>) -> BTreeSet<EntryId> {
    let of_run = run.entries.iter().filter(|(_, entry)| entry.hook != Hook::Step);
    of_run.map(|(id, _)| *id).filter(|id| covers.contains(id)).collect()
}

impl Deliverer<'_> {
    /// Sends a report: the run, unless DX has it in this state, and then the jobs that DX does not have in theirs.
    pub fn send_report(
        &self,
        run: &mut SpooledRun,
        report: &Report,
        task: &ReportTask<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<AttemptOutcome, SpoolError> {
        let Report { run: record, jobs } = report;
        let in_dx = run.in_dx.0.get(&self.destination_digest()).cloned().unwrap_or_default();
        let due = self.due_jobs(record, jobs, &in_dx, task.is_end, state);
        if due.left_out > 0 {
            delivery.note(&format!(
                "run {}: {} steps are not sent, as at most {} of a run are (`most_jobs`)",
                reference_id(run),
                due.left_out,
                self.jobs.most
            ));
        }
        // The run's own records are settled with the run, the steps with their jobs.
        let of_run = match &due.jobs[..] {
            [] => task.covers.clone(),
            _ => covered_by_run(run, task.covers),
        };
        let is_known = match task.send_run {
            SendRun::IfAbsent => in_dx.run.is_some(),
            SendRun::IfChanged => in_dx.run == Some(StateDigest::of(&body(record))),
        };
        if !is_known && let Break(outcome) = self.send_run(run, record, task, &of_run, state, delivery)? {
            return Ok(outcome);
        }
        let mut results = self.send_jobs(record, &due.jobs, task.target, state, delivery);
        self.know(run, std::mem::take(&mut results.accepted));
        if is_known && !results.refused.is_empty() && results.failed.is_none() {
            // DX may have lost the run.
            if let Break(outcome) = self.send_run(run, record, task, &of_run, state, delivery)? {
                return Ok(outcome);
            }
            let refused: Vec<&Job> = results.refused.iter().map(|(place, _)| due.jobs[*place]).collect();
            let mut again = self.send_jobs(record, &refused, task.target, state, delivery);
            self.know(run, std::mem::take(&mut again.accepted));
            results = JobResults {
                settled: results.settled + again.settled,
                ..again
            };
        }
        self.settle_jobs(run, &due, results, task, state, delivery)
    }

    /// Marks the records as sent if no job is left, else returns why some are.
    fn settle_jobs(
        &self,
        run: &mut SpooledRun,
        due: &DueJobs<'_>,
        results: JobResults,
        task: &ReportTask<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<AttemptOutcome, SpoolError> {
        let total = due.jobs.len();
        let left = total - results.settled;
        if let Some(status) = results.lacking {
            let until = clock::text(state.has_no_jobs());
            delivery.note(&format!(
                "DX does not take steps (pipelineJobs.upsert: status {status}); none is sent until {until}"
            ));
        } else if left > 0 {
            let (why, after) = results.failed.unwrap_or_else(|| {
                let refused = results.refused.into_iter().next().map(|(_, why)| why);
                (
                    refused.unwrap_or_else(|| "there was no time left to send them".into()),
                    None,
                )
            });
            if after.is_none() && self.is_given_up(run, state) {
                delivery.warn(format!(
                    "run {}: {left} of {total} steps are given up: {why}",
                    reference_id(run)
                ));
            } else {
                let why = format!("{left} of {total} steps are not in DX yet: {why}");
                return Ok(AttemptOutcome::Again { why, after });
            }
        }
        if !run.sent.is_superset(task.covers) {
            self.mark(run, task.covers, AcceptedStates::default(), delivery);
        }
        if run.trouble.is_some() {
            self.store.note(run.key, None);
        }
        Ok(AttemptOutcome::Settled)
    }

    /// Marks records and states as accepted. Without the mark they are sent again some day, which does no harm.
    fn mark(&self, run: &mut SpooledRun, covers: &BTreeSet<EntryId>, states: AcceptedStates, delivery: &mut Delivery) {
        let in_dx = InDx([(self.destination_digest(), states.clone())].into());
        if let Err(error) = self.store.mark_accepted(run.key, covers, in_dx) {
            delivery.warn(format!("{error}; DX has the run; it will be sent again"));
        }
        run.sent.extend(covers);
        self.know(run, states);
    }

    /// Adds states that DX has to those of a loaded run, for the next tasks of the same plan.
    fn know(&self, run: &mut SpooledRun, states: AcceptedStates) {
        run.in_dx.extend(InDx([(self.destination_digest(), states)].into()));
    }

    /// Returns true if DX has refused this run for so long, while it accepts others, that it counts as final.
    fn is_given_up(&self, run: &SpooledRun, state: &DeliveryState) -> bool {
        let since = run.trouble.as_ref().map_or(0, |trouble| trouble.since);
        let given_up = u64::try_from(GIVEN_UP_AFTER.as_millis()).unwrap_or(u64::MAX);
        since > 0 && state.accepted && now().saturating_sub(since) > given_up
    }

    /// Sends one request for a run, and acts on the answer: goes on if DX accepted it. Then `covers` are marked as sent.
    fn send_run(
        &self,
        run: &mut SpooledRun,
        report: &Run,
        task: &ReportTask<'_>,
        covers: &BTreeSet<EntryId>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<ControlFlow<AttemptOutcome>, SpoolError> {
        kill_points::pass("deliver.send");
        let deadline = task.target.deadline;
        let Some(timeout) = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        else {
            return Ok(Break(AttemptOutcome::Again {
                why: "there was no time left to send it".into(),
                after: None,
            }));
        };
        let outcome = self.outlet.upsert(report, timeout);
        kill_points::pass("deliver.answered");
        let words = outcome.to_string();
        Ok(Break(match outcome {
            Outcome::Accepted => {
                delivery.accepted += 1;
                state.was_accepted();
                let states = AcceptedStates {
                    run: Some(StateDigest::of(&body(report))),
                    ..AcceptedStates::default()
                };
                self.mark(run, covers, states, delivery);
                return Ok(Continue(()));
            }
            Outcome::Rejected { code, message } => {
                self.reject(run, task.covers, &code, &message, Some(report), delivery)?;
                AttemptOutcome::Settled
            }
            Outcome::Refused { code, message, .. } if self.is_given_up(run, state) => {
                self.reject(run, task.covers, &code, &message, Some(report), delivery)?;
                AttemptOutcome::Settled
            }
            Outcome::Refused { .. } => AttemptOutcome::Again {
                why: words,
                after: None,
            },
            Outcome::Unauthorised { .. } => {
                let digest = self.outlet.credentials();
                self.store
                    .note(run.key, Some(&trouble(UNAUTHORISED, &words, run, Some(digest))));
                AttemptOutcome::Hopeless(words)
            }
            Outcome::Redirected { .. } | Outcome::Unreachable { .. } | Outcome::NoMethod { .. } => {
                AttemptOutcome::Hopeless(words)
            }
            Outcome::Retry { after, why } => AttemptOutcome::Again { why, after },
        }))
    }

    /// Sends the jobs of steps that ended, of a run that goes on: judges each as an urgent step, so that the policies decide about it.
    pub fn send_ended_steps(
        &self,
        run: &mut SpooledRun,
        ids: &BTreeSet<EntryId>,
        target: Target<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<AttemptOutcome, SpoolError> {
        let (mut record, mut steps, mut covers) = (None, Vec::new(), BTreeSet::new());
        let mut notifications: Vec<Notification> = run
            .entries
            .iter()
            .map(|(_, entry)| entry.notification.clone())
            .collect();
        fill_in_starts(&mut notifications);
        let all = run.entries.iter().zip(notifications);
        for ((id, _), step) in all.filter(|((id, _), _)| ids.contains(id)) {
            let urgent = Notification { urgent: true, ..step };
            match self.judge.judge_notification(Hook::Step, &urgent) {
                Ok(Judgement::Report(Report { run, jobs })) => {
                    steps.extend(jobs.into_iter().map(|job| job.into_notification(&run)));
                    record.get_or_insert(run);
                }
                // It counts when the run ends.
                Ok(Judgement::Hold | Judgement::Discard(_)) => {}
                Ok(Judgement::Unjudged(why)) => return Ok(AttemptOutcome::Unjudged(why)),
                Err(refused) => {
                    let ids = BTreeSet::from([*id]);
                    self.reject(run, &ids, "refused", &refused.to_string(), None, delivery)?;
                    continue;
                }
            }
            state.was_judged();
            covers.insert(*id);
        }
        let Some(record) = record else {
            self.store.mark_sent(run.key, &covers)?;
            return Ok(AttemptOutcome::Settled);
        };
        // Several executions of a step are one job.
        let folded = self.judge.merge(&[vec![record.clone().into()], steps].concat());
        let jobs = match folded {
            Ok(report) => report.jobs,
            Err(why) => return Ok(AttemptOutcome::Unjudged(why.to_string())),
        };
        let task = ReportTask {
            covers: &covers,
            is_end: false,
            send_run: SendRun::IfAbsent,
            target,
        };
        self.send_report(run, &Report { run: record, jobs }, &task, state, delivery)
    }

    /// Returns why DX refused the token for this run before, if it is still the same: the run is sent again only by a flush.
    pub fn refused_before(&self, run: &SpooledRun, state: &DeliveryState) -> Option<String> {
        let trouble = run.trouble.as_ref()?;
        let same = refused_token(trouble) == Some(self.outlet.credentials().as_str());
        (same && !self.own.explicit && !state.accepted).then(|| trouble.message.clone())
    }

    /// Judges a notification by this process's policies. A new verdict is recorded with these policies, so that other processes know its
    /// binding. None if the notification is gone, or the rules refused it.
    pub fn judge_again(
        &self,
        run: &SpooledRun,
        id: EntryId,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<Option<Judgement>, SpoolError> {
        let Some((_, entry)) = run.entries.iter().find(|(kept, _)| *kept == id) else {
            return Ok(None);
        };
        let verdict = match self.judge.judge_notification(entry.hook, &entry.notification) {
            Ok(unjudged @ Judgement::Unjudged(_)) => return Ok(Some(unjudged)),
            Ok(verdict) => {
                state.was_judged();
                verdict
            }
            Err(refused) => {
                let ids = BTreeSet::from([id]);
                self.reject(run, &ids, "refused", &refused.to_string(), None, delivery)?;
                return Ok(None);
            }
        };
        let policies = &self.own.policies;
        if verdict != entry.verdict || !entry.policies.is_same(policies) {
            let mut judged = entry.clone().under(policies.clone());
            judged.verdict = verdict.clone();
            self.store.rewrite(run.key, id, &judged)?;
        }
        Ok(Some(verdict))
    }

    /// Rejects the notifications of a refused history that the rules refuse one by one; all, if there are none. Good notifications must not
    /// be lost with a bad one.
    pub fn reject_refused(
        &self,
        run: &SpooledRun,
        covers: &BTreeSet<EntryId>,
        refused: &Refused,
        delivery: &mut Delivery,
    ) -> Result<(), SpoolError> {
        let mut is_whole = true;
        for (id, entry) in run.entries.iter().filter(|(id, _)| covers.contains(id)) {
            if let Err(refused) = self.judge.judge_notification(entry.hook, &entry.notification) {
                is_whole = false;
                let text = refused.to_string();
                self.reject(run, &BTreeSet::from([*id]), "refused", &text, None, delivery)?;
            }
        }
        if is_whole {
            self.reject(run, covers, "refused", &refused.to_string(), None, delivery)?;
        }
        Ok(())
    }

    pub fn reject(
        &self,
        run: &SpooledRun,
        ids: &BTreeSet<EntryId>,
        code: &str,
        message: &str,
        report: Option<&Run>,
        delivery: &mut Delivery,
    ) -> Result<(), SpoolError> {
        delivery.reject(reference_id(run), format!("{code}: {message}"));
        let request = report
            .and_then(|run| serde_json::from_slice(&body(run)).ok())
            .unwrap_or_default();
        let reason = Rejection {
            at: clock::now(),
            url: self.own.destination.url.clone().unwrap_or_default(),
            code: code.into(),
            message: message.into(),
            request,
            reference_id: reference_id(run).into(),
        };
        self.store.reject(run.key, ids, &reason)
    }
}
