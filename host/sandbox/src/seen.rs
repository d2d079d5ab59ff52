//! What the rules saw of a question, once policies are through with it.

use crate::types::{Notification, Run, Status, Verdict};

/// What a chain answers, and what it let through to the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The verdict.
    pub verdict: Verdict,
    /// The notifications that the rules got, with what policies changed in the report. This is what may be stored or shown: what a
    /// policy takes out is not in it. None if a policy held or discarded without asking what is behind it; and where it was not wanted.
    pub seen: Option<Vec<Notification>>,
}

impl From<Run> for Notification {
    /// What a system would say that has only this to say of the whole run.
    fn from(run: Run) -> Self {
        Self {
            pipeline_name: Some(run.pipeline_name),
            pipeline_source: Some(run.pipeline_source),
            reference_id: Some(run.reference_id),
            started_at: Some(run.started_at),
            finished_at: run.finished_at,
            status: (run.status != Status::Unknown).then(|| run.status.to_string()),
            repository: run.repository,
            commit_sha: run.commit_sha,
            pr_number: run.pr_number,
            source_url: run.source_url,
            head_branch: run.head_branch,
            email: run.email,
            github_username: run.github_username,
            gitlab_username: run.gitlab_username,
            ..Self::default()
        }
    }
}

/// What the rules saw behind a policy that answers `verdict`, and was itself answered `inner` in this order.
pub(crate) fn behind(verdict: &Verdict, mut inner: Vec<Answered>) -> Option<Vec<Notification>> {
    // A policy may ask more than once; the last question counts.
    match (inner.pop(), verdict) {
        (Some(answered), Verdict::Report(report)) => {
            let mut seen = answered.seen?;
            let rules = match &answered.verdict {
                Verdict::Report(run) => Some(Notification::from(run.clone())),
                _ => None,
            };
            let report = Notification::from(report.clone());
            seen.iter_mut().for_each(|event| follow(event, rules.as_ref(), &report));
            Some(seen)
        }
        (Some(answered), _) => answered.seen,
        (None, Verdict::Report(report)) => Some(vec![report.clone().into()]),
        (None, _) => None,
    }
}

/// Changes in a notification what a policy changed between the rules' report and its own; everything, if the rules had none.
fn follow(event: &mut Notification, rules: Option<&Notification>, report: &Notification) {
    macro_rules! follow {
        ($($field:ident)*) => {
            $(if rules.is_none_or(|rules| rules.$field != report.$field) {
                event.$field.clone_from(&report.$field);
            })*
        };
    }
    follow!(pipeline_name pipeline_source started_at finished_at status repository commit_sha pr_number source_url);
    follow!(head_branch email github_username gitlab_username);
}
