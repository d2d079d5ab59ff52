//! Jobs: their executions, their bounds, and what DX has of them.

use super::support::{
    access, append, append_job, appending_job, at, detail, ended, fresh, job, open, open_with, running, step,
    take_back, text_at, wait,
};
use crate::access::Rights;
use crate::rules::Rules;
use crate::store::sqlite::{RunLimits, SqliteStore};
use crate::store::{Append, JobForwarded, JobOutcome, KeptJob, NewJob, Store, StoreError};
use pipefold::Judge;
use pipefold_sandbox::{Attribute, Job, Notification, Status};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::path::Path;
use std::sync::{Arc, LazyLock};

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Arc::new(Judge::default())));

fn open_by_rules(dir: &Path) -> SqliteStore {
    open_with(dir, || RULES.for_store())
}

fn jobs(store: &SqliteStore) -> Vec<KeptJob> {
    detail(store, "r").unwrap().jobs
}

/// The status, start and finish of a job, in seconds.
type State = (Status, Option<i64>, Option<i64>);

fn state(job: &Job) -> State {
    let seconds = |text: &Option<String>| {
        text.as_deref()
            .map(|text| (text.parse::<chrono::DateTime<chrono::Utc>>().unwrap() - at(0)).num_seconds())
    };
    (job.status, seconds(&job.started_at), seconds(&job.finished_at))
}

#[test]
fn a_job_without_a_start_belongs_to_the_execution_that_a_sender_means() {
    use Status::{Cancelled, Failure, Running, Success, Unknown};
    /// Reports as they arrive, each with its time, and the state in the end.
    type Case = (&'static str, &'static [(State, i64)], State);
    let cases: [Case; 14] = [
        (
            "it starts now",
            &[((Running, None, None), 100)],
            (Running, Some(100), None),
        ),
        (
            "a start and an end are one execution",
            &[((Running, None, None), 100), ((Success, None, Some(160)), 161)],
            (Success, Some(100), Some(160)),
        ),
        (
            "also with a given start",
            &[((Running, Some(90), None), 100), ((Failure, None, Some(160)), 161)],
            (Failure, Some(90), Some(160)),
        ),
        (
            "sent twice it is the same",
            &[((Running, None, None), 100), ((Running, None, None), 105)],
            (Running, Some(100), None),
        ),
        (
            "it runs again after its end",
            &[
                ((Running, None, None), 100),
                ((Failure, None, Some(110)), 111),
                ((Running, None, None), 120),
            ],
            (Running, Some(120), None),
        ),
        (
            "and ends again",
            &[
                ((Running, Some(90), None), 100),
                ((Failure, None, Some(110)), 111),
                ((Running, None, None), 120),
                ((Success, None, Some(130)), 131),
            ],
            (Success, Some(120), Some(130)),
        ),
        (
            "only its end is reported",
            &[((Success, None, Some(160)), 161)],
            (Success, None, Some(160)),
        ),
        (
            "it runs after an end without a start",
            &[((Failure, None, Some(110)), 111), ((Running, None, None), 120)],
            (Running, Some(120), None),
        ),
        (
            "a start that follows replaces the time of receipt",
            &[((Running, None, None), 100), ((Success, Some(98), Some(160)), 161)],
            (Success, Some(98), Some(160)),
        ),
        (
            "and one after it is later",
            &[((Failure, None, None), 100), ((Running, Some(110), None), 111)],
            (Running, Some(110), None),
        ),
        (
            "a clock here is ahead",
            &[((Running, None, None), 100), ((Success, None, Some(99)), 101)],
            (Success, Some(99), Some(99)),
        ),
        (
            "it waits, then it runs",
            &[((Unknown, None, None), 100), ((Running, None, None), 120)],
            (Running, Some(120), None),
        ),
        (
            "an end without a time",
            &[((Running, None, None), 100), ((Cancelled, None, None), 120)],
            (Cancelled, Some(100), None),
        ),
        (
            "a late report of an earlier execution changes nothing",
            &[
                ((Success, Some(50), Some(60)), 100),
                ((Failure, Some(10), Some(20)), 101),
            ],
            (Success, Some(50), Some(60)),
        ),
    ];
    for (what, reports, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open_by_rules(dir.path());
        append(&store, running("web", "r", 0), 0);
        for ((status, started, finished), arrived) in reports {
            append_job(&store, "r", job("j", *status, *started, *finished), *arrived);
            // What is known of a start survives.
            drop(store);
            store = open_by_rules(dir.path());
        }
        let kept = jobs(&store);
        assert_eq!(kept.len(), 1);
        assert_eq!(state(&kept[0].job), expected, "{what}");
    }
}

#[test]
fn a_finish_before_a_given_start_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_by_rules(dir.path());
    append(&store, running("web", "r", 0), 0);
    append_job(&store, "r", job("j", Status::Running, Some(100), None), 100);
    let early = wait(store.append(appending_job("r", job("j", Status::Success, None, Some(90)), 101)));
    assert!(matches!(&early, Err(StoreError::Refused(violations)) if violations[0].field == "finished_at"));
    assert_eq!(state(&jobs(&store)[0].job), (Status::Running, Some(100), None));
}

#[test]
fn a_job_is_of_a_run_that_is_there_and_that_the_token_may_write_to() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    let appending = || appending_job("r", job("j", Status::Success, None, None), 1);
    let cases = [
        (
            Append {
                reference_id: "other".into(),
                ..appending()
            },
            StoreError::NoRun,
        ),
        (
            Append {
                source: Some("Jenkins".into()),
                ..appending()
            },
            StoreError::NoRun,
        ),
        (
            Append {
                access: access(Rights::Write, &["api"]),
                ..appending()
            },
            StoreError::Foreign,
        ),
    ];
    let before = detail(&store, "r").unwrap();
    for (append, error) in cases {
        assert!(error.is_about_request());
        assert_eq!(wait(store.append(append)), Err(error));
    }
    assert_eq!(detail(&store, "r").unwrap(), before);
    wait(store.append(appending())).unwrap();
    let kept = detail(&store, "r").unwrap();
    assert_eq!((kept.jobs.len(), kept.received.len()), (1, 1));
    assert_eq!(kept.summary.last_arrived, at(1), "the run has activity");
    assert_eq!(kept.summary.record, before.summary.record);
}

#[test]
fn a_run_has_no_more_jobs_than_it_may_and_each_can_be_updated() {
    let dir = tempfile::tempdir().unwrap();
    let limits = RunLimits {
        jobs_per_run: 2,
        text_bytes_per_run: 200,
        ..RunLimits::default()
    };
    let store = SqliteStore::open(dir.path(), RULES.for_store(), limits).unwrap();
    append(&store, running("web", "r", 0), 0);
    let add = |name: &str, status| wait(store.append(appending_job("r", job(name, status, Some(1), None), 1)));
    let large = add(&"x".repeat(101), Status::Running);
    assert_eq!(large, Err(StoreError::JobsFull { jobs: 0, bytes: 0 }));
    add("a", Status::Running).unwrap();
    add("b", Status::Running).unwrap();
    let full = add("c", Status::Running);
    assert_eq!(full, Err(StoreError::JobsFull { jobs: 2, bytes: 4 }));
    add("a", Status::Success).unwrap();
    // Two at once, of which one has no room.
    let mut both = appending_job("r", job("b", Status::Success, Some(1), None), 1);
    both.jobs
        .extend(appending_job("r", job("c", Status::Success, None, None), 1).jobs);
    assert!(wait(store.append(both)).is_err());
    let found: Vec<_> = jobs(&store)
        .into_iter()
        .map(|kept| (kept.job.name, kept.job.status))
        .collect();
    assert_eq!(
        found,
        [("a".to_owned(), Status::Success), ("b".to_owned(), Status::Running)]
    );
}

#[test]
fn a_run_and_its_jobs_come_together_or_not_at_all() {
    let (_dir, store) = fresh();
    let with = |status: &str| Append {
        notifications: vec![ended("web", "r", 0, status).into()],
        source: None,
        ..appending_job("r", job("j", Status::Success, None, None), 1)
    };
    assert!(matches!(
        wait(store.append(with("refused"))),
        Err(StoreError::Refused(_))
    ));
    assert!(detail(&store, "r").is_none());
    assert!(wait(store.append(with("success"))).unwrap().is_new);
    let kept = detail(&store, "r").unwrap();
    assert_eq!((kept.received.len(), kept.jobs.len()), (1, 1));
}

fn answered(store: &SqliteStore, kept: &KeptJob, outcome: JobOutcome) {
    let run = detail(store, "r").unwrap().summary.id;
    let jobs = vec![JobForwarded {
        id: kept.id,
        job: kept.job.clone(),
        outcome,
    }];
    wait(store.jobs_forwarded(run, jobs)).unwrap();
}

fn run_waits_since(store: &SqliteStore) -> Option<i64> {
    let since = detail(store, "r").unwrap().summary.waiting_since;
    since.map(|since| (since - at(0)).num_seconds())
}

fn outgoing(store: &SqliteStore) -> Vec<String> {
    let run = detail(store, "r").unwrap().summary.id;
    let outgoing = wait(store.outgoing(run)).unwrap().unwrap();
    outgoing.jobs.into_iter().map(|kept| kept.job.name).collect()
}

fn run_forwarded(store: &SqliteStore) {
    let run = detail(store, "r").unwrap().summary;
    let forwarded = crate::store::Forwarded {
        id: run.id,
        covered: run.notifications,
        answer: None,
        sent: Some("digest".into()),
    };
    wait(store.forwarded(forwarded)).unwrap();
}

#[test]
fn a_run_waits_until_dx_has_its_jobs_too() {
    let (dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    append_job(&store, "r", job("a", Status::Running, Some(1), None), 5);
    append_job(&store, "r", job("b", Status::Running, Some(1), None), 6);
    assert_eq!(run_waits_since(&store), Some(0));
    run_forwarded(&store);
    assert_eq!(
        (run_waits_since(&store), outgoing(&store)),
        (Some(5), vec!["a".into(), "b".into()])
    );

    // A new state came while the one before was on its way.
    let before = jobs(&store);
    append_job(&store, "r", job("a", Status::Success, Some(1), None), 7);
    answered(&store, &before[0], JobOutcome::Answered("one".into()));
    assert_eq!(outgoing(&store), ["a", "b"]);
    assert_eq!(jobs(&store)[0].sent.as_deref(), Some("one"));
    // A refused one goes after the others.
    answered(&store, &jobs(&store)[0], JobOutcome::Refused(at(8)));
    assert_eq!(
        (run_waits_since(&store), outgoing(&store)),
        (Some(5), vec!["b".into(), "a".into()])
    );
    answered(&store, &jobs(&store)[0], JobOutcome::Answered("two".into()));
    assert_eq!((run_waits_since(&store), outgoing(&store)), (Some(6), vec!["b".into()]));
    answered(&store, &before[1], JobOutcome::Answered("three".into()));
    assert_eq!((run_waits_since(&store), outgoing(&store)), (None, vec![]));
    drop(store);
    let store = open(dir.path());
    // The same state is no news, a new one is.
    append_job(&store, "r", job("b", Status::Running, Some(1), None), 9);
    assert_eq!(run_waits_since(&store), None);
    append_job(&store, "r", job("b", Status::Failure, Some(1), None), 10);
    assert_eq!(
        (run_waits_since(&store), outgoing(&store)),
        (Some(10), vec!["b".into()])
    );
}

#[test]
fn held_jobs_do_not_wait_and_those_left_go_with_the_runs_next_news() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    run_forwarded(&store);
    let held = Append {
        jobs: vec![NewJob {
            job: job("held", Status::Running, Some(1), None),
            by_policies: true,
            held: true,
        }],
        ..appending_job("r", job("", Status::Running, None, None), 1)
    };
    wait(store.append(held)).unwrap();
    assert_eq!(run_waits_since(&store), None);
    append_job(&store, "r", job("left", Status::Running, Some(1), None), 2);
    answered(&store, &jobs(&store)[1], JobOutcome::Left);
    assert_eq!((run_waits_since(&store), outgoing(&store)), (None, vec![]));
    append(&store, ended("web", "r", 0, "success"), 3);
    assert_eq!(
        (run_waits_since(&store), outgoing(&store)),
        (Some(3), vec!["left".into()])
    );
    // It is not held any more.
    append_job(&store, "r", job("held", Status::Success, Some(1), None), 4);
    assert_eq!(outgoing(&store), ["held", "left"]);
}

#[test]
fn attributes_of_a_run_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_by_rules(dir.path());
    let attribute = |key: &str, value: &str| Attribute {
        key: key.into(),
        value: value.into(),
    };
    let with = |attributes| Notification {
        attributes,
        ..running("web", "r", 0)
    };
    append(&store, with(vec![attribute("team", "a"), attribute("queue", "x")]), 0);
    append(&store, with(vec![attribute("team", "b")]), 1);
    append(&store, ended("web", "r", 0, "success"), 2);
    drop(store);
    let kept = detail(&open_by_rules(dir.path()), "r").unwrap();
    let expected = [attribute("queue", "x"), attribute("team", "b")];
    assert_eq!(kept.summary.record.attributes, expected);
    assert_eq!(kept.received[0].notification.attributes.len(), 2);
}

#[test]
fn steps_of_an_older_version_become_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_by_rules(dir.path());
    append(&store, running("web", "r", 0), 0);
    append(&store, running("web", "known", 0), 0);
    let known = detail(&store, "known").unwrap().summary.id;
    drop(store);
    // As that version kept them: notifications, and a name for each step.
    let steps = [
        Notification {
            status: Some("failure".into()),
            ..step("web", "r", "lint")
        },
        Notification {
            started_at: Some(text_at(30)),
            ..ended("web", "r", 30, "success")
        },
    ];
    let second = Notification {
        step: Some("lint".into()),
        ..steps[1].clone()
    };
    let blank = step("web", "r", "\u{200b}");
    let body = |notification: &Notification| serde_json::to_string(notification).unwrap();
    let id = 1;
    let mut more = String::new();
    for (number, notification) in [&steps[0], &second, &blank].into_iter().enumerate() {
        let key = id * 16_384 + number + 1;
        more.push_str(&format!(
            "INSERT INTO notifications (key, arrived, token, body) VALUES ({key}, 0, 'ci', '{}');",
            body(notification)
        ));
    }
    more.push_str(
        "INSERT INTO jobs (id, run, name) VALUES (100, 1, 'lint'), (101, 1, '\u{200b}');
         UPDATE runs SET notifications = 4, folded = 4 WHERE id = 1;
         UPDATE sequence SET next = 200;",
    );
    take_back(dir.path(), &more);
    let store = open_by_rules(dir.path());
    let kept = detail(&store, "r").unwrap();
    assert_eq!((kept.jobs.len(), kept.received.len()), (1, 4));
    assert_eq!((kept.jobs[0].id, kept.jobs[0].job.name.as_str()), (100, "lint"));
    // The later execution, which waits for DX as its run does.
    assert_eq!(state(&kept.jobs[0].job), (Status::Success, Some(30), Some(90)));
    assert_eq!(outgoing(&store), ["lint"]);
    append_job(&store, "r", job("lint", Status::Running, None, None), 500);
    append_job(&store, "r", job("test", Status::Running, None, None), 500);
    assert_eq!(jobs(&store).len(), 2);
    assert!(detail(&store, "known").unwrap().jobs.is_empty() && known != 1);
}

fn report() -> impl Strategy<Value = Job> {
    let status = select(vec![
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ]);
    let times = (0_i64..9, proptest::option::of(9_i64..19));
    (select(vec!["a", "b"]), select(vec!["n", "m"]), status, times).prop_map(|(id, name, status, (start, finish))| {
        Job {
            reference_id: id.into(),
            name: name.into(),
            ..job("", status, Some(start), finish)
        }
    })
}

proptest! {
    // Each case opens two stores.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jobs_with_starts_are_the_same_in_any_order_and_however_often(
        (reports, other) in proptest::collection::vec(report(), 1..10).prop_flat_map(|reports| {
            (Just(reports.clone()), Just(reports).prop_shuffle())
        }),
        again in any::<Index>(),
        together in any::<bool>(),
    ) {
        let run = running("web", "r", 0);
        let record = RULES.fold(std::slice::from_ref(&run)).unwrap().run;
        let steps = reports.iter().map(|job| job.clone().into_notification(&record));
        let history: Vec<Notification> = std::iter::once(run.clone()).chain(steps).collect();
        let expected = RULES.fold(&history).unwrap().jobs;
        for reports in [&reports, &other] {
            let dir = tempfile::tempdir().unwrap();
            let store = open_by_rules(dir.path());
            append(&store, run.clone(), 0);
            let mut answers = Vec::new();
            for report in reports.iter().chain([again.get(reports)]) {
                answers.push(store.append(appending_job("r", report.clone(), 1000)));
                if !together {
                    wait(answers.remove(0)).unwrap();
                }
            }
            for answer in answers {
                wait(answer).unwrap();
            }
            let mut kept: Vec<Job> = jobs(&store).into_iter().map(|kept| kept.job).collect();
            kept.sort_by(|one, other| one.reference_id.cmp(&other.reference_id));
            prop_assert_eq!(&kept, &expected);
        }
    }
}
