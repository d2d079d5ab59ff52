//! Any order, any repetition, any division among processes that came and went: the same run.

use super::support::{append, detail, fold_all, open, running};
use pipefold_sandbox::Notification;
use proptest::prelude::*;
use proptest::sample::select;

fn notification() -> impl Strategy<Value = Notification> {
    let status = select(vec!["running", "success", "cancelled", "failure", "unknown"]);
    (
        0_i64..50,
        proptest::option::of(50_i64..99),
        status,
        proptest::option::of("[a-z]{1,3}"),
        proptest::option::of(1_i64..9),
    )
        .prop_map(|(started, finished, status, branch, pr)| Notification {
            finished_at: finished.map(super::support::text_at),
            status: Some(status.into()),
            head_branch: branch,
            pr_number: pr,
            ..running("web", "r", started)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_appends_gives_the_same_run(
        (one, other) in proptest::collection::vec(notification(), 1..12).prop_flat_map(|history| {
            (Just(history.clone()), Just(history).prop_shuffle())
        }),
        cut in 0_usize..12,
    ) {
        let expected = fold_all(&one).unwrap();
        let mut runs = Vec::new();
        for history in [&one, &other] {
            let dir = tempfile::tempdir().unwrap();
            for part in [&history[..cut.min(history.len())], &history[cut.min(history.len())..]] {
                let store = open(dir.path());
                for notification in part {
                    append(&store, notification.clone(), 1000);
                }
            }
            let store = open(dir.path());
            append(&store, history[0].clone(), 1000);
            let run = detail(&store, "r").unwrap().summary;
            prop_assert_eq!(run.notifications as usize, history.len() + 1);
            runs.push((run.record, run.started, run.finished, run.completion.is_some()));
        }
        prop_assert_eq!(&runs[0].0, &expected);
        prop_assert_eq!(&runs[0], &runs[1]);
    }
}
