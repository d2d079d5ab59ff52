//! The same answers as the component's, byte for byte, for what the rules' property tests ask.

use super::generate::{hostile, valid};
use super::{HOOKS, Host, natively};
use pipefold_core::Hook;
use pipefold_plugin as rules;
use pipefold_sandbox::foreign::json;
use pipefold_sandbox::{Attribute, HookError, Limits, Notification, Plugin, Report, Sandbox, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::LazyLock;

static COMPONENT: LazyLock<Plugin> =
    LazyLock::new(|| Sandbox::new(Limits::default()).unwrap().default_plugin().unwrap());

/// The rules' notification in the sandbox's type, which has the JSON form.
fn notification(from: &rules::Notification) -> Notification {
    let from = from.clone();
    Notification {
        pipeline_name: from.pipeline_name,
        pipeline_source: from.pipeline_source,
        reference_id: from.reference_id,
        started_at: from.started_at,
        finished_at: from.finished_at,
        status: from.status,
        repository: from.repository,
        commit_sha: from.commit_sha,
        pr_number: from.pr_number,
        source_url: from.source_url,
        head_branch: from.head_branch,
        email: from.email,
        github_username: from.github_username,
        gitlab_username: from.gitlab_username,
        step: from.step,
        step_id: from.step_id,
        allowed_to_fail: from.allowed_to_fail,
        urgent: from.urgent,
        attributes: from
            .attributes
            .into_iter()
            .map(|rules::Attribute { key, value }| Attribute { key, value })
            .collect(),
    }
}

/// What `pipefold hook` makes of the component's answer: exit code and line.
fn shown(answer: Result<Value, HookError>) -> (u32, String) {
    let (code, value) = match answer {
        Ok(value) => (0, value),
        Err(HookError::Refused(violations)) => (2, json!({ "violations": violations })),
        Err(error) => panic!("{error}"),
    };
    (code, json(&value.to_string()))
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(Report { run, jobs }) => json!({ "verdict": "report", "run": run, "jobs": jobs }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}

thread_local! {
    /// One instance for all cases, beside a fresh one for each.
    static REUSED: RefCell<Host> = RefCell::new(Host::new());
}

/// Asks all hooks about a history, and about its first notification.
fn check(history: &[rules::Notification]) {
    let mut history: Vec<Notification> = history.iter().map(notification).collect();
    // A JSON object has each key once, and the last of several counts.
    let whole = serde_json::to_string(&history).unwrap();
    history = serde_json::from_value(serde_json::from_str(&whole).unwrap()).unwrap();
    let first = serde_json::to_string(&history[0]).unwrap();
    for (hook, _) in HOOKS {
        let (input, expected) = match hook {
            Hook::Start => (&first, COMPONENT.pipeline_start(&history[0]).map(verdict)),
            Hook::Step => (&first, COMPONENT.step(&history[0]).map(verdict)),
            Hook::Finish => (&whole, COMPONENT.pipeline_finish(&history).map(verdict)),
            Hook::Merge => {
                let merged = COMPONENT.merge(&history);
                (
                    &whole,
                    merged.map(|Report { run, jobs }| json!({ "run": run, "jobs": jobs })),
                )
            }
        };
        let expected = shown(expected);
        assert_eq!(
            Host::new().ask(hook, input.as_bytes()),
            expected,
            "fresh, {hook:?}: {input}"
        );
        let again = REUSED.with_borrow_mut(|host| host.ask(hook, input.as_bytes()));
        assert_eq!(again, expected, "reused, {hook:?}: {input}");
        assert_eq!(natively(hook, input.as_bytes()), expected, "{hook:?}: {input}");
    }
}

proptest! {
    #[test]
    fn valid_notifications_get_the_components_answers(history in prop::collection::vec(valid(), 1..16)) {
        prop_assert!(rules::merge(&history).is_ok());
        check(&history);
    }

    #[test]
    fn any_notifications_get_the_components_answers(history in prop::collection::vec(hostile(), 1..6)) {
        check(&history);
    }
}

#[test]
fn texts_that_terminals_obey_get_the_components_answers() {
    let text = Some("##vso[a]\u{202e}é\u{e0041}\"\\".to_owned());
    let event = rules::Notification {
        pipeline_name: text.clone(),
        pipeline_source: text.clone(),
        reference_id: text.clone(),
        started_at: Some("2025-01-01".into()),
        head_branch: text,
        urgent: true,
        ..rules::Notification::default()
    };
    check(std::slice::from_ref(&event));
    let step = rules::Notification {
        step: event.head_branch.clone(),
        ..event
    };
    check(&[step]);
}

#[test]
fn the_largest_histories_get_the_components_answers() {
    let event = rules::Notification {
        pipeline_name: Some("n".repeat(700)),
        pipeline_source: Some("a".into()),
        reference_id: Some("b".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..rules::Notification::default()
    };
    let steps = |count: usize| -> Vec<_> {
        let numbered = |number: usize| rules::Notification {
            step: Some(format!("step {number}")),
            ..event.clone()
        };
        (0..count).map(numbered).collect()
    };
    // All that the rules allow, one notification too many, and too many bytes.
    check(&steps(10_000));
    check(&steps(10_001));
    check(&vec![
        rules::Notification {
            step: Some("s".repeat(200)),
            ..event.clone()
        };
        9_999
    ]);
}
