//! Sends one request for a run, and acts on DX's answer.

use super::{
    deliverer::{AttemptOutcome, Deliverer, reference_id, trouble},
    delivery::Delivery,
    plan::{UNAUTHORISED, refused_token},
    state::{DeliveryState, now},
};
use crate::{
    clock,
    dx::{GIVEN_UP_AFTER, Outcome, body},
    judge::Refused,
    kill_points,
    spool::{EntryId, Hook, Judgement, Rejection, SpoolError, SpooledRun},
};
use pipefold_sandbox::Run;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The longest time for sending steps, which are only for display.
const STEPS: Duration = Duration::from_secs(1);

impl Deliverer<'_> {
    /// Sends one request, and acts on the answer.
    pub fn send(
        &self,
        run: &SpooledRun,
        report: &Run,
        covers: &BTreeSet<EntryId>,
        deadline: Instant,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<AttemptOutcome, SpoolError> {
        kill_points::pass("deliver.send");
        let Some(timeout) = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        else {
            return Ok(AttemptOutcome::Again {
                why: "there was no time left to send it".into(),
                after: None,
            });
        };
        let outcome = self.outlet.upsert(report, timeout);
        kill_points::pass("deliver.answered");
        let words = outcome.to_string();
        Ok(match outcome {
            Outcome::Accepted => {
                delivery.accepted += 1;
                state.was_accepted();
                self.send_steps(run, report, covers, deadline);
                // DX has the run: without the mark it is sent again some day, which does no harm, so it still counts as delivered.
                if let Err(error) = self.store.mark_sent(run.key, covers) {
                    delivery.warn(format!("{error}; DX has the run; it will be sent again"));
                }
                if run.trouble.is_some() {
                    self.store.note(run.key, None);
                }
                AttemptOutcome::Settled
            }
            Outcome::Rejected { code, message } => {
                self.reject(run, covers, &code, &message, Some(report), delivery)?;
                AttemptOutcome::Settled
            }
            Outcome::Refused { code, message, .. } => {
                let since = run.trouble.as_ref().map_or(0, |trouble| trouble.since);
                let given_up = u64::try_from(GIVEN_UP_AFTER.as_millis()).unwrap_or(u64::MAX);
                if since > 0 && state.accepted && now().saturating_sub(since) > given_up {
                    self.reject(run, covers, &code, &message, Some(report), delivery)?;
                    AttemptOutcome::Settled
                } else {
                    AttemptOutcome::Again {
                        why: words,
                        after: None,
                    }
                }
            }
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
        })
    }

    /// Sends the steps of a delivered run to a server that shows steps. A policy judges upserts, not steps: with a policy, steps are not
    /// sent.
    fn send_steps(&self, run: &SpooledRun, report: &Run, covers: &BTreeSet<EntryId>, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now()).min(STEPS);
        if left.is_zero() || !self.judge.policies().is_empty() {
            return;
        }
        let told = run
            .entries
            .iter()
            .filter(|(id, entry)| entry.hook == Hook::Step && covers.contains(id) && !run.sent.contains(id));
        let notifications: Vec<_> = told.map(|(_, entry)| &entry.notification).collect();
        self.outlet.send_steps(report, &notifications, left);
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
