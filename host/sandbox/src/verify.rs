//! The question to one policy, and the host's checks of its answer by the rules: only they know what DX accepts.

use crate::{
    answer::{self, Answered},
    call::{CallFailure, Ran},
    changes::Changes,
    error::HookError,
    fit::Role,
    foreign::listed,
    link::{Link, Next},
    plugin::Plugin,
    policy::Mode,
    question::{Asking, OwnedQuestion, Question},
    tally::Outcome,
    trace::Visit,
    types::{Report, Verdict, Violation},
};
use std::sync::Arc;

/// A policy's answer to a question.
pub struct Asked {
    pub answered: Result<Answered, CallFailure>,
    /// `None` if a link behind it failed, which says nothing about this one.
    pub outcome: Option<Outcome>,
    pub changes: Changes,
    ran: Ran,
}

/// Asks a policy, checks its answer and counts it. `next` are the links behind it.
pub fn ask(plugin: &Plugin, policy: &Link, question: &Question<'_>, next: Next, asking: &Arc<Asking>) -> Asked {
    let (called, mut ran) = policy.call_hook(plugin.core(), question, Some(next), asking);
    let result = called.as_ref().ok().map(|verdict| result(question, verdict, &ran));
    let inner = std::mem::take(&mut ran.answers);
    let answered = match called {
        Ok(verdict) => accept(plugin, policy, question, verdict, inner, asking),
        Err(CallFailure::Own(HookError::Refused(violations))) => {
            Err(refuse(plugin, policy, question, &violations, asking))
        }
        Err(failed) => Err(failed),
    };
    let (outcome, changes) = match &answered {
        Ok(_) => result.map_or_else(Default::default, |(outcome, changes)| (Some(outcome), changes)),
        Err(CallFailure::Further(HookError::Refused(_))) => (Some(Outcome::Refused), Changes::default()),
        Err(CallFailure::Further(_)) => (None, Changes::default()),
        Err(CallFailure::Own(_)) => (Some(Outcome::Failed), Changes::default()),
    };
    if let Some(outcome) = outcome {
        policy.tally.count(outcome, ran.time, ran.memory);
    }
    Asked {
        answered,
        outcome,
        changes,
        ran,
    }
}

/// Compares a policy's verdict and what it passed on with what it got.
fn result(question: &Question<'_>, verdict: &Verdict, ran: &Ran) -> (Outcome, Changes) {
    let got = ran.answers.last().map(|answered| &answered.verdict);
    let passed = ran.passed.as_ref().map(OwnedQuestion::notifications);
    let changes = Changes::between(question.notifications(), passed, got, Some(verdict));
    let outcome = match (verdict, got) {
        (Verdict::Hold, Some(Verdict::Hold)) | (Verdict::Discard(_), Some(Verdict::Discard(_))) => None,
        (Verdict::Hold, _) => Some(Outcome::Held),
        (Verdict::Discard(_), _) => Some(Outcome::Discarded),
        (Verdict::Report(_), Some(Verdict::Report(_))) => None,
        (Verdict::Report(_), _) => Some(Outcome::Changed),
    };
    let unless_other = || {
        if changes.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Changed
        }
    };
    (outcome.unwrap_or_else(unless_other), changes)
}

impl Asked {
    /// The record of the call.
    pub fn visit(&self, policy: &Link, question: &Question<'_>) -> Visit {
        Visit {
            policy: policy.name().into(),
            role: Role::Policy,
            monitored: policy.mode == Mode::Monitor,
            question: OwnedQuestion::of(question),
            passed: self.ran.passed.clone(),
            answer: match &self.answered {
                Ok(answered) => Ok(answered.verdict.clone()),
                Err(CallFailure::Own(error) | CallFailure::Further(error)) => Err(error.to_string()),
            },
            outcome: self.outcome,
            changes: self.changes.names(),
            time: self.ran.time,
            memory: self.ran.memory,
        }
    }
}

/// Checks a policy's report by the rules, unless it equals a report that the policy got.
fn accept(
    plugin: &Plugin,
    policy: &Link,
    question: &Question<'_>,
    verdict: Verdict,
    inner: Vec<Answered>,
    asking: &Arc<Asking>,
) -> Result<Answered, CallFailure> {
    let verdict = match verdict {
        Verdict::Report(report) if !inner.iter().any(|answered| is_report(&answered.verdict, &report)) => {
            match plugin.fold(&report.into_notifications(), asking) {
                Ok(report) => Verdict::Report(report),
                Err(HookError::Refused(violations)) => {
                    let reason = format!("the rules refuse its report: {}", listed(&violations));
                    return Err(CallFailure::Own(policy.bad_answer(question.hook(), reason)));
                }
                Err(error) => return Err(CallFailure::Further(error)),
            }
        }
        verdict => verdict,
    };
    let seen = asking.seen.then(|| answer::seen_behind(&verdict, inner)).flatten();
    Ok(Answered { verdict, seen })
}

/// Finds the fault in a policy's refusal: the question's, if the rules refuse it as the policy got it, else the policy's.
fn refuse(
    plugin: &Plugin,
    policy: &Link,
    question: &Question<'_>,
    violations: &[Violation],
    asking: &Arc<Asking>,
) -> CallFailure {
    match plugin.judge(question, asking) {
        Ok(_) => {
            let reason = format!("it refuses what the rules accept: {}", listed(violations));
            CallFailure::Own(policy.bad_answer(question.hook(), reason))
        }
        Err(error) => CallFailure::Further(error),
    }
}

fn is_report(verdict: &Verdict, report: &Report) -> bool {
    matches!(verdict, Verdict::Report(other) if other == report)
}
