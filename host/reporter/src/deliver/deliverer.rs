//! One delivery: first the command's own run, then the others that wait, as long as there is time.
//!
//! A run is locked while it is sent, so that two processes do not send it at once; the other runs are sent by one process at a time. No
//! lock keeps a command from sending its own run: upserts repeat harmlessly.

use super::{
    attempts::{AttemptOutcome, Attempts, Next, Target},
    delivery::Budget,
    delivery::Outlet,
    delivery::{Delivery, MOST_NAMED},
    dispatch::{ReportTask, SendRun},
    plan::abandoned,
    plan::{Ownership, Task, plan},
    plan::{WITHOUT_A_STATUS, left},
    state::OtherRuns,
    state::{DeliveryState, due_again, is_to_come, now},
};
use crate::{
    clock,
    config::{JobChoice, JobSelection},
    judge::Judge,
    kill_points,
    spool::{Entry, EntryId, Hook, Judgement, LockState, ReadAgain, RunKey, SpoolError, SpooledRun, Trouble},
    store::Store,
};
use pipefold_sandbox::Status;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The fraction of a command's budget that is reserved for the notes at its end, and its most: a megabyte for 30,000 runs and twenty small
/// files.
const FOR_NOTES: (u32, Duration) = (20, Duration::from_millis(40));

/// Delivers the runs of a store to an outlet.
pub struct Deliverer<'a> {
    pub judge: &'a Judge,
    pub store: &'a Store,
    pub outlet: &'a dyn Outlet,
    pub own: Ownership,
    /// The choice of jobs.
    pub jobs: JobSelection,
    /// The time without activity after which a run that has no end is ended as cancelled.
    pub abandon_after: Option<Duration>,
}

/// Options of one delivery.
pub struct DeliveryOptions<'a> {
    /// The run to begin with.
    pub first: Option<RunKey>,
    /// True to deliver only that run.
    pub only: bool,
    pub budget: &'a Budget,
    /// True to wait for another process that is delivering the other runs.
    pub wait: bool,
}

impl Deliverer<'_> {
    /// Delivers as many runs as the budget allows.
    pub fn deliver(&self, options: &DeliveryOptions<'_>) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = DeliveryState::new(self.store, self.name());
        kill_points::pass("deliver.begin");
        if let Some(until) = state.asked_until().filter(|_| !self.own.explicit) {
            let why = state.failing_for().map_or_else(String::new, |why| format!(": {why}"));
            let why = format!("DX asked for no requests until {}{why}", clock::text(until));
            delivery.put_off = Some(why.clone());
            if let Some(first) = options.first {
                self.keep(first, &why, false, &state, &mut delivery);
            }
            return delivery;
        }
        self.pass(options, &mut state, &mut delivery);
        state.end(self.store);
        delivery
    }

    /// The name under which deliveries to this destination, through these policies, leave notes for each other.
    fn name(&self) -> String {
        let destination = &self.own.destination;
        let [url, token] = [&destination.url, &destination.token].map(|part| part.as_deref().unwrap_or_default());
        let policies = serde_json::to_string(&self.own.policies.digest).unwrap_or_default();
        RunKey::of(&format!("{url}\n{token}\n{policies}")).to_string()
    }

    /// Attempts the delivery's own run, then every other that is due, until all are settled or the budget is spent.
    fn pass(&self, options: &DeliveryOptions<'_>, state: &mut DeliveryState, delivery: &mut Delivery) {
        let mut attempts = Attempts::new(options.first);
        let mut others: Option<OtherRuns> = None;
        let mut failed: Vec<(RunKey, String)> = Vec::new();
        let (mut hopeless, mut refused) = (None, 0);
        let mut has_tried = false;
        let for_notes = (options.budget.left().unwrap_or_default() / FOR_NOTES.0).min(FOR_NOTES.1);
        loop {
            let left = match options.budget.left() {
                Some(left) => left,
                // Waiting for policies to be compiled may have taken all of it. The own run is attempted once all the same, to find why it
                // waits.
                None if !has_tried && options.first.is_some() && Instant::now() >= options.budget.deadline() => {
                    Duration::ZERO
                }
                None => break,
            };
            if others.is_some() && !self.own.explicit && left < for_notes {
                break;
            }
            has_tried = true;
            let attempt = match attempts.next(!state.dx_fails()) {
                Next::Try(attempt) => attempt,
                // The own run was attempted: only now is there time to list the others.
                Next::Wait(_) | Next::Done if others.is_none() && self.may_attempt_others(options, state, delivery) => {
                    let found = OtherRuns::of(self, options, state, delivery);
                    attempts.add(found.due.iter().copied());
                    others = Some(found);
                    continue;
                }
                Next::Wait(_) | Next::Done if state.refused.len() > refused => {
                    refused = state.refused.len();
                    // Runs that seemed to be of another token may be of the refused one, which this process's own replaces.
                    let skipped = others.iter_mut().flat_map(|others| std::mem::take(&mut others.skipped));
                    attempts.add(skipped.chain(std::mem::take(&mut state.foreign)));
                    delivery.foreign = 0;
                    continue;
                }
                // A pause that outlasts the budget ends the delivery now.
                Next::Wait(pause) if pause >= left => break,
                Next::Wait(pause) => {
                    options.budget.sleep(pause);
                    continue;
                }
                Next::Done => break,
            };
            let key = attempt.key;
            let is_own = Some(key) == options.first;
            let changed = match &others {
                Some(others) => others.changed.get(&key).copied(),
                // A flush may have to end this run.
                None if self.own.explicit => self.store.changed_at(key),
                None => None,
            };
            // A request that hangs must leave time for the others; the own run gets most, since the caller waits for it.
            let timeout = match attempts.len() {
                _ if is_own => left * 4 / 5,
                0 => left,
                _ => left / 2,
            };
            let target = Target {
                key,
                is_pressing: is_own || self.own.explicit,
                is_own,
                is_abandoned: self.is_abandoned(changed),
                deadline: Instant::now() + timeout,
                budget: options.budget,
            };
            let note_read = |state: &mut DeliveryState, again| {
                if let Some(changed) = changed {
                    state.note_read(key, changed, again);
                }
            };
            match self.attempt(target, state, delivery) {
                Ok(AttemptOutcome::Settled) => delivery.first_settled |= is_own,
                Ok(AttemptOutcome::Nothing) => {
                    delivery.first_settled |= is_own;
                    note_read(state, self.when_abandoned(changed));
                }
                Ok(AttemptOutcome::Elsewhere) if self.own.explicit => {
                    attempts.again(attempt, "another process is sending it".into());
                }
                Ok(AttemptOutcome::Elsewhere) => {}
                Ok(AttemptOutcome::Again { why, after }) => {
                    // An attempt in the rest of the budget is cut short: the reason of a longer one says more.
                    let why = match &attempt.why {
                        Some(earlier) if Instant::now() >= target.deadline => earlier.clone(),
                        _ => why,
                    };
                    state.has_failed(&why, after, attempt.why.is_none());
                    after.into_iter().for_each(|after| attempts.pause_all(after));
                    let is_worth_it = is_own && (state.accepted || !state.is_hopeless());
                    if is_worth_it || self.own.explicit {
                        attempts.again(attempt, why);
                    } else {
                        failed.push((key, why));
                    }
                }
                Ok(AttemptOutcome::Paused(until)) => {
                    delivery.others_wait += 1;
                    note_read(state, ReadAgain::At(until));
                }
                Ok(AttemptOutcome::Kept(why)) => {
                    self.keep(key, &why, false, state, delivery);
                    note_read(state, ReadAgain::WhenChanged);
                }
                Ok(AttemptOutcome::Unjudged(why)) => {
                    if state.judges() || target.is_pressing {
                        state.got_no_verdict(&why);
                        self.keep(key, &why, false, state, delivery);
                    } else {
                        delivery.others_wait += 1;
                    }
                    note_read(state, ReadAgain::WhenJudged);
                }
                Ok(AttemptOutcome::Hopeless(why)) => {
                    state.has_failed(&why, None, true);
                    self.keep(key, &why, false, state, delivery);
                    hopeless = Some(why);
                    break;
                }
                Err(error) => delivery.warn(error.to_string()),
            }
        }
        if self.own.explicit && others.is_none() && !options.only && hopeless.is_none() && delivery.put_off.is_none() {
            // The time was up before the runs could be listed.
            delivery.not_attempted += self.store.runs().map_or(0, |runs| runs.len());
        }
        for attempt in attempts.rest() {
            match (attempt.why, &hopeless) {
                (Some(why), _) => failed.push((attempt.key, why)),
                (None, Some(why)) if Some(attempt.key) == options.first => failed.push((attempt.key, why.clone())),
                (None, _) => delivery.not_attempted += 1,
            }
        }
        for (key, why) in failed {
            // If DX accepted others, it is this run that it refuses.
            let is_its_own = state.accepted && !state.dx_fails();
            self.keep(key, &why, is_its_own, state, delivery);
        }
    }

    /// Returns true if other runs are to be attempted: not while DX accepts nothing, and by one process at a time.
    fn may_attempt_others(
        &self,
        options: &DeliveryOptions<'_>,
        state: &DeliveryState,
        delivery: &mut Delivery,
    ) -> bool {
        if options.only || delivery.busy || delivery.put_off.is_some() {
            return false;
        }
        if !self.own.explicit
            && !state.accepted
            && let Some(failing) = state.failing()
        {
            let since = clock::text(failing.since);
            delivery.put_off = Some(format!("DX has taken nothing since {since}: {}", failing.why));
            return false;
        }
        true
    }

    /// Returns true if the steps of a run are sent before its end.
    fn sends_steps(&self, state: &DeliveryState) -> bool {
        self.jobs.which != JobChoice::None && !state.lacks_jobs()
    }

    /// Returns true if a run had no activity for so long that it is ended, by the time of its directory's last change.
    fn is_abandoned(&self, changed: Option<u64>) -> bool {
        matches!(self.when_abandoned(changed), ReadAgain::WhenChanged)
            && self.abandon_after.is_some()
            && changed.is_some()
    }

    /// Records an end for a run that has none, if this process may send any of it. Returns true if it did.
    fn abandon(&self, run: &SpooledRun, delivery: &mut Delivery) -> Result<bool, SpoolError> {
        let Some(end) = abandoned(run, &self.own) else {
            return Ok(false);
        };
        let judged = match self.judge.judge_notification(Hook::Finish, &end) {
            Ok(judged) => judged,
            Err(refused) => {
                delivery.warn(format!("run {} cannot be ended: {refused}", reference_id(run)));
                return Ok(false);
            }
        };
        let entry = Entry::new(Hook::Finish, clock::now(), self.own.destination.clone(), judged, end)
            .under(self.own.policies.clone());
        self.store.record(run.key, entry)?;
        delivery.abandoned += 1;
        Ok(true)
    }

    /// The time at which a run of which nothing can be sent is read again.
    fn when_abandoned(&self, changed: Option<u64>) -> ReadAgain {
        let at = self.abandon_after.zip(changed).map(|(age, changed)| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            (changed / 1_000_000).saturating_add(age)
        });
        at.filter(|at| *at > now())
            .map_or(ReadAgain::WhenChanged, ReadAgain::At)
    }

    /// Sends the notifications of a run that are due.
    fn attempt(
        &self,
        target: Target<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Result<AttemptOutcome, SpoolError> {
        let key = target.key;
        let _lock = if target.is_own {
            // Another process is sending it. It may hang, or be stopped: half of the time is reserved for sending it all the same.
            let half = target.deadline.saturating_duration_since(Instant::now()) / 2;
            self.store.lock_run(key, Instant::now() + half)
        } else {
            match self.store.lock_run(key, Instant::now()) {
                LockState::Busy => return Ok(AttemptOutcome::Elsewhere),
                lock => lock,
            }
        };
        let (mut sent_any, mut judged) = (false, BTreeSet::new());
        fn task_of<'a>(covers: &'a BTreeSet<EntryId>, is_end: bool, target: Target<'a>) -> ReportTask<'a> {
            ReportTask {
                covers,
                is_end,
                send_run: SendRun::IfChanged,
                target,
            }
        }
        loop {
            kill_points::pass("deliver.load");
            let mut run = self.store.load(key)?;
            for aside in &run.aside {
                delivery.warn(aside.to_string());
            }
            if target.is_abandoned && !run.is_finished() && self.abandon(&run, delivery)? {
                continue;
            }
            state.refused.extend(self.own.refused_in(&run).map(str::to_owned));
            if let Some(why) = self.refused_before(&run, state) {
                return Ok(AttemptOutcome::Kept(why));
            }
            let until = run.trouble.as_ref().map_or(0, |trouble| trouble.until);
            if !target.is_pressing && is_to_come(until) {
                return Ok(AttemptOutcome::Paused(until));
            }
            let plan = plan(&run, &self.own, &state.refused, self.sends_steps(state));
            delivery.foreign += plan.foreign;
            if plan.foreign > 0 {
                state.foreign.insert(key);
                if target.is_own {
                    left(&run, &self.own, &state.refused).for_each(|line| delivery.warn(line));
                }
            }
            if plan.left_out > 0 {
                delivery.warn(format!(
                    "run {}: {} notifications are left out of its record, as the rules allow 10000 and 8 MiB in one run",
                    reference_id(&run),
                    plan.left_out
                ));
            }
            for (policies, count) in &plan.other_policies {
                *delivery.other_policies.entry(policies.clone()).or_default() += count;
            }
            let (mut judged_one, mut sent_end) = (false, false);
            let nothing = plan.work.is_empty();
            for work in plan.work {
                let tried = match work {
                    Task::Judge { .. } if !target.is_pressing && !state.judges() => {
                        AttemptOutcome::Unjudged(String::new())
                    }
                    // Judging it again would have the same result, for ever.
                    Task::Judge { id } if !judged.insert(id) => {
                        AttemptOutcome::Unjudged("a notification of it has no verdict yet".into())
                    }
                    Task::Judge { id } => {
                        judged_one = true;
                        match self.judge_again(&run, id, state, delivery)? {
                            Some(Judgement::Unjudged(why)) => AttemptOutcome::Unjudged(why),
                            _ => AttemptOutcome::Settled,
                        }
                    }
                    Task::Report { id } => match self.judge_again(&run, id, state, delivery)? {
                        Some(Judgement::Report(report)) => {
                            let covers = BTreeSet::from([id]);
                            self.send_report(&mut run, &report, &task_of(&covers, false, target), state, delivery)?
                        }
                        Some(Judgement::Unjudged(why)) => AttemptOutcome::Unjudged(why),
                        _ => AttemptOutcome::Settled,
                    },
                    Task::Steps { .. } if !target.is_pressing && !state.judges() => {
                        AttemptOutcome::Unjudged(String::new())
                    }
                    Task::Steps { ids } => self.send_ended_steps(&mut run, &ids, target, state, delivery)?,
                    Task::Drop { reason, covers } => {
                        self.store.mark_sent(key, &covers)?;
                        delivery.discard(reference_id(&run), reason);
                        AttemptOutcome::Settled
                    }
                    Task::Finish { history, covers } => {
                        kill_points::pass("deliver.judge");
                        sent_end = true;
                        match self.judge.judge_history(&history) {
                            Ok(Judgement::Report(report)) => {
                                if target.is_own && matches!(report.run.status, Status::Running | Status::Unknown) {
                                    delivery.note(WITHOUT_A_STATUS);
                                }
                                self.send_report(&mut run, &report, &task_of(&covers, true, target), state, delivery)?
                            }
                            // The default plugin reports every finish, so a policy holds it.
                            Ok(Judgement::Hold) => {
                                AttemptOutcome::Kept(format!("held by policy {}, not sent", self.own.policies))
                            }
                            Ok(Judgement::Discard(reason)) => {
                                self.store.mark_sent(key, &covers)?;
                                delivery.discard(reference_id(&run), reason);
                                AttemptOutcome::Settled
                            }
                            Ok(Judgement::Unjudged(why)) => AttemptOutcome::Unjudged(why),
                            Err(refused) => {
                                self.reject_refused(&run, &covers, &refused, delivery)?;
                                judged_one = true;
                                AttemptOutcome::Settled
                            }
                        }
                    }
                };
                if !matches!(tried, AttemptOutcome::Settled) {
                    return Ok(tried);
                }
            }
            sent_any |= !nothing;
            // The next part of a run that is too large to be read at once, or the rest of a run with a bad notification.
            let more = sent_end && run.unread > 0 && target.deadline > Instant::now();
            if !judged_one && !more {
                let retired = run.is_finished() && self.store.retire(key);
                return Ok(if sent_any || retired {
                    AttemptOutcome::Settled
                } else {
                    AttemptOutcome::Nothing
                });
            }
        }
    }

    /// Notes why a run waits, for this process and for the spool's status.
    fn keep(&self, key: RunKey, why: &str, is_its_own: bool, state: &DeliveryState, delivery: &mut Delivery) {
        // Naming a few is enough: reading thousands of runs for it would overdraw the budget.
        if delivery.kept.len() >= MOST_NAMED {
            delivery.kept_count += 1;
            return;
        }
        let Ok(run) = self.store.load(key) else { return };
        if plan(&run, &self.own, &state.refused, self.sends_steps(state))
            .work
            .is_empty()
        {
            return;
        }
        delivery.keep(reference_id(&run), why);
        let noted = run.trouble.as_ref();
        if noted.is_some_and(|noted| noted.message == why && noted.token.is_some()) {
            return;
        }
        let mut trouble = trouble("waiting", why, &run, None);
        if is_its_own {
            trouble.until = due_again(trouble.since);
        }
        self.store.note(key, Some(&trouble));
    }
}

/// The `reference_id` of a run, for messages.
pub fn reference_id(run: &SpooledRun) -> &str {
    run.entries
        .iter()
        .find_map(|(_, entry)| entry.notification.reference_id.as_deref())
        .unwrap_or("?")
}

/// A note about why a run waits.
pub fn trouble(kind: &str, message: &str, run: &SpooledRun, token: Option<String>) -> Trouble {
    let since = run.trouble.as_ref().map_or(0, |trouble| trouble.since);
    Trouble {
        at: clock::now(),
        kind: kind.into(),
        message: message.into(),
        since: if since == 0 { now() } else { since },
        until: 0,
        token,
    }
}
