//! Every violation with its exact message.

use pipefold_plugin::{Fault, Notification, Verdict, Violation, merge, pipeline_finish, pipeline_start, step};

use crate::support::minimal;

/// The violations of one notification, the same through each function.
fn violations(event: &Notification) -> Vec<Violation> {
    let found = pipeline_start(event).unwrap_err();
    assert_eq!(step(event).unwrap_err(), found);
    let history = std::slice::from_ref(event);
    assert_eq!(pipeline_finish(history).unwrap_err(), found);
    assert_eq!(merge(history).unwrap_err(), found);
    found
}

/// The only violation of one notification.
fn violation(event: &Notification) -> (Fault, String, String) {
    let mut found = violations(event);
    assert_eq!(found.len(), 1, "{found:?}");
    let Violation { fault, field, message } = found.remove(0);
    (fault, field, message)
}

fn expect(event: &Notification, fault: Fault, field: &str, message: &str) {
    assert_eq!(violation(event), (fault, field.into(), message.into()));
}

fn lines(found: &[Violation]) -> Vec<String> {
    found
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.message))
        .collect()
}

#[test]
fn a_minimal_notification_has_none() {
    assert_eq!(step(&minimal()), Ok(Verdict::Hold));
}

#[test]
fn required_params_missing() {
    let found = violations(&Notification::default());
    assert!(
        found
            .iter()
            .all(|violation| violation.fault == Fault::RequiredParamsMissing)
    );
    let expected = [
        "pipeline_name: required, but absent or blank; give the pipeline's name, such as integration_tests",
        "pipeline_source: required, but absent or blank; give the CI system that runs it, such as Tekton",
        "reference_id: required, but absent or blank; give the run's globally unique name, the same in each of its notifications",
        "started_at: required, but absent or blank; give the time it began in ISO 8601, such as 2025-01-01T12:05:00Z",
    ];
    assert_eq!(lines(&found), expected);

    let blank = Some(" \t\n\u{a0}\u{200b}\u{ad}\u{feff}\u{e0041}".to_owned());
    let blank = Notification {
        pipeline_name: Some(String::new()),
        pipeline_source: blank.clone(),
        reference_id: blank.clone(),
        started_at: blank,
        ..Notification::default()
    };
    assert_eq!(lines(&violations(&blank)), expected, "blank is absent");
    assert_eq!(
        lines(&pipeline_finish(&[]).unwrap_err()),
        expected,
        "an empty history lacks them all"
    );
    assert_eq!(lines(&merge(&[]).unwrap_err()), expected);
}

#[test]
fn invalid_timestamp() {
    let event = Notification {
        started_at: Some("yesterday".into()),
        ..minimal()
    };
    let message = "\"yesterday\" is not an ISO 8601 timestamp; give ISO 8601, such as 2025-01-01T12:05:00Z";
    expect(&event, Fault::InvalidTimestamp, "started_at", message);

    let event = Notification {
        finished_at: Some("2025-01-01T11:46:67".into()),
        ..minimal()
    };
    let message = "\"2025-01-01T11:46:67\" is not a valid time of day; give ISO 8601, such as 2025-01-01T12:05:00Z";
    expect(&event, Fault::InvalidTimestamp, "finished_at", message);
}

#[test]
fn a_finish_before_its_start() {
    let event = Notification {
        finished_at: Some("2025-01-01T13:04:59.9+01:00".into()),
        ..minimal()
    };
    let message = "\"2025-01-01T13:04:59.9+01:00\" is before the start \"2025-01-01T12:05:00\"; \
                   give a finish at or after the start of the same notification";
    expect(&event, Fault::InvalidTimestamp, "finished_at", message);

    let at_once = Notification {
        finished_at: Some("2025-01-01T13:05+01".into()),
        ..minimal()
    };
    assert_eq!(step(&at_once), Ok(Verdict::Hold));

    // It may be before another notification's start.
    let later = Notification {
        started_at: Some("2025-01-02".into()),
        ..minimal()
    };
    assert!(merge(&[at_once, later]).is_ok());
}

#[test]
fn invalid_status() {
    for status in ["Success", "passed", " success", "canceled"] {
        let event = Notification {
            status: Some(status.into()),
            ..minimal()
        };
        let message = format!("invalid status \"{status}\": expected failure, running, success, cancelled or unknown");
        expect(&event, Fault::InvalidStatus, "status", &message);
    }
    let blank = Notification {
        status: Some("  ".into()),
        ..minimal()
    };
    assert_eq!(step(&blank), Ok(Verdict::Hold));
}

#[test]
fn repository_required() {
    let commit = Notification {
        commit_sha: Some("c0ffee".into()),
        ..minimal()
    };
    let message =
        "absent or blank, but required with commit_sha; give the repository's full name, such as getdx/some_repo";
    expect(&commit, Fault::RepositoryRequired, "repository", message);

    let pr = Notification {
        pr_number: Some(1),
        repository: Some(" ".into()),
        ..minimal()
    };
    let message =
        "absent or blank, but required with pr_number; give the repository's full name, such as getdx/some_repo";
    expect(&pr, Fault::RepositoryRequired, "repository", message);

    let both = Notification {
        pr_number: Some(1),
        ..commit
    };
    let message = "absent or blank, but required with commit_sha and pr_number; \
                   give the repository's full name, such as getdx/some_repo";
    expect(&both, Fault::RepositoryRequired, "repository", message);

    let blank = Notification {
        commit_sha: Some(" ".into()),
        ..minimal()
    };
    assert_eq!(step(&blank), Ok(Verdict::Hold));
}

#[test]
fn another_notification_s_repository_does_not_help() {
    let commit = Notification {
        commit_sha: Some("c0ffee".into()),
        ..minimal()
    };
    let repository = Notification {
        repository: Some("getdx/some_repo".into()),
        ..minimal()
    };
    assert_eq!(
        merge(&[commit, repository]).unwrap_err()[0].fault,
        Fault::RepositoryRequired
    );
}

#[test]
fn invalid_pr_number() {
    for number in [0, -1, i64::MIN] {
        let event = Notification {
            pr_number: Some(number),
            repository: Some("getdx/a".into()),
            ..minimal()
        };
        let message = format!("{number} is not a pull request's number; expected 1 or greater");
        expect(&event, Fault::InvalidPrNumber, "pr_number", &message);
    }
}

#[test]
fn invalid_text() {
    for (character, shown) in [
        ('\0', "0000"),
        ('\n', "000A"),
        ('\t', "0009"),
        ('\u{1b}', "001B"),
        ('\u{7f}', "007F"),
        ('\u{9b}', "009B"),
    ] {
        let event = Notification {
            head_branch: Some(format!("é{character}main")),
            ..minimal()
        };
        let message = format!("has the control character U+{shown} at byte 2; remove it: text must be printable");
        expect(&event, Fault::InvalidText, "head_branch", &message);
    }
}

#[test]
fn several_at_once() {
    let event = Notification {
        pipeline_name: None,
        started_at: Some("2025-02-30".into()),
        finished_at: Some("noon".into()),
        status: Some("green".into()),
        commit_sha: Some("c0\0ffee".into()),
        pr_number: Some(0),
        email: Some("x".repeat(5000)),
        step: Some("li\rnt".into()),
        ..minimal()
    };
    let faults: Vec<_> = violations(&event)
        .into_iter()
        .map(|violation| (violation.field, violation.fault))
        .collect();
    assert_eq!(
        faults,
        [
            ("pipeline_name".to_owned(), Fault::RequiredParamsMissing),
            ("started_at".to_owned(), Fault::InvalidTimestamp),
            ("status".to_owned(), Fault::InvalidStatus),
            ("finished_at".to_owned(), Fault::InvalidTimestamp),
            ("repository".to_owned(), Fault::RepositoryRequired),
            ("commit_sha".to_owned(), Fault::InvalidText),
            ("pr_number".to_owned(), Fault::InvalidPrNumber),
            ("email".to_owned(), Fault::TooLong),
            ("step".to_owned(), Fault::InvalidText),
        ]
    );
}

#[test]
fn mixed_runs() {
    let other = |name: &str| Notification {
        reference_id: Some(name.into()),
        ..minimal()
    };
    let history = [other("run 2"), other("run 1"), other("run 3"), other("run 1")];
    let expected = [Violation {
        fault: Fault::MixedRuns,
        field: "reference_id".into(),
        message:
            "names more than one run, among them \"run 1\" and \"run 3\"; give the notifications of one run at a time"
                .into(),
    }];
    assert_eq!(merge(&history).unwrap_err(), expected);
    assert_eq!(pipeline_finish(&history).unwrap_err(), expected);
}

#[test]
fn mixed_runs_are_seen_among_invalid_notifications() {
    let history = [
        minimal(),
        Notification {
            reference_id: Some("other".into()),
            ..Notification::default()
        },
    ];
    let faults: Vec<_> = merge(&history)
        .unwrap_err()
        .into_iter()
        .map(|violation| violation.fault)
        .collect();
    let missing = Fault::RequiredParamsMissing;
    assert_eq!(faults, [missing, missing, Fault::MixedRuns, missing]);
}

#[test]
fn a_message_quotes_what_a_terminal_can_show() {
    let event = Notification {
        status: Some("\"grün\u{202e}\\".into()),
        ..minimal()
    };
    let (_, _, message) = violation(&event);
    assert!(
        message.starts_with(r#"invalid status "\"gr\u{fc}n\u{202e}\\""#),
        "{message}"
    );

    let event = Notification {
        status: Some("é".repeat(100)),
        ..minimal()
    };
    let (_, _, message) = violation(&event);
    assert!(
        message.starts_with(&format!("invalid status \"{}...\"", r"\u{e9}".repeat(32))),
        "{message}"
    );
}
