//! DX's rule for folding, which does not depend on order, repetition or grouping.

use pipefold_plugin::{Attribute, Job, Notification, Status, merge};
use proptest::prelude::*;

use crate::generate::{status, valid};
use crate::support::{at, minimal, name, step_at, upserts, worked_example};

#[test]
fn the_worked_example() {
    let run = merge(&worked_example()).unwrap().run;
    assert_eq!(run.started_at, "2025-01-01T11:24:40Z");
    assert_eq!(run.finished_at.as_deref(), Some("2025-01-01T11:46:07Z"));
    assert_eq!(run.status, Status::Failure);
}

#[test]
fn a_step_is_a_job_and_changes_no_run() {
    let mut step = step_at("11:20:00", "failure");
    step.finished_at = Some("2025-01-01T11:50:00".into());
    let report = merge(&[at("11:21:00", "running"), step]).unwrap();
    assert_eq!(
        report.run.started_at, "2025-01-01T11:20:00Z",
        "the earliest start of all"
    );
    assert_eq!((report.run.status, report.run.finished_at), (Status::Running, None));
    let job = Job {
        reference_id: "lint".into(),
        name: "lint".into(),
        status: Status::Failure,
        started_at: Some("2025-01-01T11:20:00Z".into()),
        finished_at: Some("2025-01-01T11:50:00Z".into()),
    };
    assert_eq!(report.jobs, [job]);
}

#[test]
fn the_latest_start_decides_a_job() {
    let end = |time: &str, status: &str, finish: &str| Notification {
        finished_at: Some(format!("2025-01-01T{finish}")),
        ..step_at(time, status)
    };
    let history = [
        step_at("12:00:00", "running"),
        end("12:00:00", "failure", "12:03:00"),
        step_at("12:04:00", "running"),
        end("12:04:00", "success", "12:05:00"),
        at("12:00:00", "running"),
    ];
    let job = |history: &[Notification]| {
        let job = merge(history).unwrap().jobs.remove(0);
        (job.status, job.started_at.unwrap(), job.finished_at)
    };
    let retried = (
        Status::Success,
        "2025-01-01T12:04:00Z".to_owned(),
        Some("2025-01-01T12:05:00Z".to_owned()),
    );
    assert_eq!(job(&history), retried);
    let again = (Status::Running, "2025-01-01T12:04:00Z".to_owned(), None);
    assert_eq!(job(&history[..3]), again, "a retry that runs is not the failure before");
}

#[test]
fn a_step_may_lack_its_start_and_have_an_id() {
    let early = Notification {
        started_at: None,
        step_id: Some("17".into()),
        ..step_at("12:00", "failure")
    };
    let late = Notification {
        step: Some("lint again".into()),
        step_id: Some("17".into()),
        ..step_at("12:00:00", "running")
    };
    let other = step_at("12:00:00", "success");
    let jobs = merge(&[late, early.clone(), other]).unwrap().jobs;
    let shown: Vec<_> = jobs
        .iter()
        .map(|job| (job.reference_id.as_str(), job.name.as_str(), job.status))
        .collect();
    let expected = [("17", "lint again", Status::Running), ("lint", "lint", Status::Success)];
    assert_eq!(shown, expected);
    assert_eq!(merge(&[early]).unwrap_err()[0].field, "started_at", "a run has one");
}

#[test]
fn attributes_take_the_greatest_value_of_a_key() {
    let with = |pairs: &[(&str, &str)]| Notification {
        attributes: pairs
            .iter()
            .map(|(key, value)| Attribute {
                key: (*key).into(),
                value: (*value).into(),
            })
            .collect(),
        ..minimal()
    };
    let run = merge(&[
        with(&[("team", "b"), ("pool", "x")]),
        with(&[("team", "a"), ("team", "c"), ("blank", " ")]),
    ]);
    assert_eq!(
        run.unwrap().run.attributes,
        with(&[("pool", "x"), ("team", "c")]).attributes
    );
}

#[test]
fn times_are_compared_as_times_not_as_text() {
    let mut early = at("12:00:00+05:00", "");
    early.finished_at = Some("2025-01-01T20:00:00+12:00".into());
    let mut late = at("08:00:00Z", "");
    late.finished_at = Some("20250101T100000".into());
    let run = merge(&[late, early]).unwrap().run;
    assert_eq!(run.started_at, "2025-01-01T07:00:00Z");
    assert_eq!(run.finished_at.as_deref(), Some("2025-01-01T10:00:00Z"));
}

#[test]
fn other_fields_take_the_greatest_value() {
    let one = Notification {
        pipeline_name: Some("Z".into()),
        repository: Some("getdx/a".into()),
        pr_number: Some(9),
        head_branch: Some("main".into()),
        ..minimal()
    };
    let other = Notification {
        pipeline_name: Some("a".into()),
        repository: Some("getdx/b".into()),
        pr_number: Some(10),
        email: Some("  ".into()),
        head_branch: Some(" main".into()),
        ..minimal()
    };
    let run = merge(&[one, other]).unwrap().run;
    assert_eq!(run.pipeline_name, "a", "text by its bytes");
    assert_eq!(run.repository.as_deref(), Some("getdx/b"));
    assert_eq!(run.pr_number, Some(10), "numbers by size");
    assert_eq!(run.head_branch.as_deref(), Some("main"), "values are kept as given");
    assert_eq!(run.email, None, "blank is absent");
}

/// The rule in DX's text: sorted by `started_at`, replacing the status if the newer one is higher than the previous.
fn by_dx_words(history: &[(u32, Status)]) -> Status {
    let mut sorted = history.to_vec();
    sorted.sort_by_key(|&(started_at, _)| started_at);
    let mut previous = Status::Unknown;
    for (_, newer) in sorted {
        if newer > previous {
            previous = newer;
        }
    }
    previous
}

proptest! {
    #[test]
    fn status_follows_dx_words(history in prop::collection::vec((0_u32..60, status()), 1..12)) {
        let notifications: Vec<_> =
            history.iter().map(|&(minute, status)| at(&format!("12:{minute:02}"), name(status))).collect();
        prop_assert_eq!(merge(&notifications).unwrap().run.status, by_dx_words(&history));
    }

    #[test]
    fn any_order_any_repetition_any_grouping(
        (history, again) in prop::collection::vec(valid(), 1..16).prop_flat_map(|history| {
            // Each at least once, some more often, shuffled, and each put into one of four parts.
            let repeated = prop::collection::vec(prop::sample::select(history.clone()), 0..8);
            let again = (Just(history.clone()), repeated)
                .prop_map(|(mut all, more)| { all.extend(more); all })
                .prop_shuffle()
                .prop_flat_map(|all| {
                    let parts = prop::collection::vec(0_usize..4, all.len());
                    (Just(all), parts)
                });
            (Just(history), again)
        })
    ) {
        let (all, part_of) = again;
        let whole = merge(&history).unwrap();
        prop_assert_eq!(&merge(&all).unwrap(), &whole);

        let mut parts = Vec::new();
        for part in 0..4 {
            let members: Vec<_> =
                all.iter().zip(&part_of).filter(|&(_, &of)| of == part).map(|(event, _)| event.clone()).collect();
            if !members.is_empty() {
                parts.extend(upserts(merge(&members).unwrap()));
            }
        }
        prop_assert_eq!(&merge(&parts).unwrap(), &whole);
    }

    #[test]
    fn a_part_reported_twice_changes_nothing(history in prop::collection::vec(valid(), 1..8)) {
        let whole = merge(&history).unwrap();
        let mut more = history;
        more.extend(upserts(whole.clone()));
        prop_assert_eq!(merge(&more).unwrap(), whole);
    }
}
