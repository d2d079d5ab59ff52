//! The bytes of texts, which the rules bound.

use pipefold_sandbox::{Job, Notification};

/// Returns the bytes of a job's texts.
pub fn job_bytes(job: &Job) -> u64 {
    (job.reference_id.len() + job.name.len()) as u64
}

/// Returns the bytes of all texts of a notification.
pub fn text_bytes(notification: &Notification) -> u64 {
    // No `..`: a new field must be added here.
    let Notification {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number: _,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        allowed_to_fail: _,
        urgent: _,
        step_id: _,
        attributes,
    } = notification;
    let of_attributes = attributes
        .iter()
        .map(|attribute| (attribute.key.len() + attribute.value.len()) as u64);
    [
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
    ]
    .into_iter()
    .flatten()
    .map(|text| text.len() as u64)
    .chain(of_attributes)
    .sum()
}
