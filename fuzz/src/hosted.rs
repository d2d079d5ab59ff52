//! The rules' own types as the host has them: both are generated from the same contract, and neither side knows the other's.

use pipefold_plugin::{Notification, Run, Status};

/// The same notification as the sandbox's host has it.
#[must_use]
pub fn notification(event: &Notification) -> pipefold_sandbox::Notification {
    let Notification {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        allowed_to_fail,
        urgent,
    } = event.clone();
    pipefold_sandbox::Notification {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        allowed_to_fail,
        urgent,
    }
}

/// The same run as the sandbox's host has it.
#[must_use]
pub fn run(run: &Run) -> pipefold_sandbox::Run {
    let Run {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
    } = run.clone();
    pipefold_sandbox::Run {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status: match status {
            Status::Unknown => pipefold_sandbox::Status::Unknown,
            Status::Running => pipefold_sandbox::Status::Running,
            Status::Success => pipefold_sandbox::Status::Success,
            Status::Cancelled => pipefold_sandbox::Status::Cancelled,
            Status::Failure => pipefold_sandbox::Status::Failure,
        },
        repository,
        commit_sha,
        pr_number,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
    }
}
