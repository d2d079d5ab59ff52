//! The laws of the fold, on its parts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::Fold;
use crate::Notification;
use crate::validate::validate;

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
            any::<bool>(),
            any::<bool>(),
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
            |((start, length, status, step, allowed_to_fail), (name, repository, commit, pr, branch))| Notification {
                pipeline_name: Some(name),
                pipeline_source: Some("Tekton".into()),
                reference_id: Some("run 1".into()),
                started_at: Some(format!("2025-01-01T12:{start:02}:00Z")),
                finished_at: length.map(|length| format!("2025-01-01T13:{length:02}:00Z")),
                status: status.map(Into::into),
                repository: Some(repository),
                commit_sha: commit,
                pr_number: pr,
                head_branch: branch,
                step: step.then(|| "lint".into()),
                allowed_to_fail,
                ..Notification::default()
            },
        )
}

fn fold(event: &Notification) -> Fold<'_> {
    Fold::of(&validate(event).unwrap())
}

fn joined<'a>(mut one: Fold<'a>, other: Fold<'a>) -> Fold<'a> {
    one.join(&other);
    one
}

proptest! {
    #[test]
    fn commutative(a in notification(), b in notification()) {
        let (a, b) = (fold(&a), fold(&b));
        prop_assert_eq!(joined(a, b), joined(b, a));
    }

    #[test]
    fn associative(a in notification(), b in notification(), c in notification()) {
        let (a, b, c) = (fold(&a), fold(&b), fold(&c));
        prop_assert_eq!(joined(joined(a, b), c), joined(a, joined(b, c)));
    }

    #[test]
    fn idempotent(a in notification(), b in notification()) {
        let (a, b) = (fold(&a), fold(&b));
        let both = joined(a, b);
        prop_assert_eq!(joined(both, both), both);
        prop_assert_eq!(joined(both, a), both);
    }

    #[test]
    fn any_tree_of_parts_gives_the_same(
        (events, order, cuts) in prop::collection::vec(notification(), 1..20).prop_flat_map(|events| {
            let indices: Vec<usize> = (0..events.len()).collect();
            (Just(events), Just(indices).prop_shuffle(), prop::collection::vec(any::<prop::sample::Index>(), 20))
        })
    ) {
        let whole = events.iter().map(fold).reduce(joined).unwrap();
        // Joins two parts at random places until one is left.
        let mut parts: Vec<Fold<'_>> = order.iter().map(|&index| fold(&events[index])).collect();
        for cut in cuts {
            if parts.len() < 2 { break; }
            let part = parts.swap_remove(cut.index(parts.len()));
            let other = cut.index(parts.len());
            parts[other] = joined(parts[other], part);
        }
        prop_assert_eq!(parts.into_iter().reduce(joined).unwrap(), whole);
    }
}
