//! Rules, notifications, and the default component behind the policy.

use pipefold_plugin::Verdict;
use pipefold_policy::{Attribute, Known, Notification, Outcome, Policy, Problem, Settings};
use std::collections::BTreeMap;

/// The settings of a policy.
#[derive(Clone, Debug)]
pub struct Table(pub BTreeMap<String, String>);

impl Settings for Table {
    fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }
}

/// A policy with these rules, and further settings.
pub fn read(rules: &str, more: &[(&str, &str)]) -> Result<Policy<Table>, Vec<Problem>> {
    let rules = [("rules", rules)];
    let all = rules.iter().chain(more);
    Policy::read(Table(
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    ))
}

/// A policy with rules that have no fault.
///
/// # Panics
/// If they have one.
pub fn policy(rules: &str, more: &[(&str, &str)]) -> Policy<Table> {
    read(rules, more).unwrap_or_else(|problems| panic!("{rules}: {problems:?}"))
}

/// A notification with all fields.
pub fn event() -> Notification {
    Notification {
        pipeline_name: Some("mono/api".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        status: Some("running".into()),
        repository: Some("getdx/mono".into()),
        commit_sha: Some("abcdef1".into()),
        pr_number: Some(42),
        source_url: Some("https://ci.example.com/1".into()),
        head_branch: Some("main".into()),
        email: Some("mona@example.com".into()),
        github_username: Some("mona".into()),
        gitlab_username: Some("mona.gl".into()),
        attributes: vec![attribute("queue", "large"), attribute("team", "web")],
        ..Notification::default()
    }
}

/// A notification of a step.
pub fn step(name: &str) -> Notification {
    Notification {
        step: Some(name.into()),
        ..event()
    }
}

pub fn attribute(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.into(),
        value: value.into(),
    }
}

/// What passes of one notification.
///
/// # Panics
/// If it is held or discarded.
pub fn passed(policy: &Policy<Table>, event: Notification) -> Notification {
    match policy.judge(vec![event], Known::Part) {
        Outcome::Pass {
            mut events,
            hold: false,
        } if events.len() == 1 => events.remove(0),
        other => panic!("{other:?}"),
    }
}

/// The reason for which they are discarded, `held`, or `passed`.
pub fn decided(policy: &Policy<Table>, events: Vec<Notification>, known: Known) -> String {
    match policy.judge(events, known) {
        Outcome::Pass { hold: false, .. } => "passed".into(),
        Outcome::Pass { hold: true, .. } => "held".into(),
        Outcome::Discard(reason) => reason,
    }
}

/// The steps that are left of a history; an empty name is that of the whole run.
///
/// # Panics
/// If it is discarded.
pub fn steps(policy: &Policy<Table>, history: Vec<Notification>) -> Vec<String> {
    match policy.judge(history, Known::All) {
        Outcome::Pass { events, .. } => events.into_iter().map(|event| event.step.unwrap_or_default()).collect(),
        Outcome::Discard(reason) => panic!("{reason}"),
    }
}

/// Judges notifications by the default component, as a history or as a start.
pub fn judged(events: &[Notification], known: Known) -> Result<Verdict, Vec<pipefold_plugin::Violation>> {
    let events: Vec<pipefold_plugin::Notification> = events.iter().cloned().map(of_plugin).collect();
    match known {
        Known::All => pipefold_plugin::pipeline_finish(&events),
        Known::Part => pipefold_plugin::pipeline_start(&events[0]),
    }
}

/// The same notification as the default component has it.
pub fn of_plugin(event: Notification) -> pipefold_plugin::Notification {
    let attributes = event.attributes.into_iter();
    pipefold_plugin::Notification {
        pipeline_name: event.pipeline_name,
        pipeline_source: event.pipeline_source,
        reference_id: event.reference_id,
        started_at: event.started_at,
        finished_at: event.finished_at,
        status: event.status,
        repository: event.repository,
        commit_sha: event.commit_sha,
        pr_number: event.pr_number,
        source_url: event.source_url,
        head_branch: event.head_branch,
        email: event.email,
        github_username: event.github_username,
        gitlab_username: event.gitlab_username,
        step: event.step,
        step_id: event.step_id,
        allowed_to_fail: event.allowed_to_fail,
        urgent: event.urgent,
        attributes: attributes
            .map(|Attribute { key, value }| pipefold_plugin::Attribute { key, value })
            .collect(),
    }
}
