//! Notifications of the property tests. The tests of the core module ask the component about them, too.

use pipefold_plugin::{Attribute, Notification, Status};
use proptest::prelude::*;

/// The name of a status in a notification.
pub fn name(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Running => "running",
        Status::Success => "success",
        Status::Cancelled => "cancelled",
        Status::Failure => "failure",
    }
}

/// Any status.
pub fn status() -> impl Strategy<Value = Status> {
    use Status::{Cancelled, Failure, Running, Success, Unknown};
    prop::sample::select(vec![Unknown, Running, Success, Cancelled, Failure])
}

fn few() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[aBé ]{0,3}")
}

fn text_of_attribute() -> impl Strategy<Value = String> {
    "[xé ]{0,2}"
}

/// Any valid notification of one run, with few distinct values.
pub fn valid() -> impl Strategy<Value = Notification> {
    let zone = prop::sample::select(vec!["", "Z", "+01", "-0930", "+05:45"]);
    (
        (
            0_u32..3600,
            0_u32..1000,
            prop::option::of(0_u32..50),
            zone,
            prop::option::of(status()),
        ),
        (
            "[ab]",
            "[ab]",
            few(),
            prop::option::of(1_i64..20),
            few(),
            few(),
            few(),
            few(),
        ),
        (
            prop::option::of("[lmn]"),
            any::<bool>(),
            prop::option::of("[12]"),
            prop::collection::vec(("[abc]", text_of_attribute()), 0..3),
        ),
    )
        .prop_map(
            |((start, millis, length, zone, status), texts, (step, allowed_to_fail, step_id, attributes))| {
                let clock = |hour: u32, second: u32| {
                    format!(
                        "2025-03-01T{hour:02}:{:02}:{:02}.{millis:03}{zone}",
                        second / 60,
                        second % 60
                    )
                };
                Notification {
                    pipeline_name: Some(texts.0),
                    pipeline_source: Some(texts.1.clone()),
                    reference_id: Some("run 1".into()),
                    started_at: Some(clock(12, start)),
                    finished_at: length.map(|length| clock(13, length)),
                    status: status.map(|status| name(status).into()),
                    repository: Some(texts.1),
                    commit_sha: texts.2,
                    pr_number: texts.3,
                    source_url: texts.4,
                    head_branch: texts.5,
                    email: texts.6.clone(),
                    github_username: texts.7,
                    gitlab_username: texts.6,
                    step,
                    step_id,
                    allowed_to_fail,
                    urgent: false,
                    attributes: attributes
                        .into_iter()
                        .map(|(key, value)| Attribute { key, value })
                        .collect(),
                }
            },
        )
}

/// Texts at the edges of the rules: nonsense, blanks, controls, timestamps with something wrong.
fn text() -> impl Strategy<Value = Option<String>> {
    let edge = prop_oneof![
        any::<String>(),
        "[0-9T:.,Z+-]{0,30}",
        "[0-9]{4}-?[01][0-9]-?[0-3][0-9](T[0-2][0-9]:?[0-6][0-9](:?[0-6][0-9])?([.,][0-9]{0,12})?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?",
        "[ \t\n]{0,3}",
        Just("running".to_owned()),
        Just("é".repeat(2049)),
    ];
    prop_oneof![1 => Just(None), 4 => edge.prop_map(Some)]
}

/// Any notification, most often an invalid one.
pub fn hostile() -> impl Strategy<Value = Notification> {
    (
        prop::collection::vec(text(), 15),
        prop::option::of(any::<i64>()),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec((prop_oneof!["[a-z]{0,2}", any::<String>()], text()), 0..3),
    )
        .prop_map(|(texts, pr_number, allowed_to_fail, urgent, attributes)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().flatten();
            Notification {
                pipeline_name: next(),
                pipeline_source: next(),
                reference_id: next(),
                started_at: next(),
                finished_at: next(),
                status: next(),
                repository: next(),
                commit_sha: next(),
                pr_number,
                source_url: next(),
                head_branch: next(),
                email: next(),
                github_username: next(),
                gitlab_username: next(),
                step: next(),
                step_id: next(),
                allowed_to_fail,
                urgent,
                attributes: attributes
                    .into_iter()
                    .map(|(key, value)| Attribute {
                        key,
                        value: value.unwrap_or_default(),
                    })
                    .collect(),
            }
        })
}
