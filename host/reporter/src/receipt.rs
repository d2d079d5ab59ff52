//! The results of reporting one notification, and of recording many.

use crate::{deliver::Delivery, judge::Refused, spool::Judgement};
use pipefold_sandbox::Verdict;

/// The result of reporting one notification.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// The start of the run or step, as recorded.
    pub started_at: String,
    /// The verdict; none if the plugin failed. The notification is then recorded and judged again later.
    pub verdict: Option<Verdict>,
    /// True if it is on disk. If not, it is kept in memory as long as the [`Reporter`](crate::Reporter) exists.
    pub on_disk: bool,
    /// True for a step of a run whose end was recorded before. It waits until something of the run is delivered again.
    pub after_the_end: bool,
    /// The result of the delivery, if this call delivered.
    pub delivery: Option<Delivery>,
    /// Faults that stopped nothing.
    pub warnings: Vec<String>,
}

impl Receipt {
    /// Returns true if no notification of this run that could be sent waits any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.delivery
            .as_ref()
            .is_some_and(|delivery| delivery.first_settled && self.trouble().is_none())
    }

    /// Returns why the run is not settled, as far as the delivery knows; none if this call did not deliver.
    #[must_use]
    pub fn why_not_settled(&self) -> Option<&str> {
        let delivery = self.delivery.as_ref()?;
        let other = || {
            delivery
                .warnings
                .first()
                .map_or("there was no time left to send it", String::as_str)
        };
        Some(self.trouble().unwrap_or_else(other))
    }

    /// Returns why notifications of the run still wait after a delivery, if any do.
    #[must_use]
    pub fn left(&self) -> Option<&str> {
        self.why_not_settled().filter(|_| !self.is_settled())
    }

    /// Returns why a policy discarded the run, if one did.
    #[must_use]
    pub fn discarded(&self) -> Option<&str> {
        if let Some(Verdict::Discard(reason)) = &self.verdict {
            return Some(reason);
        }
        let mut discarded = self.delivery.iter().flat_map(|delivery| &delivery.discarded);
        discarded
            .find(|run| run.reference_id == self.reference_id)
            .map(|run| run.why.as_str())
    }

    /// Returns true if DX or the rules refused the run for good.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        let rejected = self.delivery.iter().flat_map(|delivery| &delivery.rejected);
        rejected
            .into_iter()
            .any(|rejected| rejected.reference_id == self.reference_id)
    }

    /// Returns why the run waits, or why DX refused it.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        let delivery = self.delivery.as_ref()?;
        delivery
            .impossible
            .as_deref()
            .or_else(|| delivery.trouble_of(&self.reference_id))
    }
}

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

/// The verdict of a judgement; none if the plugin failed.
pub fn verdict(judged: &Judgement) -> Option<Verdict> {
    match judged {
        Judgement::Report(report) => Some(Verdict::Report(report.clone())),
        Judgement::Hold => Some(Verdict::Hold),
        Judgement::Discard(reason) => Some(Verdict::Discard(reason.clone())),
        Judgement::Unjudged(_) => None,
    }
}
