//! Appends: what is kept, refused and folded, in any order.

use super::support::{
    access, append, append_job, appending, at, detail, ended, fresh, job, open, running, step, take_back, text_at,
    try_append, wait,
};
use crate::access::Rights;
use crate::rules::Rules;
use crate::store::sqlite::{RunLimits, SqliteStore};
use crate::store::{Append, Received, RunKey, Store, StoreError};
use pipefold::Judge;
use pipefold_sandbox::{Notification, Status};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

#[test]
fn notifications_are_kept_as_they_came_beside_their_fold() {
    let (dir, store) = fresh();
    let begun = running("web", "r1", 10);
    let finished = Notification {
        head_branch: Some("main".into()),
        pr_number: Some(7),
        allowed_to_fail: true,
        ..ended("web", "r1", 5, "failure")
    };
    assert!(append(&store, begun.clone(), 100).is_new);
    let appended = append(&store, finished.clone(), 101);
    assert!(!appended.is_new);

    let kept = detail(&store, "r1").unwrap();
    let received = |notification, arrived| Received {
        notification,
        by_policies: false,
        held: false,
        token: "ci".into(),
        arrived: at(arrived),
    };
    assert_eq!(kept.received, [received(begun, 100), received(finished, 101)]);
    assert_eq!(kept.summary, appended.run, "the answer knows what a question would");
    assert_eq!((kept.summary.started, kept.summary.finished), (at(5), Some(at(65))));
    assert_eq!(
        (kept.summary.first_arrived, kept.summary.last_arrived),
        (at(100), at(101))
    );
    assert_eq!(
        (kept.summary.record.status, kept.summary.record.pr_number),
        (Status::Failure, Some(7))
    );
    assert!(detail(&store, "R1").is_none(), "references have a case");
    drop(store);
    assert_eq!(detail(&open(dir.path()), "r1").unwrap(), kept);
}

#[test]
fn ids_never_change_and_name_one_thing_each() {
    let (dir, store) = fresh();
    let (one, two) = (
        append(&store, running("web", "r1", 0), 0).run,
        append(&store, running("api", "r2", 0), 0).run,
    );
    for name in ["unit", "lint", "unit"] {
        append_job(&store, "r1", job(name, Status::Success, None, None), 1);
    }
    append(&store, ended("web", "r1", 0, "success"), 2);
    let third = append(&store, running("web", "r3", 0), 3).run;
    assert_eq!(
        (one.counter, two.counter, third.counter),
        (1, 1, 2),
        "counted within the pipeline"
    );

    let before = detail(&store, "r1").unwrap();
    let names: Vec<_> = before.jobs.iter().map(|kept| kept.job.name.as_str()).collect();
    assert_eq!(names, ["unit", "lint"]);
    drop(store);
    let store = open(dir.path());
    append_job(&store, "r1", job("late", Status::Running, None, None), 4);
    let after = detail(&store, "r1").unwrap();
    assert_eq!((&after.jobs[..2], after.own_job), (&before.jobs[..], before.own_job));
    assert_eq!(
        (after.summary.id, after.summary.stage_id, after.summary.counter),
        (one.id, one.stage_id, 1)
    );

    let ids: Vec<u64> = [&one, &two, &third]
        .iter()
        .flat_map(|run| [run.id, run.stage_id])
        .chain(after.jobs.iter().map(|job| job.id).chain([after.own_job]))
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");

    let found = |key| wait(store.run(key)).unwrap().map(|run| run.summary.record.reference_id);
    let r1 = Some("r1".to_owned());
    assert_eq!(found(RunKey::Id(one.id)), r1);
    assert_eq!(found(RunKey::Stage(one.stage_id)), r1);
    assert!(after.jobs.iter().all(|job| found(RunKey::Job(job.id)) == r1));
    assert_eq!(found(RunKey::Counter("web".into(), 1)), r1);
    for key in [
        RunKey::Id(one.stage_id),
        RunKey::Stage(one.id),
        RunKey::Stage(after.jobs[0].id),
        RunKey::Job(one.id),
        RunKey::Id(0),
        RunKey::Stage(0),
        RunKey::Id(u64::MAX),
        RunKey::Job(u64::MAX),
        RunKey::Counter("web".into(), 3),
        RunKey::Counter("Web".into(), 1),
        RunKey::Counter("web".into(), u64::MAX),
    ] {
        assert_eq!(found(key.clone()), None, "{key:?}");
    }
}

#[test]
fn a_reference_belongs_to_the_pipeline_that_first_used_it() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r1", 0), 0);
    let with = |notification: Notification, globs: &[&str]| Append {
        access: access(Rights::Write, globs),
        ..appending(notification, 1)
    };
    let before = detail(&store, "r1").unwrap();
    // It names another pipeline, which it may write to, or even the right one.
    for pipeline in ["api", "web"] {
        let foreign = wait(store.append(with(ended(pipeline, "r1", 0, "failure"), &["api"])));
        assert_eq!(foreign, Err(StoreError::Foreign));
    }
    assert_eq!(
        wait(store.append(with(running("web", "r2", 0), &["api"]))),
        Err(StoreError::Foreign)
    );
    assert_eq!(detail(&store, "r1").unwrap(), before);
    assert!(detail(&store, "r2").is_none());
    assert!(wait(store.append(with(ended("web", "r1", 0, "success"), &["w*"]))).is_ok());
    // A token for both may say another name; the run stays where it is.
    let moved = wait(store.append(with(running("zzz", "r1", 0), &["*"]))).unwrap().run;
    assert_eq!(
        (moved.pipeline.as_str(), moved.record.pipeline_name.as_str()),
        ("web", "zzz")
    );
}

#[test]
fn what_is_refused_leaves_nothing_and_disturbs_no_one() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r1", 0), 0);
    let before = detail(&store, "r1").unwrap();
    let refused = Notification {
        status: Some("refused".into()),
        ..running("web", "r1", 0)
    };
    let cases = [
        refused.clone(),
        Notification {
            reference_id: Some("new".into()),
            ..refused
        },
        step("web", "r1", "unfoldable"),
        step("web", "r1", "panic"),
        Notification {
            reference_id: Some(" ".into()),
            ..running("web", "", 0)
        },
        Notification {
            pipeline_name: None,
            ..running("", "r1", 0)
        },
    ];
    // Together, so that they share a commit with one that is fine.
    let mut answers: Vec<_> = cases.into_iter().map(|case| store.append(appending(case, 1))).collect();
    answers.push(store.append(appending(running("web", "r2", 0), 1)));
    let mut outcomes: Vec<_> = answers.into_iter().map(wait).collect();
    assert!(outcomes.pop().unwrap().is_ok());
    let kinds: Vec<bool> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().unwrap_err().is_about_request())
        .collect();
    assert_eq!(kinds, [true, true, false, false, true, true], "{outcomes:?}");
    assert!(matches!(&outcomes[3], Err(StoreError::FoldFailed(why)) if why.contains("panicked")));
    let after = detail(&store, "r1").unwrap();
    assert_eq!(after.beside, (None, Some("r2".to_owned())));
    assert_eq!((after.summary, after.received), (before.summary, before.received));
    assert!(detail(&store, "new").is_none());
    assert_eq!(detail(&store, "r2").unwrap().summary.counter, 2, "no counter was spent");
}

#[test]
fn a_run_takes_no_more_than_the_rules_merge() {
    let dir = tempfile::tempdir().unwrap();
    let limits = RunLimits {
        notifications_per_run: 3,
        text_bytes_per_run: 1000,
        jobs_per_run: 3,
    };
    let store = SqliteStore::open(dir.path(), super::support::fold(), limits).unwrap();
    for n in 0..3 {
        append(&store, running("web", "r1", n), 0);
    }
    let full = try_append(&store, running("web", "r1", 0), 0).unwrap_err();
    assert!(
        matches!(full, StoreError::HistoryFull { notifications: 3, .. }),
        "{full}"
    );
    let large = |length| Notification {
        source_url: Some("x".repeat(length)),
        ..running("web", "r2", 0)
    };
    assert!(try_append(&store, large(1000), 0).is_err());
    append(&store, large(800), 0);
    assert!(matches!(
        try_append(&store, large(800), 0),
        Err(StoreError::HistoryFull { notifications: 1, .. })
    ));
    assert_eq!(detail(&store, "r2").unwrap().received.len(), 1);
}

#[test]
fn a_clock_that_jumps_back_changes_no_order_and_no_id() {
    let (_dir, store) = fresh();
    let first = append(&store, running("web", "r1", 100), 100).run;
    let again = append(&store, ended("web", "r1", 100, "success"), -1_000_000).run;
    assert_eq!((again.first_arrived, again.last_arrived), (at(100), at(100)));
    let second = append(&store, running("web", "r2", -1_000_000), -1_000_000).run;
    assert!(second.id > first.id && second.counter == 2);
    assert_eq!(
        detail(&store, "r1").unwrap().received[1].arrived,
        at(-1_000_000),
        "as it was read"
    );
}

#[test]
fn hostile_texts_come_back_as_they_were() {
    let (_dir, store) = fresh();
    for name in [
        "'; DROP TABLE runs; --",
        "%_*",
        "\u{202e}\u{1f600}é",
        "</script>]]>",
        " x ",
    ] {
        append(&store, running(name, name, 0), 0);
        append_job(&store, name, job(name, Status::Success, None, None), 0);
        let kept = detail(&store, name).unwrap();
        assert_eq!(
            (kept.summary.pipeline.as_str(), kept.jobs[0].job.name.as_str()),
            (name, name)
        );
        assert_eq!(kept.received[0].notification, running(name, name, 0));
    }
}

#[test]
fn a_run_that_is_full_has_room_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let limits = RunLimits {
        notifications_per_run: 200,
        text_bytes_per_run: 1 << 20,
        jobs_per_run: 0,
    };
    let store = SqliteStore::open(dir.path(), super::support::fold(), limits).unwrap();
    let mut many = appending(running("web", "r1", 0), 0);
    many.notifications = vec![running("web", "r1", 0).into(); 198];
    wait(store.append(many)).unwrap();
    assert!(matches!(
        try_append(&store, running("web", "r1", 0), 0),
        Err(StoreError::HistoryFull { notifications: 198, .. })
    ));
    for status in ["success", "failure"] {
        append(&store, ended("web", "r1", 0, status), 1);
    }
    assert!(try_append(&store, ended("web", "r1", 0, "success"), 1).is_err());
    assert_eq!(detail(&store, "r1").unwrap().summary.record.status, Status::Failure);
}

#[test]
fn whether_there_is_room_to_write_is_asked_by_writing() {
    let (_dir, store) = fresh();
    let before = append(&store, running("web", "r1", 0), 0).run.id;
    wait(store.ready()).unwrap();
    assert!(append(&store, running("web", "r2", 0), 0).run.id > before);
}

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Arc::new(Judge::default())));

/// Few values, so that they agree and differ about equally often.
fn notification() -> impl Strategy<Value = Notification> {
    let status = select(vec!["running", "success", "cancelled", "failure", "unknown", " "]);
    (
        0_i64..50,
        proptest::option::of(50_i64..99),
        status,
        proptest::option::of("[a-z]{1,3}"),
        proptest::option::of(1_i64..9),
    )
        .prop_map(|(started, finished, status, branch, pr)| Notification {
            finished_at: finished.map(text_at),
            status: Some(status.into()),
            repository: Some("o/r".into()),
            head_branch: branch,
            pr_number: pr,
            ..running("web", "r", started)
        })
}

/// The events between two appends.
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

fn open_by_rules(dir: &std::path::Path) -> SqliteStore {
    super::support::open_with(dir, || RULES.for_store())
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
        let expected = RULES.fold(&history).unwrap().run;
        let mut runs = Vec::new();
        for history in [&history, &other] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open_by_rules(dir.path());
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
                    store = open_by_rules(dir.path());
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
