//! One delivery: lock, try every run that waits, unlock, look again.

use super::{
    attempts::{Attempt, Attempts, Next},
    budget::Budget,
    delivery::{Delivery, MOST_NAMED},
    outlet::Outlet,
    plan::{Own, Work, plan},
};
use crate::{
    clock,
    judge::Judge,
    kill_points,
    spool::{EntryId, Judged, RunKey, SpoolError, SpooledRun, Trouble},
    store::Store,
};
use pipefold_sandbox::Run;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// What a delivery works with.
pub(crate) struct Courier<'a> {
    pub(crate) judge: &'a Judge,
    pub(crate) store: &'a Store,
    pub(crate) outlet: &'a dyn Outlet,
    pub(crate) own: Own,
}

/// What is asked of a delivery.
pub(crate) struct Errand<'a> {
    /// The run to begin with.
    pub(crate) first: Option<RunKey>,
    /// Whether to deliver no other.
    pub(crate) only: bool,
    pub(crate) budget: &'a Budget,
    /// Whether to wait for another process that is delivering. One that does not relies on the other's last look.
    pub(crate) wait: bool,
}

/// What a delivery has learnt so far.
#[derive(Default)]
struct Learnt {
    /// The notifications that it has looked at.
    seen: BTreeMap<RunKey, BTreeSet<EntryId>>,
    /// Digests of the tokens that DX is known to have refused.
    refused: BTreeSet<String>,
    /// Runs in which something waits that was recorded for another destination.
    foreign: BTreeSet<RunKey>,
}

/// What came of judging one notification again.
pub(super) enum JudgedAgain {
    /// This is to be sent.
    Report(Box<Run>),
    /// Nothing is to be sent now.
    Nothing,
    /// There is no verdict, for this reason.
    Kept(String),
}

/// What became of one try.
pub(super) enum Tried {
    /// Nothing of the run waits any more, or nothing that can be sent.
    Settled,
    /// It is worth another try, after the pause DX asked for if it did.
    Again { why: String, after: Option<Duration> },
    /// It waits for something that this process cannot bring about.
    Kept(String),
    /// No run can be delivered now, for this reason.
    Hopeless(String),
}

impl Learnt {
    /// Whether any of these notifications, which no acceptance covers, has not been looked at.
    fn is_news(&self, key: RunKey, unsent: &BTreeSet<EntryId>) -> bool {
        self.seen
            .get(&key)
            .map_or(!unsent.is_empty(), |seen| !unsent.is_subset(seen))
    }
}

impl Courier<'_> {
    /// Delivers what it can.
    pub(crate) fn deliver(&self, errand: &Errand<'_>) -> Delivery {
        let mut delivery = Delivery::default();
        let mut learnt = Learnt::default();
        loop {
            kill_points::pass("deliver.lock");
            let until = if errand.wait {
                errand.budget.deadline()
            } else {
                Instant::now()
            };
            let lock = match self.store.lock(until) {
                Ok(Some(lock)) => lock,
                Ok(None) => {
                    delivery.busy = true;
                    return delivery;
                }
                Err(error) => {
                    delivery.warn(error.to_string());
                    return delivery;
                }
            };
            let refused = learnt.refused.len();
            let hopeless = self.pass(errand, &mut learnt, &mut delivery);
            if learnt.refused.len() > refused {
                // What seemed another's a moment ago may be of the token that this process's own has replaced.
                for key in std::mem::take(&mut learnt.foreign) {
                    learnt.seen.remove(&key);
                }
                delivery.foreign = 0;
            }
            kill_points::pass("deliver.unlock");
            drop(lock);
            // Whoever recorded something while the lock was held, and did not wait for it, relies on this look.
            if hopeless || !self.something_new(errand, &learnt) {
                return delivery;
            }
        }
    }

    /// Every run that the errand is about, besides its own.
    fn others(&self, errand: &Errand<'_>) -> Result<BTreeSet<RunKey>, SpoolError> {
        if errand.only {
            return Ok(BTreeSet::new());
        }
        let mut keys = self.store.runs()?;
        if let Some(first) = errand.first {
            keys.remove(&first);
        }
        Ok(keys)
    }

    /// Whether any run has notifications that neither an acceptance nor an earlier look of this delivery covers.
    fn something_new(&self, errand: &Errand<'_>, learnt: &Learnt) -> bool {
        let Ok(others) = self.others(errand) else { return false };
        errand.first.into_iter().chain(others).any(|key| {
            errand.budget.left().is_some() && self.store.unsent(key).is_ok_and(|unsent| learnt.is_news(key, &unsent))
        })
    }

    /// Tries every run that waits until all are settled or the budget is spent. Tells whether going on is hopeless.
    fn pass(&self, errand: &Errand<'_>, learnt: &mut Learnt, delivery: &mut Delivery) -> bool {
        let mut attempts = Attempts::new(errand.first);
        let mut listed = false;
        let mut hopeless = None;
        while let Some(left) = errand.budget.left() {
            let attempt = match attempts.next() {
                Next::Try(attempt) => attempt,
                // The errand's own run was tried: only now is it worth the time to list what else there is.
                Next::Wait(_) | Next::Done if !listed => {
                    listed = true;
                    match self.others(errand) {
                        Ok(keys) => attempts.add(keys),
                        Err(error) => delivery.warn(error.to_string()),
                    }
                    continue;
                }
                Next::Wait(pause) => {
                    errand.budget.sleep(pause);
                    continue;
                }
                Next::Done => break,
            };
            let key = attempt.key;
            // One that hangs must leave some time for the others, and the errand's own is what the caller waits for.
            let timeout = match attempts.len() {
                _ if Some(key) == errand.first => left * 4 / 5,
                0 => left,
                _ => left / 2,
            };
            match self.attempt(&attempt, Instant::now() + timeout, learnt, delivery) {
                Ok(Tried::Settled) => delivery.first_settled |= Some(key) == errand.first,
                Ok(Tried::Again { why, after }) => attempts.again(attempt, why, after),
                Ok(Tried::Kept(why)) => self.keep(key, &why, learnt, delivery),
                Ok(Tried::Hopeless(why)) => {
                    self.keep(key, &why, learnt, delivery);
                    hopeless = Some(why);
                    break;
                }
                Err(error) => delivery.warn(error.to_string()),
            }
        }
        for attempt in attempts.rest() {
            match (attempt.why, &hopeless) {
                (Some(why), _) => self.keep(attempt.key, &why, learnt, delivery),
                // Naming a few of those that nobody tried is enough: reading thousands of runs for it would overdraw the budget.
                (None, Some(why)) if delivery.kept.len() < MOST_NAMED => self.keep(attempt.key, why, learnt, delivery),
                (None, _) => delivery.not_looked_at += 1,
            }
        }
        hopeless.is_some()
    }

    /// Sends what of a run is to be sent.
    fn attempt(
        &self,
        attempt: &Attempt,
        deadline: Instant,
        learnt: &mut Learnt,
        delivery: &mut Delivery,
    ) -> Result<Tried, SpoolError> {
        let key = attempt.key;
        let unsent = self.store.unsent(key)?;
        if attempt.why.is_none() && !learnt.is_news(key, &unsent) {
            return Ok(Tried::Settled);
        }
        let mut judged = BTreeSet::new();
        loop {
            kill_points::pass("deliver.load");
            let run = self.store.load(key)?;
            for aside in &run.aside {
                delivery.warn(aside.to_string());
            }
            let seen = learnt.seen.entry(key).or_default();
            seen.extend(run.entries.iter().map(|(id, _)| *id));
            if run.unread == 0 {
                // With those that cannot be read now, or only by a newer program: looking again would not change that.
                seen.extend(&unsent);
            }
            learnt.refused.extend(self.own.refused_in(&run).map(str::to_owned));
            if let Some(why) = self.refused_before(&run) {
                return Ok(Tried::Kept(why));
            }
            let plan = plan(&run, &self.own, &learnt.refused);
            delivery.foreign += plan.foreign;
            if plan.foreign > 0 {
                learnt.foreign.insert(key);
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
            let mut judged_one = false;
            for work in plan.work {
                let tried = match work {
                    // Judging it again would say the same, for ever.
                    Work::Judge { id } if !judged.insert(id) => {
                        Tried::Kept("a notification of it has no verdict yet".into())
                    }
                    Work::Judge { id } => {
                        judged_one = true;
                        match self.judge_again(&run, id, delivery)? {
                            JudgedAgain::Kept(why) => Tried::Kept(why),
                            JudgedAgain::Report(_) | JudgedAgain::Nothing => Tried::Settled,
                        }
                    }
                    Work::Report { id } => match self.judge_again(&run, id, delivery)? {
                        JudgedAgain::Report(report) => {
                            self.send(&run, &report, &BTreeSet::from([id]), deadline, delivery)?
                        }
                        JudgedAgain::Nothing => Tried::Settled,
                        JudgedAgain::Kept(why) => Tried::Kept(why),
                    },
                    Work::Drop { reason, covers } => {
                        self.store.mark_sent(key, &covers)?;
                        delivery.discard(reference_id(&run), reason);
                        Tried::Settled
                    }
                    Work::Finish { history, covers } => {
                        kill_points::pass("deliver.judge");
                        match self.judge.finish(&history) {
                            Ok(Judged::Report(report)) => self.send(&run, &report, &covers, deadline, delivery)?,
                            // The default plugin reports every finish, so a policy holds it.
                            Ok(Judged::Hold) => Tried::Kept(format!("held by policy {}, not sent", self.own.policies)),
                            Ok(Judged::Discard(reason)) => {
                                self.store.mark_sent(key, &covers)?;
                                delivery.discard(reference_id(&run), reason);
                                Tried::Settled
                            }
                            Ok(Judged::Unjudged(why)) => Tried::Kept(why),
                            Err(refused) => {
                                self.reject(&run, &covers, "refused", &refused.to_string(), None, delivery)?;
                                Tried::Settled
                            }
                        }
                    }
                };
                if !matches!(tried, Tried::Settled) {
                    return Ok(tried);
                }
            }
            if !judged_one {
                return Ok(Tried::Settled);
            }
        }
    }

    /// Tells why a run waits, here and to whoever asks for the spool's status.
    fn keep(&self, key: RunKey, why: &str, learnt: &Learnt, delivery: &mut Delivery) {
        let Ok(run) = self.store.load(key) else { return };
        if plan(&run, &self.own, &learnt.refused).work.is_empty() {
            return;
        }
        delivery.keep(reference_id(&run), why);
        if run.trouble.as_ref().is_none_or(|trouble| trouble.message != why) {
            let noted = run.trouble.unwrap_or_else(|| trouble("waiting", why, 0, None));
            self.store.note(
                key,
                Some(&Trouble {
                    message: why.into(),
                    ..noted
                }),
            );
        }
    }
}

/// How messages name a run.
pub(super) fn reference_id(run: &SpooledRun) -> &str {
    run.entries
        .iter()
        .find_map(|(_, entry)| entry.notification.reference_id.as_deref())
        .unwrap_or("?")
}

/// A note why a run waits.
pub(super) fn trouble(kind: &str, message: &str, tries: u32, token: Option<String>) -> Trouble {
    Trouble {
        at: clock::now(),
        kind: kind.into(),
        message: message.into(),
        tries,
        token,
    }
}
