//! The way of a report into the store, whatever request it came with: the policies judge it, and what they leave of it is stored.

use super::app::Signals;
use crate::access::Access;
use crate::rules::{Admitted, Left, NotAdmitted, Rules};
use crate::store::{Append, Kept, NewJob, RunKey, RunSummary, Store, StoreError};
use chrono::Utc;
use pipefold_sandbox::{Job, Notification, foreign::excerpt};
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The policies, the store, and the runs that the policies dropped.
pub struct Intake {
    store: Arc<dyn Store>,
    rules: Rules,
    signals: Arc<Signals>,
    dropped: DroppedRuns,
}

/// The sender of a report.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The name that is stored with what it sends: of a token, or empty; `hook:NAME` for a source.
    pub name: &'a str,
    /// The pipelines that it may write to.
    pub access: &'a Access,
}

impl Intake {
    pub(super) fn new(store: Arc<dyn Store>, rules: Rules, signals: Arc<Signals>) -> Self {
        Self {
            store,
            rules,
            signals,
            dropped: DroppedRuns::default(),
        }
    }

    /// Returns true if there are policies that are enforced. They may be there to hide names.
    pub(crate) fn has_policies(&self) -> bool {
        self.rules.has_policies()
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns what the policies leave of a notification of a whole run; `None` if they drop it.
    ///
    /// # Errors
    /// The refusal of the rules, or the failure of a policy.
    pub(crate) fn admit(&self, notification: &Notification) -> Result<Option<Left>, StoreError> {
        let reference_id = notification.reference_id.as_deref().unwrap_or_default();
        if self.has_policies() && self.dropped.has(reference_id) {
            return Ok(None);
        }
        let admitted = self.judged(|| self.rules.admit(notification))?;
        Ok(self.left(reference_id, admitted))
    }

    /// Returns true if a run of this name is stored.
    ///
    /// # Errors
    /// About the store.
    pub(crate) async fn knows(&self, reference_id: &str) -> Result<bool, StoreError> {
        let run = self.store.find(RunKey::Reference(reference_id.to_owned())).await?;
        Ok(run.is_some())
    }

    /// Returns what the policies leave of a job of a stored run; `None` if they drop it. `source` is the run's as the sender names it.
    ///
    /// # Errors
    /// [`StoreError::NoRun`], [`StoreError::Foreign`], the failure of a policy or of the store.
    pub(crate) async fn admit_job(
        &self,
        sender: Sender<'_>,
        reference_id: &str,
        source: &str,
        job: Job,
    ) -> Result<Option<Left>, StoreError> {
        if !self.has_policies() {
            if self.rules.only_monitors()
                && let Ok(Some(run)) = self.store.find(RunKey::Reference(reference_id.to_owned())).await
            {
                self.rules.observe_job(&run.record, source, &job, Utc::now());
            }
            return Ok(Some(Left {
                jobs: vec![job],
                ..Left::default()
            }));
        }
        if self.dropped.has(reference_id) {
            return Ok(None);
        }
        let run = self.store.find(RunKey::Reference(reference_id.to_owned())).await?;
        let run = run.ok_or(StoreError::NoRun)?;
        if !sender.access.may_write(&run.pipeline) {
            return Err(StoreError::Foreign);
        }
        match self.judged(|| self.rules.admit_job(&run.record, source, &job, Utc::now())) {
            Ok(admitted) => Ok(self.left(reference_id, admitted)),
            Err(NotAdmitted::OtherSource) => Err(StoreError::NoRun),
            Err(NotAdmitted::Failed(error)) => Err(error.into()),
        }
    }

    /// Stores what the policies left of reports of one run, all of it or nothing, and announces the change. `source` is the stored run's as
    /// the sender of jobs alone names it.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub(crate) async fn keep(
        &self,
        sender: Sender<'_>,
        reference_id: String,
        source: Option<String>,
        left: Vec<Left>,
    ) -> Result<RunSummary, StoreError> {
        let by_policies = self.has_policies();
        let (mut notifications, mut jobs) = (Vec::new(), Vec::new());
        for Left {
            notifications: of_run,
            jobs: of_jobs,
            held,
        } in left
        {
            notifications.extend(of_run.into_iter().map(|notification| Kept {
                notification,
                by_policies,
                held,
            }));
            jobs.extend(of_jobs.into_iter().map(|job| NewJob { job, by_policies, held }));
        }
        let append = Append {
            reference_id,
            // The policies may name the source otherwise; they compared it themselves.
            source: source.filter(|_| !by_policies),
            notifications,
            jobs,
            token: sender.name.to_owned(),
            access: sender.access.clone(),
            arrived: Utc::now(),
        };
        let run = self.store.append(append).await?.run;
        self.signals.announce(&run.pipeline);
        Ok(run)
    }

    /// Calls the policies, which may take a second.
    fn judged<T>(&self, ask: impl FnOnce() -> T) -> T {
        if self.has_policies() {
            tokio::task::block_in_place(ask)
        } else {
            ask()
        }
    }

    fn left(&self, reference_id: &str, admitted: Admitted) -> Option<Left> {
        match admitted {
            Admitted::Kept(left) => Some(left),
            Admitted::Dropped { why, whole } => {
                tracing::debug!("a policy dropped a report: {}", excerpt(&why));
                if whole {
                    self.dropped.add(reference_id);
                }
                None
            }
        }
    }
}

/// The most runs that are remembered, some 100 bytes each: a day's of a large installation. A forgotten run is judged by itself.
const MOST: usize = 10_000;

/// The latest runs that a policy dropped at their start, whose other notifications are dropped too.
#[derive(Debug, Default)]
struct DroppedRuns(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl DroppedRuns {
    /// Remembers a run.
    fn add(&self, reference_id: &str) {
        let key = Sha256::digest(reference_id).into();
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.known.insert(key) {
            return;
        }
        latest.order.push_back(key);
        if latest.order.len() > MOST
            && let Some(oldest) = latest.order.pop_front()
        {
            latest.known.remove(&oldest);
        }
    }

    /// Returns true if a run is one of them.
    fn has(&self, reference_id: &str) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !latest.known.is_empty() && latest.known.contains(&<[u8; 32]>::from(Sha256::digest(reference_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known() {
        let dropped = DroppedRuns::default();
        assert!(!dropped.has("0"));
        for n in 0..=MOST {
            dropped.add(&n.to_string());
            dropped.add(&n.to_string());
        }
        assert!(!dropped.has("0") && dropped.has("1") && dropped.has(&MOST.to_string()));
        assert!(dropped.0.lock().is_ok_and(|latest| latest.known.len() == MOST));
    }
}
