//! The rules' place: enough of them to show a run.

use crate::store::Folded;
use pipefold_sandbox::{Notification, Run, Status};

/// Folds what the rules would take, and what they would not.
pub fn fold(history: &[Notification]) -> Folded {
    let (steps, whole): (Vec<_>, Vec<_>) = history.iter().cloned().partition(|n| n.step.is_some());
    let mut parts = Vec::new();
    if !whole.is_empty() {
        parts.push(run(&whole).into());
    }
    if let Some(first) = steps.first() {
        parts.push(Notification {
            step: first.step.clone(),
            ..run(&steps).into()
        });
    }
    Folded {
        record: run(history),
        parts,
    }
}

fn run(history: &[Notification]) -> Run {
    let greatest = |of: fn(&Notification) -> &Option<String>| history.iter().filter_map(|n| of(n).clone()).max();
    let of_run: Vec<Status> = history.iter().filter(|n| n.step.is_none()).map(status).collect();
    let finals = of_run.iter().filter(|status| **status > Status::Running).max();
    let any = history.iter().filter(|n| !n.allowed_to_fail).map(status).max();
    Run {
        pipeline_name: greatest(|n| &n.pipeline_name).unwrap_or_default(),
        pipeline_source: greatest(|n| &n.pipeline_source).unwrap_or_default(),
        reference_id: greatest(|n| &n.reference_id).unwrap_or_default(),
        started_at: history
            .iter()
            .filter_map(|n| n.started_at.clone())
            .min()
            .unwrap_or_default(),
        finished_at: history
            .iter()
            .filter(|n| n.step.is_none())
            .filter_map(|n| n.finished_at.clone())
            .max(),
        // Steps of a run that has not ended do not end it.
        status: finals
            .copied()
            .or(any.map(|status| status.min(Status::Running)))
            .unwrap_or_default(),
        repository: greatest(|n| &n.repository),
        commit_sha: greatest(|n| &n.commit_sha),
        pr_number: history.iter().filter_map(|n| n.pr_number).max(),
        source_url: greatest(|n| &n.source_url),
        head_branch: greatest(|n| &n.head_branch),
        email: greatest(|n| &n.email),
        github_username: greatest(|n| &n.github_username),
        gitlab_username: greatest(|n| &n.gitlab_username),
    }
}

fn status(notification: &Notification) -> Status {
    match notification.status.as_deref() {
        Some("running") => Status::Running,
        Some("success") => Status::Success,
        Some("cancelled") => Status::Cancelled,
        Some("failure") => Status::Failure,
        _ => Status::Unknown,
    }
}
