//! The laws of the fold, on its parts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::{Fold, MAX_ATTRIBUTES};
use crate::validate::validate;
use crate::{Attribute, Notification};

/// Few distinct values, so that notifications agree and differ about equally often.
fn notification() -> impl Strategy<Value = Notification> {
    let status = prop::option::of(prop::sample::select(vec![
        "unknown",
        "running",
        "success",
        "cancelled",
        "failure",
    ]));
    (
        (
            0_u32..60,
            prop::option::of(0_u32..60),
            status,
            prop::option::of("[lm]"),
            any::<bool>(),
            prop::collection::vec(("[abc]", "[xy]"), 0..3),
        ),
        (
            "[ab]",
            "[ab]",
            prop::option::of("[ab]{1,2}"),
            prop::option::of(1_i64..4),
            prop::option::of("[éz]{1,2}"),
        ),
    )
        .prop_map(
            |((start, length, status, step, allowed_to_fail, attributes), (name, repository, commit, pr, branch))| {
                Notification {
                    pipeline_name: Some(name),
                    pipeline_source: Some("Tekton".into()),
                    reference_id: Some("run 1".into()),
                    // A step may lack its start; few starts are equal otherwise.
                    started_at: (step.is_none() || start % 4 > 0)
                        .then(|| format!("2025-01-01T12:{:02}:00Z", start % 10)),
                    finished_at: length.map(|length| format!("2025-01-01T13:{length:02}:00Z")),
                    status: status.map(Into::into),
                    repository: Some(repository),
                    commit_sha: commit,
                    pr_number: pr,
                    head_branch: branch,
                    step_id: step.clone().filter(|_| start % 2 > 0).map(|_| "id".into()),
                    step,
                    allowed_to_fail,
                    attributes: attributes
                        .into_iter()
                        .map(|(key, value)| Attribute { key, value })
                        .collect(),
                    ..Notification::default()
                }
            },
        )
}

fn fold(event: &Notification) -> Fold<'_> {
    Fold::of(&validate(event).unwrap())
}

fn joined<'a>(one: &Fold<'a>, other: &Fold<'a>) -> Fold<'a> {
    let mut both = one.clone();
    both.run.join(&other.run);
    other.jobs.iter().for_each(|(id, job)| both.add_job(id.0, *job));
    other
        .attributes
        .iter()
        .for_each(|(key, value)| both.add_attribute(key, value));
    both
}

proptest! {
    #[test]
    fn commutative(a in notification(), b in notification()) {
        let (a, b) = (fold(&a), fold(&b));
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
    }

    #[test]
    fn associative(a in notification(), b in notification(), c in notification()) {
        let (a, b, c) = (fold(&a), fold(&b), fold(&c));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
    }

    #[test]
    fn idempotent(a in notification(), b in notification()) {
        let (a, b) = (fold(&a), fold(&b));
        let both = joined(&a, &b);
        prop_assert_eq!(&joined(&both, &both), &both);
        prop_assert_eq!(&joined(&both, &a), &both);
    }

    #[test]
    fn any_tree_of_parts_gives_the_same(
        (events, order, cuts) in prop::collection::vec(notification(), 1..20).prop_flat_map(|events| {
            let indices: Vec<usize> = (0..events.len()).collect();
            (Just(events), Just(indices).prop_shuffle(), prop::collection::vec(any::<prop::sample::Index>(), 20))
        })
    ) {
        let whole = events.iter().map(fold).reduce(|one, other| joined(&one, &other)).unwrap();
        // Joins two parts at random places until one is left.
        let mut parts: Vec<Fold<'_>> = order.iter().map(|&index| fold(&events[index])).collect();
        for cut in cuts {
            if parts.len() < 2 { break; }
            let part = parts.swap_remove(cut.index(parts.len()));
            let other = cut.index(parts.len());
            parts[other] = joined(&parts[other], &part);
        }
        prop_assert_eq!(parts.into_iter().reduce(|one, other| joined(&one, &other)).unwrap(), whole);
    }

    #[test]
    fn adding_one_by_one_is_joining(events in prop::collection::vec(notification(), 1..12)) {
        let whole = events.iter().map(fold).reduce(|one, other| joined(&one, &other)).unwrap();
        let mut sum = fold(&events[0]);
        events.iter().for_each(|event| sum.add(&validate(event).unwrap()));
        prop_assert_eq!(sum, whole);
    }

    #[test]
    fn of_many_attributes_the_first_keys_are_kept(
        parts in prop::collection::vec(prop::collection::vec((0_u32..60, 0_u32..3), 0..=MAX_ATTRIBUTES), 1..6)
    ) {
        let event = |part: &Vec<(u32, u32)>| Notification {
            pipeline_name: Some("p".into()),
            pipeline_source: Some("s".into()),
            reference_id: Some("run 1".into()),
            started_at: Some("2025-01-01".into()),
            attributes: part
                .iter()
                .map(|(key, value)| Attribute { key: format!("k{key:02}"), value: value.to_string() })
                .collect(),
            ..Notification::default()
        };
        let events: Vec<Notification> = parts.iter().map(event).collect();
        let mut all = std::collections::BTreeMap::new();
        for (key, value) in parts.iter().flatten() {
            let greatest = all.entry(format!("k{key:02}")).or_insert(*value);
            *greatest = (*greatest).max(*value);
        }
        let expected: Vec<(String, String)> =
            all.into_iter().take(MAX_ATTRIBUTES).map(|(key, value)| (key, value.to_string())).collect();
        let folded = crate::merge(&events).unwrap().run.attributes;
        let folded: Vec<(String, String)> = folded.into_iter().map(|found| (found.key, found.value)).collect();
        prop_assert_eq!(folded, expected);
    }
}
