//! Records many notifications at once, for a host that reads runs from another system's history.

use crate::{
    clock,
    judge::Refused,
    reporter::Reporter,
    spool::{Entry, Hook, Judgement},
    store::BatchError,
};
use pipefold_sandbox::Notification;

/// The result of recording a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Notifications that are on disk.
    pub recorded: usize,
    /// Notifications that a policy dropped.
    pub discarded: usize,
    /// Notifications that the plugin refused: the run's `reference_id`, and everything that is wrong.
    pub refused: Vec<(String, Refused)>,
    /// The first reason why the plugin or a policy gave no verdict. Such notifications are recorded, and the next flush judges them again.
    pub unjudged: Option<String>,
}

impl Reporter {
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
}
