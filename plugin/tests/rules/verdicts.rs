//! The verdict of each hook on valid notifications and histories.

use pipefold_plugin::{Job, Notification, Report, Status, Verdict, pipeline_finish, pipeline_start, step};
use proptest::prelude::*;

use crate::support::{at, minimal, name, report, reported, step_at, upsert, worked_example};

const ALL: [Status; 5] = [
    Status::Unknown,
    Status::Running,
    Status::Success,
    Status::Cancelled,
    Status::Failure,
];

fn tolerated(event: Notification) -> Notification {
    Notification {
        allowed_to_fail: true,
        ..event
    }
}

fn ends_at(time: &str, event: Notification) -> Notification {
    Notification {
        finished_at: Some(format!("2025-01-01T{time}")),
        ..event
    }
}

#[test]
fn a_start_is_reported_as_running_without_a_finish() {
    for status in ALL {
        let run = reported(pipeline_start(&ends_at("13:00", at("12:05", name(status)))));
        assert_eq!(run.status, Status::Running);
        assert_eq!(run.started_at, "2025-01-01T12:05:00Z");
        assert_eq!(run.finished_at, None);
    }
}

#[test]
fn every_field_is_reported() {
    let event = Notification {
        repository: Some("getdx/some_repo".into()),
        commit_sha: Some("c0ffee".into()),
        pr_number: Some(i64::MAX),
        source_url: Some("https://ci.example/1".into()),
        head_branch: Some("größe".into()),
        email: Some("john@getdx.com".into()),
        github_username: Some("johndoe".into()),
        gitlab_username: Some("jdoe".into()),
        ..at("12:05", "running")
    };
    let run = reported(pipeline_start(&event));
    let expected = Notification {
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..event
    };
    assert_eq!(upsert(run), expected);
}

#[test]
fn a_step_is_held() {
    for status in ALL {
        assert_eq!(
            step(&ends_at("13:00", step_at("12:05", name(status)))),
            Ok(Verdict::Hold)
        );
        assert_eq!(step(&tolerated(step_at("12:05", name(status)))), Ok(Verdict::Hold));
    }
}

#[test]
fn an_urgent_step_is_reported_without_a_finish_or_a_final_status() {
    for status in ALL {
        let event = Notification {
            urgent: true,
            ..ends_at("13:00", step_at("12:05", name(status)))
        };
        let run = reported(step(&event));
        let expected = if status == Status::Unknown {
            status
        } else {
            Status::Running
        };
        assert_eq!((run.status, run.finished_at), (expected, None));
    }
    let silent = Notification {
        urgent: true,
        ..step_at("12:05", "")
    };
    assert_eq!(reported(step(&silent)).status, Status::Unknown);
}

#[test]
fn an_urgent_step_that_may_fail_reports_no_result_of_the_run() {
    for status in ALL {
        let event = Notification {
            urgent: true,
            ..tolerated(step_at("12:05", name(status)))
        };
        let expected = if status == Status::Unknown {
            status
        } else {
            Status::Running
        };
        assert_eq!(reported(step(&event)).status, expected);
    }
}

#[test]
fn the_worked_example_finished() {
    let of_step = |event| Notification {
        step: Some("lint".into()),
        ..event
    };
    let steps: Vec<_> = worked_example().into_iter().map(of_step).collect();
    let Report { run, jobs } = report(pipeline_finish(&steps));
    assert_eq!(run.started_at, "2025-01-01T11:24:40Z");
    assert_eq!(run.status, Status::Failure);
    assert_eq!(run.finished_at, None, "a step's finish is not the run's");
    let latest = Job {
        reference_id: "lint".into(),
        name: "lint".into(),
        status: Status::Success,
        started_at: Some("2025-01-01T11:26:07Z".into()),
        finished_at: Some("2025-01-01T11:46:07Z".into()),
    };
    assert_eq!(jobs, [latest]);
}

#[test]
fn an_urgent_step_is_reported_as_its_job() {
    let event = Notification {
        urgent: true,
        ..ends_at("13:00", step_at("12:05", "failure"))
    };
    let Report { run, jobs } = report(step(&event));
    assert_eq!((run.status, run.finished_at), (Status::Running, None));
    let job = &jobs[0];
    assert_eq!((jobs.len(), job.status), (1, Status::Failure));
    assert_eq!(job.finished_at.as_deref(), Some("2025-01-01T13:00:00Z"));
    let no_start = Notification {
        started_at: None,
        urgent: true,
        ..step_at("12:05", "failure")
    };
    assert_eq!(step(&no_start).unwrap_err()[0].field, "started_at");
    let held = Notification {
        urgent: false,
        ..no_start
    };
    assert_eq!(step(&held), Ok(Verdict::Hold));
}

#[test]
fn a_notification_of_the_whole_run_decides_against_its_steps() {
    for status in [Status::Success, Status::Cancelled, Status::Failure] {
        for of_step in ALL {
            let history = [
                at("12:00", "running"),
                ends_at("15:00", step_at("12:01", name(of_step))),
                ends_at("14:00", at("12:00", name(status))),
            ];
            let run = reported(pipeline_finish(&history));
            assert_eq!(run.status, status, "with a step {of_step:?}");
            assert_eq!(run.finished_at.as_deref(), Some("2025-01-01T14:00:00Z"));
        }
    }
}

#[test]
fn several_that_ended_the_whole_run_decide_by_rank() {
    let history = [
        at("12:00", "failure"),
        at("12:05", "success"),
        at("12:09", "running"),
        step_at("12:10", "success"),
    ];
    assert_eq!(reported(pipeline_finish(&history)).status, Status::Failure);
    let history = [at("12:00", "success"), at("12:05", "cancelled")];
    assert_eq!(reported(pipeline_finish(&history)).status, Status::Cancelled);
}

#[test]
fn without_such_a_one_the_steps_decide() {
    let open = [
        at("12:00", "running"),
        step_at("12:01", "success"),
        ends_at("14:00", at("12:02", "")),
    ];
    let run = reported(pipeline_finish(&open));
    assert_eq!(run.status, Status::Success);
    assert_eq!(run.finished_at.as_deref(), Some("2025-01-01T14:00:00Z"));

    let failed = [
        at("12:00", "running"),
        step_at("12:01", "success"),
        step_at("12:02", "failure"),
    ];
    assert_eq!(reported(pipeline_finish(&failed)).status, Status::Failure);
}

#[test]
fn steps_that_may_fail_do_not_decide() {
    let history = [
        at("12:00", "running"),
        step_at("12:01", "success"),
        tolerated(step_at("12:02", "failure")),
    ];
    assert_eq!(reported(pipeline_finish(&history)).status, Status::Success);
    assert_eq!(
        reported(pipeline_finish(&[tolerated(step_at("12:02", "failure"))])).status,
        Status::Unknown
    );
}

#[test]
fn a_whole_run_cannot_be_allowed_to_fail() {
    for status in ALL {
        let history = [tolerated(at("12:00", name(status)))];
        assert_eq!(reported(pipeline_finish(&history)).status, status);
    }
}

#[test]
fn a_blank_step_is_the_whole_run() {
    let blank = Notification {
        step: Some(" ".into()),
        ..ends_at("14:00", at("12:00", "success"))
    };
    let run = reported(pipeline_finish(&[blank, step_at("12:01", "failure")]));
    assert_eq!(run.status, Status::Success);
    assert!(run.finished_at.is_some());
}

#[test]
fn the_finish_is_the_latest_of_the_whole_run() {
    let history = [
        ends_at("14:00", at("12:00", "success")),
        ends_at("14:30", at("12:00", "")),
        ends_at("15:00", step_at("12:00", "success")),
    ];
    assert_eq!(
        reported(pipeline_finish(&history)).finished_at.as_deref(),
        Some("2025-01-01T14:30:00Z")
    );
}

#[test]
fn steps_give_the_start_and_the_other_fields() {
    let named = Notification {
        email: Some("john@getdx.com".into()),
        ..step_at("11:00", "success")
    };
    let run = reported(pipeline_finish(&[at("12:00", "success"), named]));
    assert_eq!(run.started_at, "2025-01-01T11:00:00Z");
    assert_eq!(run.email.as_deref(), Some("john@getdx.com"));
    assert_eq!(run.pipeline_name, minimal().pipeline_name.unwrap());
}

proptest! {
    #[test]
    fn a_finish_does_not_care_about_order_or_repetition(
        (history, shuffled) in prop::collection::vec(
            (0_u32..60, prop::sample::select(&ALL[..]), any::<[bool; 3]>()), 1..12,
        ).prop_flat_map(|rows| {
            let history: Vec<_> = rows.into_iter().map(|(minute, status, [is_step, allowed_to_fail, ended])| Notification {
                step: is_step.then(|| "lint".into()),
                allowed_to_fail,
                finished_at: ended.then(|| format!("2025-01-01T13:{minute:02}")),
                ..at(&format!("12:{minute:02}"), name(status))
            }).collect();
            let mut twice = history.clone();
            twice.extend(history.iter().take(5).cloned());
            (Just(history), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(pipeline_finish(&shuffled), pipeline_finish(&history));
    }
}
