//! What a caller gets back for a notification.

use crate::{deliver::Delivery, spool::Judgement};
use pipefold_sandbox::Verdict;

/// What became of one notification.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// When the run or step began, as recorded.
    pub started_at: String,
    /// What the plugin said of it; none if the plugin failed, in which case the notification is kept and judged again later.
    pub verdict: Option<Verdict>,
    /// Whether it is on disk. If not, it lives only as long as the [`Reporter`](crate::Reporter).
    pub on_disk: bool,
    /// Whether it is a step of a run whose end was recorded before. It waits until something of the run is delivered again.
    pub after_the_end: bool,
    /// What was delivered, if this call delivered.
    pub delivery: Option<Delivery>,
    /// Things worth telling that stopped nothing.
    pub warnings: Vec<String>,
}

impl Receipt {
    /// Whether nothing of this run waits any more that could be sent.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.delivery
            .as_ref()
            .is_some_and(|delivery| delivery.first_settled && self.trouble().is_none())
    }

    /// Why the run is not settled, as far as the delivery knows; none if nothing was delivered.
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

    /// Why something of the run is left, if it was to be delivered and something is.
    #[must_use]
    pub fn left(&self) -> Option<&str> {
        self.why_not_settled().filter(|_| !self.is_settled())
    }

    /// Why a policy discarded the run, if one did.
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

    /// Whether DX, or the rules, refused the run for good.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        let rejected = self.delivery.iter().flat_map(|delivery| &delivery.rejected);
        rejected
            .into_iter()
            .any(|rejected| rejected.reference_id == self.reference_id)
    }

    /// Why the run waits, or why DX refused it.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        let delivery = self.delivery.as_ref()?;
        delivery
            .impossible
            .as_deref()
            .or_else(|| delivery.trouble_of(&self.reference_id))
    }
}

/// The verdict behind what the spool keeps, if there is one.
pub fn verdict(judged: &Judgement) -> Option<Verdict> {
    match judged {
        Judgement::Report(run) => Some(Verdict::Report(run.clone())),
        Judgement::Hold => Some(Verdict::Hold),
        Judgement::Discard(reason) => Some(Verdict::Discard(reason.clone())),
        Judgement::Unjudged(_) => None,
    }
}
