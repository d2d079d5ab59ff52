//! Any order, any repetition, any division among processes and versions that came and went: the run is the fold of its history.

use super::support::{appending, detail, running, take_back, text_at, wait};
use crate::rules::Rules;
use crate::store::Store;
use crate::store::sqlite::{Limits, SqliteStore};
use pipefold::Judge;
use pipefold_sandbox::Notification;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::sync::{Arc, LazyLock};

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Arc::new(Judge::default())));

/// Few values, so that they agree and differ about equally often. Names of steps that the rules take for blank are among them.
fn notification() -> impl Strategy<Value = Notification> {
    let status = select(vec!["running", "success", "cancelled", "failure", "unknown", " "]);
    let step = select(vec!["lint", "test", "é", "!", " ", "\u{200b}", "\u{3164}"]);
    (
        0_i64..50,
        proptest::option::of(50_i64..99),
        status,
        proptest::option::of("[a-z]{1,3}"),
        proptest::option::of(1_i64..9),
        proptest::option::of(step),
        any::<bool>(),
    )
        .prop_map(
            |(started, finished, status, branch, pr, step, allowed_to_fail)| Notification {
                finished_at: finished.map(text_at),
                status: Some(status.into()),
                repository: Some("o/r".into()),
                head_branch: branch,
                pr_number: pr,
                step: step.map(str::to_owned),
                allowed_to_fail,
                ..running("web", "r", started)
            },
        )
}

/// What comes between two appends.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Together,
    Restart,
    OlderVersion,
}

fn between() -> impl Strategy<Value = Between> {
    select(vec![
        Between::Nothing,
        Between::Nothing,
        Between::Together,
        Between::Restart,
        Between::OlderVersion,
    ])
}

fn open(dir: &std::path::Path) -> SqliteStore {
    SqliteStore::open(dir, RULES.for_store(), Limits::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_stand_for_all_that_they_were_folded_from(
        history in proptest::collection::vec(notification(), 1..12),
        cuts in proptest::collection::vec(1_usize..4, 12),
    ) {
        let (mut parts, mut so_far) = (Vec::new(), Vec::new());
        let mut rest = &history[..];
        for cut in cuts {
            let (some, others) = rest.split_at(cut.min(rest.len()));
            rest = others;
            so_far.extend_from_slice(some);
            if some.is_empty() {
                break;
            }
            parts.extend_from_slice(some);
            let folded = RULES.fold(&parts).unwrap();
            prop_assert_eq!(&folded.record, &RULES.run(&so_far).unwrap());
            prop_assert!(folded.parts.len() <= 2, "{:?}", folded.parts);
            parts = folded.parts;
        }
    }
}

proptest! {
    // Each case opens several stores.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_appends_gives_the_fold_of_the_history(
        (history, other) in proptest::collection::vec(notification(), 1..10).prop_flat_map(|history| {
            (Just(history.clone()), Just(history).prop_shuffle())
        }),
        between in proptest::collection::vec(between(), 10),
        again in any::<Index>(),
    ) {
        let expected = RULES.run(&history).unwrap();
        let mut runs = Vec::new();
        for history in [&history, &other] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open(dir.path());
            let mut answers = Vec::new();
            for (notification, between) in history.iter().chain([again.get(history)]).zip(between.iter().chain([&Between::Nothing])) {
                answers.push(store.append(appending(notification.clone(), 1000)));
                if matches!(between, Between::Together) {
                    continue;
                }
                for answer in answers.drain(..) {
                    wait(answer).unwrap();
                }
                if matches!(between, Between::Restart | Between::OlderVersion) {
                    drop(store);
                    if matches!(between, Between::OlderVersion) {
                        take_back(dir.path(), "");
                    }
                    store = open(dir.path());
                }
            }
            for answer in answers {
                wait(answer).unwrap();
            }
            let run = detail(&store, "r").unwrap().summary;
            prop_assert_eq!(run.notifications as usize, history.len() + 1);
            runs.push((run.record, run.started, run.finished, run.completion.is_some()));
        }
        prop_assert_eq!(&runs[0].0, &expected);
        prop_assert_eq!(&runs[0], &runs[1]);
    }
}
