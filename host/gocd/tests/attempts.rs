//! Stages to attempts: each decision by itself.

use crate::support::{at, history, mapping, now, stage, summary};
use chrono::TimeDelta;
use pipefold_gocd::documents::*;
use pipefold_gocd::mapping::*;
use pipefold_gocd::read;
use pipefold_sandbox::Notification;

#[test]
fn a_stage_that_is_run_again_begins_an_attempt() {
    let mut stages = vec![
        stage("build", 1, "Passed", (1, 10), "changes"),
        stage("test", 1, "Failed", (1, 11), "changes"),
        stage("test", 2, "Passed", (1, 14), "ann"),
        stage("deploy", 1, "Passed", (1, 15), "changes"),
        stage("deploy", 2, "Cancelled", (20, 12), "bob"),
    ];
    let expected = [
        "p/7 2019-12-01T08:00:00Z failure 2019-12-01T10:00:00Z",
        "p/7/attempt-2 2019-12-01T13:00:00Z success 2019-12-01T14:00:00Z",
        "p/7/attempt-3 2019-12-20T11:00:00Z cancelled 2019-12-20T11:00:00Z",
    ];
    assert_eq!(summary(&mapping(), &history(&stages)), expected);
    // In whatever order they are found, and however often.
    stages.extend(stages.clone());
    stages.reverse();
    assert_eq!(summary(&mapping(), &history(&stages)), expected);
    // Following along gives the same: what was said of an attempt stays.
    stages.reverse();
    for (known, attempts) in [(2, 1), (4, 2)] {
        assert_eq!(summary(&mapping(), &history(&stages[..known])), expected[..attempts]);
    }
    let warnings = mapping().map(&history(&stages), now()).warnings;
    assert_eq!(
        warnings,
        [
            Warning::ApproximateStart { attempt: 2 },
            Warning::ApproximateStart { attempt: 3 }
        ]
    );
}

#[test]
fn a_stage_that_the_attempt_does_not_hold_joins_it() {
    let stages = [
        stage("build", 1, "Passed", (1, 10), "changes"),
        stage("test", 1, "Failed", (1, 11), "changes"),
        stage("build", 2, "Passed", (1, 13), "ann"),
        stage("test", 2, "Passed", (1, 14), "changes"),
        stage("deploy", 1, "Passed", (1, 15), "changes"),
        stage("test", 3, "Passed", (2, 10), "ann"),
        // From before it in the pipeline, and still not held by the third.
        stage("build", 3, "Failed", (3, 10), "ann"),
    ];
    let attempts = mapping().map(&history(&stages), now()).attempts;
    let steps: Vec<usize> = attempts.iter().map(|attempt| attempt.steps.len()).collect();
    assert_eq!(steps, [2, 3, 2]);
}

#[test]
fn of_two_entries_for_one_run_the_last_update_counts() {
    let stages = [
        stage("build", 1, "Failed", (1, 12), "changes"),
        stage("build", 1, "Passed", (1, 10), "changes"),
        stage("build", 1, "Building", (1, 9), "changes"),
    ];
    assert_eq!(
        summary(&mapping(), &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z failure 2019-12-01T11:00:00Z"]
    );
}

#[test]
fn stages_that_ended_in_the_same_second_are_ordered_by_their_ids() {
    let id = |run: StageRun, id| StageRun { id: Some(id), ..run };
    let mut stages = [
        id(stage("test", 1, "Failed", (1, 10), "changes"), 5),
        id(stage("test", 2, "Passed", (1, 10), "ann"), 6),
        id(stage("build", 1, "Passed", (1, 10), "changes"), 4),
        // By its counter, of the first attempt.
        id(stage("deploy", 1, "Passed", (1, 10), "changes"), 7),
    ];
    for _ in 0..stages.len() {
        stages.rotate_left(1);
        let attempts = mapping().map(&history(&stages), now()).attempts;
        let steps = |attempt: &Attempt| {
            attempt
                .steps
                .iter()
                .map(|step| step.step.clone().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            attempts.iter().map(steps).collect::<Vec<_>>(),
            [["build", "test"], ["test", "deploy"]]
        );
    }
}

#[test]
fn a_late_stage_counts_and_does_not_stretch_the_run() {
    let stages = [
        stage("build", 1, "Passed", (1, 10), "ann"),
        stage("test", 1, "Passed", (1, 11), "changes"),
        stage("deploy", 1, "Failed", (9, 12), "bob"),
        stage("smoke", 1, "Passed", (9, 13), "changes"),
    ];
    assert_eq!(
        summary(&mapping(), &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z failure 2019-12-01T10:00:00Z"]
    );
    assert_eq!(
        summary(&mapping(), &history(&stages[..2])),
        ["p/7 2019-12-01T08:00:00Z success 2019-12-01T10:00:00Z"]
    );
    let extend = Mapping {
        late_stages: LateStages::Extend,
        ..mapping()
    };
    assert_eq!(
        summary(&extend, &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z failure 2019-12-09T12:00:00Z"]
    );
    let deploy = &mapping().map(&history(&stages), now()).attempts[0].steps[2];
    assert_eq!(
        deploy.started_at, deploy.finished_at,
        "days of waiting are no time of the step"
    );
}

#[test]
fn a_run_has_no_outcome_while_a_stage_is_under_way() {
    for word in ["Building", "Failing"] {
        let stages = [
            stage("build", 1, "Passed", (1, 10), "changes"),
            stage("test", 1, word, (1, 11), "changes"),
        ];
        assert_eq!(summary(&mapping(), &history(&stages)), ["p/7 2019-12-01T08:00:00Z - -"]);
        let step = &mapping().map(&history(&stages), now()).attempts[0].steps[1];
        assert_eq!(
            (step.status.as_deref(), step.finished_at.as_deref()),
            (Some("running"), None)
        );
        assert!(history(&stages).is_open(at(15, 10).to_utc()));
    }
    let unknown = [
        stage("build", 1, "Passed", (1, 10), ""),
        stage("test", 1, "Completed", (1, 11), ""),
    ];
    let mapped = mapping().map(&history(&unknown), now());
    assert_eq!(mapped.attempts[0].steps.len(), 1);
    assert!(matches!(mapped.warnings[..], [Warning::UnknownResult { .. }]));
    assert_eq!(mapping().map(&history(&[]), now()), Mapped::default());
}

#[test]
fn an_attempt_is_reported_once_its_first_stage_has_ended() {
    let mut stages = vec![
        stage("build", 1, "Failed", (1, 10), "changes"),
        stage("build", 2, "Building", (1, 12), "ann"),
    ];
    let expected = "p/7 2019-12-01T08:00:00Z failure 2019-12-01T09:00:00Z";
    let mapped = mapping().map(&history(&stages), now());
    // A stage in progress was updated at some time between its start and its end: as a start that would have to be corrected.
    assert_eq!(summary(&mapping(), &history(&stages)), [expected]);
    assert_eq!(mapped.warnings, []);
    stages[1] = stage("build", 2, "Passed", (1, 13), "ann");
    stages.push(stage("test", 1, "Building", (1, 14), "changes"));
    assert_eq!(
        summary(&mapping(), &history(&stages)),
        [expected, "p/7/attempt-2 2019-12-01T12:00:00Z - -"]
    );
}

#[test]
fn a_final_stage_holds_success_back_and_nothing_else() {
    let mut mapping = mapping();
    mapping
        .final_stages
        .insert(Name::new("p").unwrap(), Name::new("deploy").unwrap());
    let mut stages = vec![stage("build", 1, "Passed", (1, 10), "changes")];
    assert_eq!(summary(&mapping, &history(&stages)), ["p/7 2019-12-01T08:00:00Z - -"]);
    stages.push(stage("deploy", 1, "Passed", (1, 11), "changes"));
    assert_eq!(
        summary(&mapping, &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z success 2019-12-01T10:00:00Z"]
    );
    stages[1].result = StageResult::Failed;
    assert_eq!(
        summary(&mapping, &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z failure 2019-12-01T10:00:00Z"]
    );
}

#[test]
fn other_ways_with_reruns() {
    let stages = [
        stage("build", 1, "Passed", (1, 10), "changes"),
        stage("test", 1, "Failed", (1, 11), "changes"),
        stage("test", 2, "Passed", (1, 14), ""),
    ];
    let merge = Mapping {
        reruns: Reruns::Merge,
        ..mapping()
    };
    assert_eq!(
        summary(&merge, &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z failure 2019-12-01T13:00:00Z"]
    );
    let latest = |quiet| Mapping {
        reruns: Reruns::Latest { quiet },
        ..mapping()
    };
    assert_eq!(
        summary(&latest(TimeDelta::days(30)), &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z success 2019-12-01T13:00:00Z"]
    );
    assert_eq!(
        summary(&latest(TimeDelta::days(31)), &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z - -"]
    );
}

#[test]
fn times_of_another_run_s_jobs_are_not_used() {
    let document = |counter: u64| {
        format!(
            r#"<job name="j"><pipeline name="p" counter="7"/><stage name="build" counter="{counter}"/><result>Passed</result>
            <properties><property name="cruise_timestamp_01_scheduled">2019-12-01 09:30:00 +0100</property>
            <property name="cruise_timestamp_06_completed">2019-12-01T09:45:00+01:00</property></properties></job>"#
        )
    };
    let run = |counter| StageRun {
        jobs: vec![read::job(document(counter).as_bytes()).unwrap()],
        ..stage("build", 2, "Passed", (1, 10), "changes")
    };
    let own = history(&[run(2)]);
    assert_eq!(
        summary(&mapping(), &own),
        ["p/7 2019-12-01T08:30:00Z success 2019-12-01T08:45:00Z"]
    );
    let other = history(&[run(1)]);
    assert_eq!(
        summary(&mapping(), &other),
        ["p/7 2019-12-01T08:00:00Z success 2019-12-01T09:00:00Z"]
    );
    assert!(matches!(
        mapping().map(&other, now()).warnings[..],
        [Warning::OtherJob { .. }]
    ));
}

#[test]
fn without_any_time_there_is_no_run() {
    let mut history = history(&[StageRun {
        updated: None,
        ..stage("build", 1, "Passed", (1, 10), "changes")
    }]);
    assert_eq!(summary(&mapping(), &history), ["p/7 2019-12-01T08:00:00Z success -"]);
    history.pipeline.as_mut().unwrap().scheduled = None;
    let mapped = mapping().map(&history, now());
    assert_eq!(
        (mapped.attempts, mapped.warnings),
        (vec![], vec![Warning::NoStart { attempt: 1 }])
    );
}

#[test]
fn a_run_is_open_for_a_fortnight_however_it_went() {
    for word in ["Passed", "Failed", "Cancelled", "Building"] {
        let run = history(&[
            stage("build", 1, "Failed", (1, 10), ""),
            stage("build", 2, word, (1, 11), ""),
        ]);
        assert!(run.is_open(at(15, 10).to_utc()), "{word}");
        assert!(!run.is_open(at(15, 11).to_utc()), "{word}");
    }
}

#[test]
fn a_stage_that_is_spelled_another_way_is_the_same_stage() {
    let stages = [
        stage("BUILD", 1, "Failed", (1, 10), "changes"),
        stage("build", 2, "Passed", (1, 12), "ann"),
    ];
    let expected = [
        "p/7 2019-12-01T08:00:00Z failure 2019-12-01T09:00:00Z",
        "p/7/attempt-2 2019-12-01T11:00:00Z success 2019-12-01T11:00:00Z",
    ];
    assert_eq!(summary(&mapping(), &history(&stages)), expected);
    let twice = [
        stages[1].clone(),
        stage("Build", 2, "Passed", (1, 12), "ann"),
        stages[0].clone(),
    ];
    assert_eq!(summary(&mapping(), &history(&twice)), expected);
    let latest = Mapping {
        reruns: Reruns::Latest {
            quiet: TimeDelta::hours(1),
        },
        ..mapping()
    };
    assert_eq!(
        summary(&latest, &history(&stages)),
        ["p/7 2019-12-01T08:00:00Z success 2019-12-01T11:00:00Z"]
    );
    // The final stage, and the pipeline that has it, may be spelled another way too.
    let mut awaited = mapping();
    let name = |text| Name::new(text).unwrap();
    awaited.final_stages.insert(name("P"), name("DEPLOY"));
    assert_eq!(
        summary(&awaited, &history(&stages))[1],
        "p/7/attempt-2 2019-12-01T11:00:00Z - -"
    );
}

/// A job's document: its own counter of the stage, and the minutes after nine at which it was queued and ended, if it has times.
fn job(name: &str, counter: u64, word: &str, minutes: Option<(u32, u32)>) -> Job {
    let properties = minutes.map_or(String::new(), |(from, to)| {
        format!(
            r#"<property name="cruise_timestamp_01_scheduled">2019-12-01 09:{from:02}:00 +0100</property>
            <property name="cruise_timestamp_06_completed">2019-12-01T09:{to:02}:00+01:00</property>"#
        )
    });
    let (result, state) = match word {
        "Building" => ("Unknown", "Building"),
        word => (word, "Completed"),
    };
    let document = format!(
        r#"<job name="{name}"><pipeline name="p" counter="7"/><stage name="test" counter="{counter}"/><result>{result}</result>
        <state>{state}</state><properties>{properties}</properties></job>"#
    );
    read::job(document.as_bytes()).unwrap()
}

/// Name, start, finish and status of each step of the first attempt.
fn steps(stages: &[StageRun]) -> Vec<String> {
    let mapped = mapping().map(&history(stages), now());
    let text = |step: &Notification| {
        let time = |time: &Option<String>| time.as_deref().map_or("-".to_owned(), |time| time[11..16].to_owned());
        format!(
            "{} {} {} {}",
            step.step.as_deref().unwrap(),
            time(&step.started_at),
            time(&step.finished_at),
            step.status.as_deref().unwrap()
        )
    };
    mapped.attempts[0].steps.iter().map(text).collect()
}

#[test]
fn a_job_with_times_is_a_step_and_a_stage_without_is_one() {
    let with = |counter, word, jobs| StageRun {
        jobs,
        ..stage("test", counter, word, (1, 10), "changes")
    };
    let timed = vec![
        job("unit", 1, "Passed", Some((1, 5))),
        job("lint", 1, "Failed", Some((2, 9))),
    ];
    assert_eq!(
        steps(&[with(1, "Failed", timed.clone())]),
        ["test/unit 08:01 08:05 success", "test/lint 08:02 08:09 failure"]
    );
    let untimed = vec![job("unit", 1, "Passed", None)];
    assert_eq!(steps(&[with(1, "Passed", untimed)]), ["test 08:00 09:00 success"]);
    // Of a job that was taken over the result is known, not the times.
    let rerun = vec![
        job("unit", 1, "Passed", Some((1, 5))),
        job("lint", 2, "Passed", Some((30, 40))),
        job("docs", 2, "Passed", None),
    ];
    assert_eq!(
        steps(&[with(2, "Passed", rerun)]),
        [
            "test/unit - - success",
            "test/lint 08:30 08:40 success",
            "test/docs - - success"
        ]
    );
}

#[test]
fn the_form_of_a_stage_s_steps_never_changes() {
    let under_way = |jobs| StageRun {
        jobs,
        ..stage("test", 1, "Building", (1, 10), "changes")
    };
    // It is not known yet whether this server records the times of jobs.
    let none: [&str; 0] = [];
    let running = job("unit", 1, "Building", None);
    assert_eq!(steps(&[under_way(vec![running.clone()])]), none);
    let ended = job("lint", 1, "Passed", Some((1, 5)));
    assert_eq!(
        steps(&[under_way(vec![running, ended])]),
        ["test/unit - - running", "test/lint 08:01 08:05 success"]
    );
    let to_come = StageRun {
        lacks_jobs: true,
        ..stage("test", 1, "Passed", (1, 10), "changes")
    };
    assert_eq!(steps(&[to_come]), none);
    // The new dialect has no times of jobs, and none of their documents is requested.
    assert_eq!(steps(&[under_way(Vec::new())]), ["test 08:00 - running"]);
}
