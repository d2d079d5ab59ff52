//! Invalid input: never a panic, and an answer that does not depend on order or repetition either.

use pipefold_plugin::{Verdict, merge, pipeline_finish, pipeline_start, step};
use proptest::prelude::*;

use crate::generate::hostile;

proptest! {
    #[test]
    fn one_notification_is_valid_everywhere_or_nowhere(event in hostile()) {
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
        (history, shuffled) in prop::collection::vec(hostile(), 1..6).prop_flat_map(|history| {
            let mut twice = history.clone();
            twice.extend(history.iter().take(2).cloned());
            (Just(history), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(merge(&shuffled), merge(&history));
        prop_assert_eq!(pipeline_finish(&shuffled), pipeline_finish(&history));
    }
}
