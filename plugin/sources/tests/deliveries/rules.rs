//! The rules, by which the host judges and folds what a mapping gives.

use crate::support::translated;
use pipefold_plugin as rules;
use pipefold_sources::{Notification, Translation};

/// The same notification for the rules: both crates have types of their own, made from one contract.
fn given(notification: &Notification) -> rules::Notification {
    let of = notification.clone();
    let attributes = of.attributes.into_iter();
    rules::Notification {
        pipeline_name: of.pipeline_name,
        pipeline_source: of.pipeline_source,
        reference_id: of.reference_id,
        started_at: of.started_at,
        finished_at: of.finished_at,
        status: of.status,
        repository: of.repository,
        commit_sha: of.commit_sha,
        pr_number: of.pr_number,
        source_url: of.source_url,
        head_branch: of.head_branch,
        email: of.email,
        github_username: of.github_username,
        gitlab_username: of.gitlab_username,
        step: of.step,
        step_id: of.step_id,
        allowed_to_fail: of.allowed_to_fail,
        urgent: of.urgent,
        attributes: attributes
            .map(|attribute| rules::Attribute {
                key: attribute.key,
                value: attribute.value,
            })
            .collect(),
    }
}

/// Returns the violations of the rules in a notification.
pub fn violations(notification: &Notification) -> Vec<rules::Violation> {
    let given = given(notification);
    let judged = match given.step {
        Some(_) => rules::step(&given),
        None => rules::pipeline_start(&given),
    };
    judged.err().unwrap_or_default()
}

/// Folds the deliveries of one run, in several orders and repeatedly, into one line for the run and one for each job: name, status, start and finish.
///
/// # Panics
/// If the order makes a difference, or the rules refuse them.
pub fn folded(system: &str, bodies: &[&str]) -> Vec<String> {
    let notifications = |body: &&str| match translated(system, &[], body) {
        Ok(Translation::Notifications(given)) => given,
        other => panic!("{other:?}\n{body}"),
    };
    let mut all: Vec<rules::Notification> = bodies.iter().flat_map(notifications).map(|one| given(&one)).collect();
    let first = fold(&all);
    for _ in 0..all.len() {
        all.rotate_left(1);
        assert_eq!(fold(&all), first);
        let backwards: Vec<rules::Notification> = all.iter().rev().chain(&all).cloned().collect();
        assert_eq!(fold(&backwards), first);
    }
    first
}

fn fold(history: &[rules::Notification]) -> Vec<String> {
    let word = |status: rules::Status| format!("{status:?}").replace("Status::", "");
    let report = rules::merge(history).unwrap();
    let time = |time: Option<String>| time.unwrap_or_else(|| "-".to_owned());
    let run = report.run;
    let run = format!(
        "{} {} {} {}",
        run.pipeline_name,
        word(run.status),
        run.started_at,
        time(run.finished_at)
    );
    let jobs = report.jobs.into_iter().map(|job| {
        format!(
            "{} {} {} {}",
            job.name,
            word(job.status),
            time(job.started_at),
            time(job.finished_at)
        )
    });
    [run].into_iter().chain(jobs).collect()
}
