//! What holds for any notification and many rules.

use crate::support::{Table, attribute, event, judged, policy, read};
use pipefold_policy::{Known, Notification, Outcome, Policy};
use proptest::prelude::*;

/// Rules of all verbs, each without a fault.
const RULES: [&str; 20] = [
    r#"{"drop": "email"}"#,
    r#"{"drop": ["repository", "attributes.team"]}"#,
    r#"{"keep": ["repository", "pr_number"]}"#,
    r#"{"keep": "attributes.*"}"#,
    r#"{"hash": ["email", "pipeline_name", "step"], "key": "k"}"#,
    r#"{"map": ["github_username", "repository"], "file": "f", "else": "drop"}"#,
    r#"{"map": ["pipeline_name", "step"], "values": {}}"#,
    r#"{"rename": "pipeline_name", "regex": "^m(.*)o", "to": "$1"}"#,
    r#"{"rename": ["repository", "step_id"], "glob": "*/*", "to": "*"}"#,
    r#"{"rename": ["head_branch", "attributes.team"], "regex": ".", "to": "$0$0$0"}"#,
    r#"{"set": "repository", "to": "a/b"}"#,
    r#"{"set": "commit_sha", "to": "0000000"}"#,
    r#"{"set": "attributes.new", "to": "x"}"#,
    r#"{"default": "head_branch", "to": "main"}"#,
    r#"{"require": "commit_sha"}"#,
    r#"{"discard": "head_branch", "glob": "*/x*"}"#,
    r#"{"discard": "step", "regex": "^[a-m]"}"#,
    r#"{"only": "step_id", "glob": "*t*"}"#,
    r#"{"only": "pr_number", "regex": "^[1-9]"}"#,
    r#"{"discard": "attributes.team", "is": "web"}"#,
];

fn rules() -> impl Strategy<Value = Policy<Table>> {
    prop::collection::vec(prop::sample::select(RULES.to_vec()), 1..6).prop_map(|rules| {
        let settings: Vec<(String, &str)> = (1..=rules.len())
            .flat_map(|number| {
                [
                    (format!("key.{number}"), "0123456789abcdef"),
                    (format!("values.{number}.mona"), "lisa"),
                    (format!("values.{number}.mono"), ""),
                ]
            })
            .collect();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        policy(&format!("[{}]", rules.join(",")), &settings)
    })
}

fn text() -> impl Strategy<Value = Option<String>> {
    let edge = prop_oneof![
        any::<String>(),
        "[a-z/]{0,6}",
        "[ \t\u{200b}]{0,2}",
        Just("mono".to_owned()),
        Just("mona".to_owned()),
        Just("é".repeat(2048)),
        Just("x".repeat(4097)),
    ];
    prop_oneof![1 => Just(None), 3 => edge.prop_map(Some)]
}

/// A notification, valid or not, of one run.
fn notification() -> impl Strategy<Value = Notification> {
    (
        prop::collection::vec(text(), 11),
        prop::option::of(any::<i64>()),
        prop::collection::vec((prop_oneof!["[a-z]{0,2}", Just("team".to_owned())], text()), 0..3),
        any::<bool>(),
    )
        .prop_map(|(texts, pr_number, attributes, urgent)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().flatten();
            Notification {
                pipeline_name: next(),
                pipeline_source: next(),
                repository: next(),
                commit_sha: next(),
                pr_number,
                source_url: next(),
                head_branch: next(),
                email: next(),
                github_username: next(),
                gitlab_username: next(),
                step: next(),
                step_id: next(),
                urgent,
                attributes: attributes
                    .into_iter()
                    .map(|(key, value)| attribute(&key, &value.unwrap_or_default()))
                    .collect(),
                reference_id: Some("r/1".into()),
                started_at: Some("2025-01-01T12:05:00Z".into()),
                ..Notification::default()
            }
        })
}

proptest! {
    #[test]
    fn the_default_component_accepts_what_it_accepted_before(rules in rules(), event in notification()) {
        if judged(std::slice::from_ref(&event), Known::Part).is_ok()
            && let Outcome::Pass { events, .. } = rules.judge(vec![event], Known::Part)
        {
            let verdict = judged(&events, Known::Part);
            prop_assert!(verdict.is_ok(), "{verdict:?} {rules:?} {events:?}");
        }
    }

    #[test]
    fn the_run_and_its_times_stay(rules in rules(), events in prop::collection::vec(notification(), 0..4)) {
        let count = events.len();
        if let Outcome::Pass { events: left, .. } = rules.judge(events, Known::All) {
            prop_assert!(left.len() <= count);
            for event in left {
                prop_assert_eq!(event.reference_id.as_deref(), Some("r/1"));
                prop_assert_eq!(event.started_at.as_deref(), Some("2025-01-01T12:05:00Z"));
            }
        }
    }

    #[test]
    fn a_start_and_the_finish_of_one_event_are_edited_alike(rules in rules(), event in notification()) {
        let part = rules.judge(vec![event.clone()], Known::Part);
        let all = rules.judge(vec![event], Known::All);
        match (part, all) {
            (Outcome::Pass { events, hold: false }, all) => {
                prop_assert_eq!(all, Outcome::Pass { events, hold: false });
            }
            // What is absent at the end is not waited for.
            (Outcome::Pass { hold: true, .. }, all) => prop_assert!(matches!(all, Outcome::Discard(_))),
            (Outcome::Discard(_), all) => prop_assert!(matches!(all, Outcome::Discard(_))),
        }
    }

    #[test]
    fn the_order_and_repetition_of_a_history_make_no_difference(
        rules in rules(),
        mut events in prop::collection::vec(notification(), 1..4),
    ) {
        let report = |outcome: Outcome| match outcome {
            Outcome::Pass { events, .. } => judged(&events, Known::All).ok(),
            Outcome::Discard(_) => None,
        };
        let first = report(rules.judge(events.clone(), Known::All));
        events.reverse();
        events.extend(events.clone());
        prop_assert_eq!(report(rules.judge(events, Known::All)), first);
    }

    #[test]
    fn what_is_dropped_or_hashed_is_nowhere(secret in "[a-z]{12}", events in prop::collection::vec(notification(), 1..4)) {
        let rules = policy(
            r#"[{"drop": ["email", "attributes.team"]}, {"hash": "github_username", "key": "k"}, {"keep": ["repository", "github_username"]}]"#,
            &[("key.2", "0123456789abcdef")],
        );
        let events: Vec<Notification> = events
            .into_iter()
            .map(|event| Notification {
                email: Some(format!("{secret}@example.com")),
                github_username: Some(secret.to_uppercase()),
                gitlab_username: Some(secret.clone()),
                attributes: vec![attribute("team", &secret), attribute("other", &secret)],
                ..event
            })
            .collect();
        for known in [Known::Part, Known::All] {
            let outcome = rules.judge(events.clone(), known);
            prop_assert!(!format!("{outcome:?}").to_lowercase().contains(&secret), "{outcome:?}");
        }
    }

    #[test]
    fn rules_that_write_fixed_values_may_run_twice(events in prop::collection::vec(notification(), 1..3)) {
        let rules = policy(
            r#"[{"drop": "email"}, {"set": "head_branch", "to": "main"}, {"set": "attributes.a", "to": "b"}, {"keep": ["head_branch", "attributes.a"]}, {"default": "repository", "to": "a/b"}, {"discard": "step", "glob": "l*"}]"#,
            &[],
        );
        let once = rules.judge(events, Known::All);
        if let Outcome::Pass { events, .. } = once.clone() {
            prop_assert_eq!(rules.judge(events, Known::All), once);
        }
    }

    #[test]
    fn any_text_of_rules_is_read_or_refused(text in any::<String>(), rule in "\\[\\{\"(drop|only|rename)\": ?\"[a-z_.*]{0,9}\"(, ?\"(regex|to|glob)\": ?\"[^\"\\\\]{0,9}\"){0,2}\\}\\]") {
        for rules in [text, rule] {
            if let Ok(policy) = read(&rules, &[]) {
                policy.judge(vec![event()], Known::All);
            }
        }
    }
}
