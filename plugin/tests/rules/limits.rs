//! Both sides of every limit.

use pipefold_plugin::{
    Attribute, Fault, MAX_FIELD_BYTES, MAX_HISTORY_BYTES, MAX_HISTORY_NOTIFICATIONS, Notification, Verdict, Violation,
    merge, pipeline_finish, step,
};

use crate::support::minimal;

fn only(found: Vec<Violation>) -> Violation {
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn the_values() {
    assert_eq!(
        (MAX_FIELD_BYTES, MAX_HISTORY_NOTIFICATIONS, MAX_HISTORY_BYTES),
        (4096, 10_000, 8_388_608)
    );
}

#[test]
fn a_field() {
    let set: [fn(&mut Notification, String); 13] = [
        |event, text| event.pipeline_name = Some(text),
        |event, text| event.pipeline_source = Some(text),
        |event, text| event.reference_id = Some(text),
        |event, text| event.started_at = Some(format!("2025-01-01T12:00:00.{}", &text[20..])),
        |event, text| event.repository = Some(text),
        |event, text| event.commit_sha = Some(text),
        |event, text| event.source_url = Some(text),
        |event, text| event.head_branch = Some(text),
        |event, text| event.email = Some(text),
        |event, text| event.github_username = Some(text),
        |event, text| event.gitlab_username = Some(text),
        |event, text| event.step = Some(text),
        |event, text| event.step_id = Some(text),
    ];
    for set in set {
        let mut event = Notification {
            repository: Some("getdx/a".into()),
            ..minimal()
        };
        set(&mut event, "1".repeat(4096));
        assert_eq!(step(&event), Ok(Verdict::Hold));
        set(&mut event, "1".repeat(4097));
        let violation = only(step(&event).unwrap_err());
        assert_eq!(violation.fault, Fault::TooLong);
        assert_eq!(
            violation.message,
            "4097 bytes long; at most 4096 are allowed: shorten it"
        );
    }
}

#[test]
fn attributes() {
    let with = |count: usize, key: &str, value: &str| Notification {
        attributes: vec![
            Attribute {
                key: key.into(),
                value: value.into()
            };
            count
        ],
        ..minimal()
    };
    assert_eq!(step(&with(32, &"k".repeat(64), &"v".repeat(1024))), Ok(Verdict::Hold));
    let wrong = |event: &Notification| {
        let violation = only(step(event).unwrap_err());
        assert_eq!(violation.field, "attributes");
        (violation.fault, violation.message)
    };
    let message = "33 attributes; at most 32 are allowed: give fewer".to_owned();
    assert_eq!(wrong(&with(33, "k", "v")), (Fault::TooLong, message));
    let message = "\"k\": 1025 bytes long; at most 1024 are allowed: shorten it".to_owned();
    assert_eq!(wrong(&with(1, "k", &"v".repeat(1025))), (Fault::TooLong, message));
    let message = "\"k\": has the control character U+0007 at byte 1; remove it: text must be printable".to_owned();
    assert_eq!(wrong(&with(1, "k", "a\u{7}")), (Fault::InvalidText, message));
    for key in ["", "K", "a b", "ä", "a/b", &"k".repeat(65)] {
        assert_eq!(wrong(&with(1, key, "v")).0, Fault::InvalidAttribute, "{key}");
    }
    let message = "\"K\" is not an attribute's key; give 1 to 64 of a-z, 0-9, dot, underscore and hyphen";
    assert_eq!(wrong(&with(1, "K", "v")).1, message);
}

#[test]
fn a_field_is_measured_in_bytes() {
    let event = Notification {
        email: Some("é".repeat(2049)),
        ..minimal()
    };
    assert_eq!(
        only(step(&event).unwrap_err()).message,
        "4098 bytes long; at most 4096 are allowed: shorten it"
    );
}

#[test]
fn a_repository_that_is_too_long_is_not_missing() {
    let event = Notification {
        repository: Some("r".repeat(4097)),
        commit_sha: Some("c0ffee".into()),
        ..minimal()
    };
    assert_eq!(only(step(&event).unwrap_err()).fault, Fault::TooLong);
}

#[test]
fn the_number_of_notifications() {
    let mut history = vec![minimal(); 10_000];
    assert!(merge(&history).is_ok());
    assert!(pipeline_finish(&history).is_ok());
    history.push(Notification::default());
    let expected = Violation {
        fault: Fault::TooLong,
        field: "history".into(),
        message: "10001 notifications; at most 10000 a run are allowed: send fewer steps".into(),
    };
    assert_eq!(only(merge(&history).unwrap_err()), expected);
    assert_eq!(only(pipeline_finish(&history).unwrap_err()), expected);
}

#[test]
fn the_size_of_a_history() {
    // Together exactly 4096 bytes of text, so that 2048 of them reach the limit.
    let mut event = minimal();
    let used: usize = [
        &event.pipeline_name,
        &event.pipeline_source,
        &event.reference_id,
        &event.started_at,
    ]
    .iter()
    .map(|text| text.as_ref().unwrap().len())
    .sum();
    event.email = Some("e".repeat(4096 - used));
    let mut history = vec![event; 2048];
    assert!(merge(&history).is_ok());
    history[0].gitlab_username = Some("x".into());
    let expected = Violation {
        fault: Fault::TooLong,
        field: "history".into(),
        message: "8388609 bytes of text; at most 8388608 a run are allowed: send fewer or shorter notifications".into(),
    };
    assert_eq!(only(merge(&history).unwrap_err()), expected);
    assert_eq!(only(pipeline_finish(&history).unwrap_err()), expected);
}

#[test]
fn both_limits_at_once() {
    let event = Notification {
        email: Some("e".repeat(1000)),
        ..Notification::default()
    };
    let found = merge(&vec![event; 10_001]).unwrap_err();
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|violation| violation.fault == Fault::TooLong && violation.field == "history")
    );
}

#[test]
fn repeated_violations_are_listed_once() {
    let event = Notification {
        pipeline_name: None,
        status: Some("green".into()),
        ..minimal()
    };
    assert_eq!(merge(&vec![event.clone(); 5000]), merge(&[event]));
}

#[test]
fn the_number_of_violations_listed() {
    let bad = |count: usize| -> Vec<Notification> {
        (0..count)
            .map(|n| Notification {
                status: Some(format!("s{n:05}")),
                ..minimal()
            })
            .collect()
    };
    assert_eq!(merge(&bad(100)).unwrap_err().len(), 100);

    let found = merge(&bad(9_999)).unwrap_err();
    assert_eq!(found.len(), 101);
    assert!(found[99].message.starts_with("invalid status \"s00099\""));
    let last = Violation {
        fault: Fault::InvalidStatus,
        field: "history".into(),
        message: "9899 more violations are not listed; correct the listed ones first".into(),
    };
    assert_eq!(found[100], last);
}
