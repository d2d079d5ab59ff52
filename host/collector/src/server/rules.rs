//! What the server asks about the meaning of notifications. It holds none of the rules itself.
//!
//! Policies are asked once about each notification, when it comes. The store gets the notification that the rules got from the last policy, so
//! pages, feeds and DX show nothing that a policy took away. From then on the rules alone are asked.

use crate::store::{Fold, FoldError};
use pipefold::{Judge, NoVerdict};
use pipefold_sandbox::{Answered, Notification, Question, Run, Status, Verdict};
use std::sync::{Arc, LazyLock};

/// The sandboxed component that knows what notifications mean, and the policies in front of it.
pub trait Rules: Send + Sync {
    /// Asks the policies and the rules about a notification that came.
    ///
    /// # Errors
    /// That the rules refuse it, or that a policy failed or did what the rules refuse.
    fn admit(&self, notification: &Notification) -> Result<Admitted, FoldError>;

    /// Folds what was admitted of one run, by the rules alone.
    ///
    /// # Errors
    /// That it is refused, or that the rules cannot be asked now.
    fn fold(&self, history: &[Notification]) -> Result<Run, FoldError>;

    /// Folds by DX's rule alone.
    ///
    /// # Errors
    /// As [`Rules::fold`].
    fn merge(&self, history: &[Notification]) -> Result<Run, FoldError>;

    /// Whether there are policies. They may take a second, the rules alone take microseconds.
    fn has_policies(&self) -> bool;
}

/// What becomes of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// It is kept and sent on, as the policies left it.
    Kept(Vec<Notification>),
    /// It is kept as the policies left it, and is no reason to tell DX.
    Held(Vec<Notification>),
    /// A policy drops it.
    Dropped {
        /// Its words.
        why: String,
        /// Whether it drops the start of the run, and so all of it.
        whole: bool,
    },
}

/// The rules without any policy.
static ALONE: LazyLock<Judge> = LazyLock::new(Judge::default);

impl Rules for Judge {
    fn admit(&self, notification: &Notification) -> Result<Admitted, FoldError> {
        if !self.has_policies() {
            self.ask(&finish(notification)).map_err(failed)?;
            return Ok(Admitted::Kept(vec![notification.clone()]));
        }
        let question = question(notification);
        // What a policy has against a run it may say of its start alone, and a sender may tell of its end alone.
        if let Question::PipelineFinish(_) = question
            && let Verdict::Discard(why) = self.ask(&Question::PipelineStart(notification)).map_err(failed)?
        {
            return Ok(Admitted::Dropped { why, whole: true });
        }
        let Answered { verdict, seen } = self.ask_and_see(&question).map_err(failed)?;
        if let Verdict::Discard(why) = verdict {
            let whole = matches!(question, Question::PipelineStart(_));
            return Ok(Admitted::Dropped { why, whole });
        }
        let Some(mut seen) = seen else {
            let why = "a policy held it and did not show it to the rules".to_owned();
            return Ok(Admitted::Dropped { why, whole: false });
        };
        for kept in &mut seen {
            // Policies choose what a run is called, and not which run it is.
            kept.reference_id.clone_from(&notification.reference_id);
        }
        // What the rules refuse now the policies made so: it must not be refused to the sender, nor wait in the store.
        ALONE
            .ask(&Question::PipelineFinish(&seen))
            .map_err(|error| FoldError::Failed(format!("after the policies the rules refuse it: {error}")))?;
        Ok(if verdict == Verdict::Hold && !rules_hold(&question, &seen) {
            Admitted::Held(seen)
        } else {
            Admitted::Kept(seen)
        })
    }

    fn fold(&self, history: &[Notification]) -> Result<Run, FoldError> {
        let rules = if self.has_policies() { &*ALONE } else { self };
        match rules.ask(&Question::PipelineFinish(history)).map_err(failed)? {
            Verdict::Report(run) => Ok(run),
            Verdict::Hold | Verdict::Discard(_) => rules.merge(history).map_err(failed),
        }
    }

    fn merge(&self, history: &[Notification]) -> Result<Run, FoldError> {
        self.merge(history).map_err(failed)
    }

    fn has_policies(&self) -> bool {
        !self.policies().is_empty()
    }
}

/// The question that checks a notification.
fn finish(notification: &Notification) -> Question<'_> {
    Question::PipelineFinish(std::slice::from_ref(notification))
}

/// The question for the policies: the hook that a runner would have asked about it.
fn question(notification: &Notification) -> Question<'_> {
    let status = notification.status.as_deref().map(str::trim).unwrap_or_default();
    let goes_on = ["", Status::Unknown.as_str(), Status::Running.as_str()]
        .iter()
        .any(|word| status.eq_ignore_ascii_case(word));
    if notification.step.is_some() {
        Question::Step(notification)
    } else if goes_on && notification.finished_at.is_none() {
        Question::PipelineStart(notification)
    } else {
        finish(notification)
    }
}

/// Whether the rules hold it by themselves, as they do steps until their run has something to say.
fn rules_hold(question: &Question<'_>, seen: &[Notification]) -> bool {
    matches!(question, Question::Step(_))
        && seen
            .iter()
            .all(|step| matches!(ALONE.ask(&Question::Step(step)), Ok(Verdict::Hold)))
}

fn failed(error: NoVerdict) -> FoldError {
    match error {
        NoVerdict::Refused(refused) => FoldError::Refused(refused.violations),
        NoVerdict::Failed(why) => FoldError::Failed(why),
    }
}

/// The fold that a store is opened with.
#[must_use]
pub fn fold(rules: Arc<dyn Rules>) -> Fold {
    Arc::new(move |history| rules.fold(history))
}
