//! The reporter: judge, record, deliver.

use crate::{
    clock,
    complete::{Completed, complete},
    config::{Budgets, JobSelection},
    deliver::{Budget, Deliverer, Delivery, DeliveryOptions, Outlet, Ownership, ToDx, choose},
    dx::{Client, Outcome},
    judge::{Judge, NoVerdict, Refused},
    overview::Overview,
    receipt::{Batch, Receipt, verdict},
    spool::{Destination, Entry, EntryId, Hook, Judgement, RunKey, Spool, SpoolError},
    steps::fill_in_starts,
    store::{BatchError, Store, StoredIn},
    token::Token,
};
use pipefold_sandbox::{Job, Notification, Report, Run};
use std::{collections::BTreeSet, time::Duration};

/// Reports runs to DX. Made by [`Reporter::builder`]; can be shared between threads.
///
/// A notification goes through three steps: the sandboxed plugin judges it, the spool records it durably, and a delivery sends what
/// waits. [`start`](Self::start), [`step`](Self::step) and [`finish`](Self::finish) do all that is due; [`record`](Self::record) and
/// [`deliver`](Self::deliver) are the same in parts, for a host that delivers beside other work.
pub struct Reporter {
    pub(crate) judge: Judge,
    pub(crate) store: Store,
    pub(crate) dx: Option<Client>,
    pub(crate) token: Option<Token>,
    /// The place where deliveries end instead of DX.
    pub(crate) outlet: Option<Box<dyn Outlet>>,
    /// The DX and token that notifications are recorded for.
    pub(crate) destination: Destination,
    pub(crate) budgets: Budgets,
    /// The choice of jobs to send.
    pub(crate) jobs: JobSelection,
    /// The time without activity after which a run without an end is ended as cancelled.
    pub(crate) abandon_after: Option<Duration>,
    /// See [`Builder::facts_only`](crate::Builder::facts_only).
    pub(crate) facts_only: bool,
}

impl Reporter {
    /// Reports the start of a run: records it, and delivers within the start budget. `started_at` is now if absent.
    ///
    /// # Errors
    /// [`Refused`] with all violations of the notification; then nothing was recorded.
    pub fn start(&self, notification: Notification) -> Result<Receipt, Refused> {
        let receipt = self.record(Hook::Start, notification)?;
        Ok(self.deliver_recorded(receipt, &Budget::new(self.budgets.start), false))
    }

    /// Reports the start or end of a step: records it, and delivers within the start budget if it is urgent.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn step(&self, notification: Notification) -> Result<Receipt, Refused> {
        let urgent = notification.urgent;
        let receipt = self.record(Hook::Step, notification)?;
        Ok(if urgent {
            self.deliver_recorded(receipt, &Budget::new(self.budgets.start), false)
        } else {
            receipt
        })
    }

    /// Reports the end of a run: records it, and delivers the whole run within the finish budget. `finished_at` is now if absent.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn finish(&self, notification: Notification) -> Result<Receipt, Refused> {
        let receipt = self.record(Hook::Finish, notification)?;
        Ok(self.deliver_recorded(receipt, &Budget::new(self.budgets.finish), true))
    }

    /// Judges and records a notification without delivering. On return it is on disk, unless the receipt says otherwise.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn record(&self, hook: Hook, notification: Notification) -> Result<Receipt, Refused> {
        Ok(self.record_judged(self.judge(hook, notification)?))
    }

    /// Judges a notification, the first half of [`record`](Self::record).
    ///
    /// Absent fields are taken from the records of its run: the names of pipeline and source, and for a finish the start.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn judge(&self, hook: Hook, notification: Notification) -> Result<JudgedNotification, Refused> {
        let (hook, notification) = self.reported_part(hook, notification);
        let Completed { notification, warnings } = complete(hook, notification, &self.store, &|time| self.time(time))?;
        let verdict = self.judge.judge_notification(hook, &notification)?;
        Ok(JudgedNotification {
            hook,
            notification,
            verdict,
            warnings,
            is_pending: false,
        })
    }

    /// As [`judge`](Self::judge) if that takes no compiling. Otherwise the notification is accepted without a verdict and judged before it
    /// is sent, so that a build does not wait for a compiler.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn judge_at_once(&self, hook: Hook, notification: Notification) -> Result<JudgedNotification, Refused> {
        if self.judge.is_ready() {
            return self.judge(hook, notification);
        }
        let (hook, notification) = self.reported_part(hook, notification);
        let Completed { notification, warnings } = complete(hook, notification, &self.store, &|time| self.time(time))?;
        let reason = if self.judge.has_policies() {
            format!("policy {} is not compiled yet", self.judge.chain())
        } else {
            "the rules are not compiled yet".into()
        };
        Ok(JudgedNotification {
            hook,
            notification,
            verdict: Judgement::Unjudged(reason),
            warnings,
            is_pending: true,
        })
    }

    /// As [`record`](Self::record), with [`judge_at_once`](Self::judge_at_once).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn record_at_once(&self, hook: Hook, notification: Notification) -> Result<Receipt, Refused> {
        Ok(self.record_judged(self.judge_at_once(hook, notification)?))
    }

    /// Records a judged notification, the second half of [`record`](Self::record).
    pub fn record_judged(&self, judged: JudgedNotification) -> Receipt {
        let JudgedNotification {
            hook,
            notification,
            verdict: judged,
            mut warnings,
            is_pending,
        } = judged;
        let reference_id = notification.reference_id.clone().unwrap_or_default();
        let started_at = notification.started_at.clone().unwrap_or_default();
        if let Judgement::Unjudged(why) = &judged
            && !is_pending
        {
            warnings.push(self.judge.kept(why));
        }
        let verdict = verdict(&judged);
        let mut after_the_end = false;
        let on_disk = match (hook, judged) {
            // A discarded start is recorded: it discards the rest of its run on this machine.
            (Hook::Step | Hook::Finish, Judgement::Discard(_)) => true,
            (_, judged) => {
                let entry = Entry::new(hook, clock::now(), self.destination.clone(), judged, notification)
                    .under(self.judge.chain().clone());
                match self.store.record(RunKey::of(&reference_id), entry) {
                    Ok(StoredIn::Disk { after_the_end: late }) => {
                        after_the_end = late;
                        true
                    }
                    Ok(StoredIn::Memory(why)) => {
                        warnings.push(format!("{why}; what cannot be delivered now is lost"));
                        false
                    }
                    Err(error) => {
                        warnings.push(error.to_string());
                        false
                    }
                }
            }
        };
        Receipt {
            reference_id,
            started_at,
            verdict,
            on_disk,
            after_the_end,
            delivery: None,
            warnings,
        }
    }

    /// Judges and records notifications of any number of runs, in their order within each run, without delivering. When it returns, all but
    /// those that were refused or dropped are on disk. Unlike [`record`](Self::record) it adds nothing to them, neither the time nor data
    /// recorded of the run, and keeps nothing in memory: such a caller can read its source again. It also leaves nothing out
    /// ([`Builder::facts_only`](crate::Builder::facts_only) is about a job's own notifications).
    ///
    /// # Errors
    /// [`BatchError`]: then some may have been recorded.
    pub fn record_all(
        &self,
        notifications: impl IntoIterator<Item = (Hook, Notification)>,
    ) -> Result<Batch, BatchError> {
        let mut batch = Batch::default();
        let mut entries = Vec::new();
        let now = clock::now();
        for (hook, notification) in notifications {
            match self.judge.judge_notification(hook, &notification) {
                Ok(Judgement::Discard(_)) => batch.discarded += 1,
                Ok(judged) => {
                    if let Judgement::Unjudged(why) = &judged {
                        batch.unjudged.get_or_insert_with(|| why.clone());
                    }
                    let to = self.destination.clone();
                    let entry = Entry::new(hook, now.clone(), to, judged, notification);
                    entries.push(entry.under(self.judge.chain().clone()));
                }
                Err(refused) => {
                    let run = notification.reference_id.unwrap_or_default();
                    batch.refused.push((run, refused));
                }
            }
        }
        self.store.record_all(&entries)?;
        batch.recorded = entries.len();
        Ok(batch)
    }

    /// Judges a notification without recording or sending anything. For a finish, judges the whole run as it would be sent.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn preview(&self, hook: Hook, notification: Notification) -> Result<Judgement, Refused> {
        let (hook, notification) = self.reported_part(hook, notification);
        let notification = complete(hook, notification, &self.store, &|time| self.time(time))?.notification;
        match (hook, self.judge.judge_notification(hook, &notification)?) {
            (Hook::Finish, Judgement::Report(_)) => {
                let key = RunKey::of(notification.reference_id.as_deref().unwrap_or_default());
                let mut history: Vec<Notification> = self
                    .store
                    .load(key)
                    .map(|run| run.entries.into_iter().map(|(_, entry)| entry.notification).collect())
                    .unwrap_or_default();
                history.push(notification);
                fill_in_starts(&mut history);
                self.judge.judge_history(&history)
            }
            (_, judged) => Ok(judged),
        }
    }

    /// The jobs of a report that would be sent after its run to a DX that has none of them, in their order.
    #[must_use]
    pub fn chosen_jobs<'a>(&self, report: &'a Report) -> Vec<&'a Job> {
        choose(self.jobs, report.jobs.iter().collect(), 0, true).jobs
    }

    /// Delivers what waits for this reporter's DX and token, beginning with the run `first`, until the budget is spent. With `wait` it
    /// waits for another process that is delivering; without, it leaves the work to that one.
    pub fn deliver(&self, first: Option<&str>, budget: &Budget, wait: bool) -> Delivery {
        let options = DeliveryOptions {
            first: first.map(RunKey::of),
            only: false,
            budget,
            wait,
        };
        self.drain(&options, self.own(&Flush::default(), false), self.abandon_after)
    }

    /// Delivers everything that waits for this reporter's DX, also what was recorded without a token, and sends again runs for which DX
    /// refused the token before.
    pub fn flush(&self, budget: &Budget, what: &Flush) -> Delivery {
        let options = DeliveryOptions {
            first: what.only.as_deref().map(RunKey::of),
            only: what.only.is_some(),
            budget,
            wait: true,
        };
        let abandon_after = what.abandon.or(self.abandon_after);
        self.drain(&options, self.own(what, true), abandon_after)
    }

    /// The notifications of a run that wait, from the names of their files. A host that delivers beside a build calls this now and then to
    /// see whether the build added any.
    pub fn waiting(&self, reference_id: &str) -> BTreeSet<EntryId> {
        self.store.unsent(RunKey::of(reference_id)).unwrap_or_default()
    }

    /// An overview of the spool: the runs that wait, and why.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn overview(&self) -> Result<Overview, SpoolError> {
        Overview::of(&self.store)
    }

    /// Folds notifications of one run by DX's rule.
    ///
    /// # Errors
    /// [`NoVerdict`]: the notifications are refused, or the plugin failed.
    pub fn merge(&self, history: &[Notification]) -> Result<Report, NoVerdict> {
        self.judge.merge(history)
    }

    /// The policies and the default plugin.
    #[must_use]
    pub fn plugins(&self) -> &Judge {
        &self.judge
    }

    /// The spool.
    ///
    /// # Errors
    /// The reason why it could not be opened; notifications are then kept in memory only.
    pub fn spool(&self) -> Result<&Spool, &SpoolError> {
        self.store.spool()
    }

    /// The client for DX, if a URL was given.
    #[must_use]
    pub fn dx(&self) -> Option<&Client> {
        self.dx.as_ref()
    }

    /// The DX and token that notifications are recorded for.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Sends a run, or a job of a run that DX has, once, within `timeout`. It is neither judged nor recorded.
    pub(crate) fn send(&self, run: &Run, job: Option<&Job>, timeout: Duration) -> Outcome {
        let sent = self.with_outlet(|outlet| match job {
            Some(job) => outlet.upsert_job(run, job, timeout),
            None => outlet.upsert(run, timeout),
        });
        sent.unwrap_or_else(|why| Outcome::Unreachable { why: why.to_owned() })
    }

    /// Calls `use_it` with DX, or with the place where deliveries end instead.
    ///
    /// # Errors
    /// The reason why there is none.
    fn with_outlet<T>(&self, use_it: impl FnOnce(&dyn Outlet) -> T) -> Result<T, &'static str> {
        match (&self.outlet, &self.dx, &self.token) {
            (Some(outlet), ..) => Ok(use_it(outlet.as_ref())),
            (None, Some(client), Some(token)) => Ok(use_it(&ToDx { client, token })),
            (None, None, _) => Err("DX_API_URL is not set"),
            (None, _, None) => Err("DX_API_TOKEN is not set"),
        }
    }

    /// Returns true if deliveries end at an outlet instead of DX.
    #[must_use]
    pub fn has_outlet(&self) -> bool {
        self.outlet.is_some()
    }

    /// Returns true if there is a token to deliver with, or an outlet, which needs none.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.outlet.is_some()
    }

    /// The time that deliveries may take.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Delivers, beginning with the run that was recorded, and adds the result to its receipt.
    #[must_use]
    pub fn deliver_recorded(&self, mut receipt: Receipt, budget: &Budget, wait: bool) -> Receipt {
        receipt.delivery = Some(self.deliver(Some(&receipt.reference_id), budget, wait));
        receipt
    }

    /// A time as the rules read it, in RFC 3339; none if it is not a time, or the rules cannot be loaded.
    fn time(&self, time: &str) -> Option<String> {
        if clock::is_time(time) {
            return Some(time.to_owned());
        }
        let probe = Notification {
            pipeline_name: Some("-".into()),
            pipeline_source: Some("-".into()),
            reference_id: Some("-".into()),
            started_at: Some(time.into()),
            ..Notification::default()
        };
        self.judge.merge(&[probe]).ok().map(|report| report.run.started_at)
    }

    /// The hook and fields that are reported: all, or the facts only.
    fn reported_part(&self, hook: Hook, notification: Notification) -> (Hook, Notification) {
        if !self.facts_only {
            return (hook, notification);
        }
        // An urgent step is the one hook that reports without a status and without an end.
        let facts = Notification {
            pipeline_name: notification.pipeline_name,
            pipeline_source: notification.pipeline_source,
            reference_id: notification.reference_id,
            started_at: notification.started_at,
            repository: notification.repository,
            commit_sha: notification.commit_sha,
            pr_number: notification.pr_number,
            head_branch: notification.head_branch,
            urgent: true,
            ..Notification::default()
        };
        (Hook::Step, facts)
    }

    fn own(&self, what: &Flush, explicit: bool) -> Ownership {
        Ownership {
            destination: self.destination.clone(),
            explicit,
            adopt: what.other_tokens,
            policies: self.judge.chain().clone(),
            rejudge: what.rejudge,
        }
    }

    fn drain(&self, options: &DeliveryOptions<'_>, own: Ownership, abandon_after: Option<Duration>) -> Delivery {
        let explicit = own.explicit;
        // Before the drain lock is taken: other processes need not wait while a policy is compiled here.
        if options.first.is_some() || self.store.runs().is_ok_and(|runs| !runs.is_empty()) {
            self.judge.prepare();
        }
        let deliverer = |outlet: &dyn Outlet| {
            let (judge, store) = (&self.judge, &self.store);
            Deliverer {
                judge,
                store,
                outlet,
                own,
                jobs: self.jobs,
                abandon_after,
            }
            .deliver(options)
        };
        let mut delivery = self.with_outlet(deliverer).unwrap_or_else(Delivery::impossible);
        match self.store.tidy(explicit) {
            Ok(aside) => aside.iter().for_each(|aside| delivery.warn(aside.to_string())),
            Err(error) => delivery.warn(error.to_string()),
        }
        delivery
    }
}

/// A notification that the plugin accepted and that is not yet recorded.
#[derive(Clone, Debug)]
pub struct JudgedNotification {
    hook: Hook,
    notification: Notification,
    verdict: Judgement,
    warnings: Vec<String>,
    /// True if it has no verdict because a policy is not compiled yet.
    is_pending: bool,
}

impl JudgedNotification {
    /// The notification as it will be recorded.
    #[must_use]
    pub fn notification(&self) -> &Notification {
        &self.notification
    }
}

/// The choice of runs and policies for a flush.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Only the run of this `reference_id`.
    pub only: Option<String>,
    /// Also sends notifications recorded for other tokens of the same DX, such as after a token was replaced.
    pub other_tokens: bool,
    /// Applies this reporter's policies also to notifications recorded under others, in their place, such as after a policy was corrected.
    /// Without policies it changes nothing: the empty chain never replaces a policy.
    pub rejudge: bool,
    /// Ends runs without an end and without activity for this long: they are sent as cancelled.
    pub abandon: Option<Duration>,
}

impl Delivery {
    fn impossible(why: &str) -> Self {
        Self {
            impossible: Some(why.into()),
            ..Self::default()
        }
    }
}
