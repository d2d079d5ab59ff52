//! The judging and folding of notifications. The rules themselves are in the component.
//!
//! Policies judge each notification once, when it arrives. The store gets the notification as the last policy passed it to the rules, so
//! pages, feeds and DX show nothing that a policy removed. After that only the rules judge it.

use crate::store::{Fold, FoldError, Folded};
use pipefold::{Judge, NoVerdict};
use pipefold_sandbox::{Answered, Notification, Question, Run, Status, Verdict};
use std::sync::{Arc, LazyLock};

/// The sandboxed component with the rules, and the policies in front of it.
#[derive(Clone)]
pub struct Rules {
    judge: Arc<Judge>,
    has_policies: bool,
}

/// The outcome of the policies for a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// It is stored and sent on, as the policies left it.
    Kept(Vec<Notification>),
    /// It is stored as the policies left it, and is no reason to send the run to DX.
    Held(Vec<Notification>),
    /// A policy drops it.
    Dropped {
        /// The policy's reason.
        why: String,
        /// True if it drops the start of the run, and so all of it.
        whole: bool,
    },
}

/// The rules without any policy.
static ALONE: LazyLock<Judge> = LazyLock::new(Judge::default);

impl Rules {
    /// The rules behind the policies of `judge`.
    #[must_use]
    pub fn new(judge: Arc<Judge>) -> Self {
        Self {
            has_policies: !judge.policies().is_empty(),
            judge,
        }
    }

    /// Returns true if there are policies. They may take a second, the rules alone take microseconds.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        self.has_policies
    }

    /// Judges a notification that arrived by the policies. Without policies nothing is judged here: the rules judge it when it is folded.
    ///
    /// # Errors
    /// The refusal of the rules, or the failure of a policy, also if the rules refuse its result.
    pub fn admit(&self, notification: &Notification) -> Result<Admitted, FoldError> {
        if !self.has_policies {
            return Ok(Admitted::Kept(vec![notification.clone()]));
        }
        let question = question(notification);
        // A policy may discard a run at its start alone, and a sender may report its end alone.
        if let Question::PipelineFinish(_) = question
            && let Verdict::Discard(why) = self.judge.ask(&Question::PipelineStart(notification)).map_err(failed)?
        {
            return Ok(Admitted::Dropped { why, whole: true });
        }
        let Answered { verdict, seen } = self.judge.ask_and_see(&question).map_err(failed)?;
        if let Verdict::Discard(why) = verdict {
            let whole = matches!(question, Question::PipelineStart(_));
            return Ok(Admitted::Dropped { why, whole });
        }
        let Some(mut seen) = seen else {
            let why = "a policy held it and did not show it to the rules".to_owned();
            return Ok(Admitted::Dropped { why, whole: false });
        };
        for kept in &mut seen {
            // Policies choose a run's names, and not which run it is.
            kept.reference_id.clone_from(&notification.reference_id);
        }
        // A refusal now is the fault of the policies: it must not be the sender's, nor wait in the store.
        ALONE
            .ask(&Question::PipelineFinish(&seen))
            .map_err(|error| FoldError::Failed(format!("after the policies the rules refuse it: {error}")))?;
        Ok(if verdict == Verdict::Hold && !rules_hold(&question, &seen) {
            Admitted::Held(seen)
        } else {
            Admitted::Kept(seen)
        })
    }

    /// Folds the admitted notifications of one run, by the rules alone.
    ///
    /// # Errors
    /// The refusal, or the failure of the rules.
    pub fn run(&self, history: &[Notification]) -> Result<Run, FoldError> {
        let rules = if self.has_policies { &*ALONE } else { &*self.judge };
        match rules.ask(&Question::PipelineFinish(history)).map_err(failed)? {
            Verdict::Report(report) => Ok(report.run),
            Verdict::Hold | Verdict::Discard(_) => rules.merge(history).map(|report| report.run).map_err(failed),
        }
    }

    /// Folds them as [`Rules::run`] does, with the notifications that stand for all of them.
    ///
    /// # Errors
    /// As [`Rules::run`].
    pub fn fold(&self, history: &[Notification]) -> Result<Folded, FoldError> {
        let record = self.run(history)?;
        let (mut counted, mut others) = (Vec::new(), Vec::new());
        for one in history {
            let part = if self.counts_as_step(one)? {
                &mut counted
            } else {
                &mut others
            };
            part.push(one.clone());
        }
        let parts = if counted.is_empty() {
            vec![record.clone().into()]
        } else {
            // The run's own outcome counts if there is any, else that of the steps. So each has a part of its own; steps that are allowed
            // to fail add no outcome, and are in the run's.
            let name = counted[0].step.clone();
            let steps = Notification {
                step: name,
                ..self.part(counted)?
            };
            let whole = if others.is_empty() {
                None
            } else {
                Some(self.part(others)?)
            };
            whole.into_iter().chain([steps]).collect()
        };
        Ok(Folded { record, parts })
    }

    /// Returns one notification with the content of these together. A single one stands for itself.
    fn part(&self, mut some: Vec<Notification>) -> Result<Notification, FoldError> {
        match (some.len(), some.pop()) {
            (1, Some(one)) => Ok(one),
            (_, last) => {
                some.extend(last);
                self.run(&some).map(Notification::from)
            }
        }
    }

    /// Returns true if the rules take a valid notification for one of a step whose outcome may be the run's.
    fn counts_as_step(&self, notification: &Notification) -> Result<bool, FoldError> {
        match &notification.step {
            Some(_) if notification.allowed_to_fail => Ok(false),
            Some(name) if name.contains(char::is_alphanumeric) => Ok(true),
            // The rules decide about a blank name: of a step they take no finish.
            Some(_) => {
                let probe = Notification {
                    finished_at: notification.started_at.clone(),
                    ..notification.clone()
                };
                Ok(self.run(&[probe])?.finished_at.is_none())
            }
            None => Ok(false),
        }
    }

    /// Folds by DX's rule alone.
    ///
    /// # Errors
    /// As [`Rules::run`].
    pub fn merge(&self, history: &[Notification]) -> Result<Run, FoldError> {
        self.judge.merge(history).map(|report| report.run).map_err(failed)
    }

    /// Returns the fold that a store is opened with.
    #[must_use]
    pub fn for_store(&self) -> Fold {
        let rules = self.clone();
        Arc::new(move |notifications| rules.fold(notifications))
    }
}

/// Returns the question for the policies: the hook that a runner would have called for it.
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
        Question::PipelineFinish(std::slice::from_ref(notification))
    }
}

/// Returns true if the rules alone hold it, as they hold steps until their run has something to report.
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
