//! Invalid input: never a panic, and an answer that does not depend on order or repetition either.

use pipefold_plugin::{Attribute, Notification, Verdict, merge, pipeline_finish, pipeline_start, step};
use proptest::prelude::*;

/// Texts at the edges of the rules: nonsense, blanks, controls, timestamps with something wrong.
fn text() -> impl Strategy<Value = Option<String>> {
    let edge = prop_oneof![
        any::<String>(),
        "[0-9T:.,Z+-]{0,30}",
        "[0-9]{4}-?[01][0-9]-?[0-3][0-9](T[0-2][0-9]:?[0-6][0-9](:?[0-6][0-9])?([.,][0-9]{0,12})?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?",
        "[ \t\n]{0,3}",
        Just("running".to_owned()),
        Just("é".repeat(2049)),
    ];
    prop_oneof![1 => Just(None), 4 => edge.prop_map(Some)]
}

fn notification() -> impl Strategy<Value = Notification> {
    (
        prop::collection::vec(text(), 15),
        prop::option::of(any::<i64>()),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec((prop_oneof!["[a-z]{0,2}", any::<String>()], text()), 0..3),
    )
        .prop_map(|(texts, pr_number, allowed_to_fail, urgent, attributes)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().flatten();
            Notification {
                pipeline_name: next(),
                pipeline_source: next(),
                reference_id: next(),
                started_at: next(),
                finished_at: next(),
                status: next(),
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
                allowed_to_fail,
                urgent,
                attributes: attributes
                    .into_iter()
                    .map(|(key, value)| Attribute {
                        key,
                        value: value.unwrap_or_default(),
                    })
                    .collect(),
            }
        })
}

proptest! {
    #[test]
    fn one_notification_is_valid_everywhere_or_nowhere(event in notification()) {
        let started = pipeline_start(&event);
        let history = std::slice::from_ref(&event);
        let wrong = started.clone().err();
        // A step may lack its start; a run has one.
        if event.started_at.is_some() {
            prop_assert_eq!(&step(&event).err(), &wrong);
        }
        prop_assert_eq!(&pipeline_finish(history).err(), &wrong);
        prop_assert_eq!(&merge(history).err(), &wrong);
        prop_assert!(!matches!(started, Ok(Verdict::Hold | Verdict::Discard(_))));
        if let Err(violations) = started {
            prop_assert!(!violations.is_empty());
            for violation in violations {
                prop_assert!(violation.message.chars().all(|c| (' '..='~').contains(&c)), "{}", violation.message);
                prop_assert!(violation.message.len() < 2048);
            }
        }
    }

    #[test]
    fn violations_do_not_care_about_order_or_repetition(
        (history, shuffled) in prop::collection::vec(notification(), 1..6).prop_flat_map(|history| {
            let mut twice = history.clone();
            twice.extend(history.iter().take(2).cloned());
            (Just(history), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(merge(&shuffled), merge(&history));
        prop_assert_eq!(pipeline_finish(&shuffled), pipeline_finish(&history));
    }
}
