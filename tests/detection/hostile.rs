//! Environments that a pull request or a broken runner may have made: a warning and a record, never a crash.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pipefold::config::Environment;
use pipefold::detect::{Detected, Field, detect_in, read_file};
use pipefold_plugin::{Notification, pipeline_start};
use proptest::prelude::*;

/// Every case there is, as variables.
static ENVIRONMENTS: LazyLock<Vec<BTreeMap<String, OsString>>> = LazyLock::new(|| {
    let files = [
        include_str!("github.txt"),
        include_str!("gitlab.txt"),
        include_str!("jenkins.txt"),
        include_str!("circleci.txt"),
        include_str!("buildkite.txt"),
        include_str!("azure.txt"),
        include_str!("bitbucket.txt"),
        include_str!("codebuild.txt"),
        include_str!("teamcity.txt"),
        include_str!("others.txt"),
    ];
    let cases = files.into_iter().flat_map(super::cases::variables);
    let pairs = |case: BTreeMap<String, String>| case.into_iter().map(|(name, value)| (name, value.into())).collect();
    cases.map(pairs).collect()
});

fn look(environment: &BTreeMap<String, OsString>) -> Detected {
    let pairs = environment.iter().map(|(name, value)| (name.into(), value.clone()));
    let environment: Environment = pairs.collect::<Vec<(OsString, OsString)>>().into_iter().collect();
    // With a place to look at, so that those are looked at that variables name.
    detect_in(Path::new("/nonexistent"), &environment, &|path: &Path| read_file(path))
}

/// Asserts that the plugin takes every value, and that the warnings can be shown.
fn assert_sound(mut detected: Detected) {
    let _ = detected.fields.leave_out_orphans();
    let (detected_notification, violations) = detected.fields.to_notification();
    assert_eq!(violations, []);
    let n = detected_notification;
    let required = |value: Option<String>| value.or(Some("given by a flag".into()));
    let notification = Notification {
        pipeline_name: required(n.pipeline_name),
        pipeline_source: required(n.pipeline_source),
        reference_id: required(n.reference_id),
        started_at: Some("2026-01-01".into()),
        finished_at: None,
        status: None,
        repository: n.repository,
        commit_sha: n.commit_sha,
        pr_number: n.pr_number,
        source_url: n.source_url,
        head_branch: n.head_branch,
        email: n.email,
        github_username: n.github_username,
        gitlab_username: n.gitlab_username,
        step: n.step,
        allowed_to_fail: false,
        urgent: false,
        ..Notification::default()
    };
    if let Err(violations) = pipeline_start(&notification) {
        panic!("{violations:?}");
    }
    for fact in detected.facts.values() {
        assert!(
            fact.len() <= 4096 && !fact.is_empty() && !fact.chars().any(char::is_control),
            "{fact:?}"
        );
    }
    for warning in &detected.warnings {
        assert!(
            warning.len() < 400 && !warning.chars().any(char::is_control),
            "{warning:?}"
        );
    }
}

/// Values that break something, somewhere.
fn values() -> Vec<OsString> {
    let texts = [
        "",
        " ",
        "\u{0}",
        "a\nb",
        "\u{1b}[31m",
        "\u{85}",
        "false",
        "HEAD",
        "0",
        "-1",
        "99999999999999999999",
        "/",
        "//",
        "://",
        "https://",
        "https://[",
        "https://@",
        "https://:@:/",
        "https://user:s3cret@host:x/y",
        "ssh://",
        "git@:",
        "git@host:",
        ":",
        "@",
        "<",
        "a<b@c",
        "{}",
        "%",
        "%2",
        "%zz%00",
        "refs/heads/",
        "refs/tags/",
        "refs/pull//",
        "/job//job/",
        "arn:::::",
        "a:",
        ":build/",
        "=",
        "K=V",
        "é/ü",
        "/dev/zero",
        "/",
        ".",
        "/nonexistent",
        "\u{202e}\u{200b}",
        "\u{fffd}",
    ];
    let long = ["x", "/", "é", "a/", "https://h/"].map(|text| OsString::from(text.repeat(200_000 / text.len())));
    let nearly = ["x", "é", "/a"].map(|text| OsString::from(text.repeat(4096 / text.len())));
    let bytes = [vec![0xff], b"main\xc3".to_vec(), vec![0xed, 0xa0, 0x80]].map(OsString::from_vec);
    texts
        .map(OsString::from)
        .into_iter()
        .chain(long)
        .chain(nearly)
        .chain(bytes)
        .collect()
}

/// One environment of each system.
fn systems() -> Vec<BTreeMap<String, OsString>> {
    let by_system = ENVIRONMENTS
        .iter()
        .map(|environment| (look(environment).system, environment.clone()));
    let first: BTreeMap<_, _> = by_system.collect();
    assert!(first.len() >= 30, "{:?}", first.keys());
    first.into_values().collect()
}

#[test]
fn each_variable_may_hold_anything() {
    let values = values();
    for mut environment in systems() {
        let names: Vec<String> = environment.keys().cloned().collect();
        for name in names {
            let good = environment.get(&name).unwrap().clone();
            for value in &values {
                environment.insert(name.clone(), value.clone());
                assert_sound(look(&environment));
            }
            environment.insert(name, good);
        }
    }
}

#[test]
fn all_variables_may_hold_the_same_nonsense() {
    let systems = systems();
    for value in values() {
        for environment in &systems {
            assert_sound(look(
                &environment.keys().map(|name| (name.clone(), value.clone())).collect(),
            ));
        }
    }
    // Megabytes, once.
    let long = OsString::from("x".repeat(4_000_000));
    let environment = systems.first().unwrap();
    assert_sound(look(
        &environment.keys().map(|name| (name.clone(), long.clone())).collect(),
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_mixture(case in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), ".{0,40}"), 0..8)) {
        let mut environment = case.get(&ENVIRONMENTS).clone();
        for (index, value) in changes {
            let name = index.get(&environment.keys().cloned().collect::<Vec<_>>()).clone();
            environment.insert(name, value.replace('\0', "").into());
        }
        assert_sound(look(&environment));
    }
}

/// The fields that are detected for a pull request on GitHub with this event.
fn with_event(event: &[u8]) -> Detected {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("event.json");
    fs::write(&path, event).unwrap();
    at(&path)
}

fn at(path: &Path) -> Detected {
    look(&BTreeMap::from(
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
            ("GITHUB_HEAD_REF", "feature"),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_REPOSITORY", "org/app"),
            ("GITHUB_RUN_ID", "1"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            ("GITHUB_WORKFLOW", "CI"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into())),
    ))
}

#[test]
fn a_hostile_event_costs_the_commit_alone() {
    let deep = |open: &str, close: &str| [open.repeat(1_000_000), close.repeat(1_000_000)].concat().into_bytes();
    let wanted = |value: &str| format!(r#"{{"pull_request":{value}}}"#).into_bytes();
    for event in [
        Vec::new(),
        b"\xff\xfe".to_vec(),
        b"null".to_vec(),
        b"{".to_vec(),
        deep("[", "]"),
        deep(r#"{"pull_request":"#, "}"),
        wanted(&"[".repeat(1_000_000)),
        wanted(r#"{"head":7}"#),
        wanted(r#"{"number":-1,"head":null}"#),
        wanted(r#"{"head":{"sha":"HEAD\u0000","ref":"\u001b[31m"}}"#),
        wanted(&format!(r#"{{"head":{{"sha":"{}"}}}}"#, "a".repeat(5000))),
    ] {
        let detected = with_event(&event);
        assert!(!detected.warnings.is_empty());
        assert_eq!(detected.fields.value(Field::CommitSha), None, "{:?}", detected.warnings);
        assert_eq!(detected.fields.value(Field::PrNumber), Some("7"));
        assert_eq!(
            detected.fields.value(Field::ReferenceId),
            Some("github/github.com/org/app/1/1")
        );
        assert_sound(detected);
    }
    for path in ["/dev/zero", "/", "/nonexistent"] {
        let detected = at(Path::new(path));
        assert_eq!(detected.warnings.len(), 2, "{:?}", detected.warnings);
        assert_sound(detected);
    }
}

#[test]
fn the_largest_event_is_read() {
    // GitHub's limit, most of it before what is wanted; text and structure alike.
    let filler = format!(
        r#"{{"body":"{}","list":[1,2,{{"a":null}}]}},"#,
        "lorem ipsum \\n".repeat(30)
    );
    let many = filler.repeat(25_000_000 / filler.len());
    let event = format!(
        r#"{{"commits":[{}0],"pull_request":{{"number":7,"head":{{"sha":"1ce6a3b4d46a36d3b2d2d2ba2fa4a1f6a8b7b2c9"}}}}}}"#,
        many
    );
    let begun = Instant::now();
    let detected = with_event(event.as_bytes());
    // Tens of milliseconds when optimised; this is to find what is not linear.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(detected.warnings, [""; 0]);
    let sha = detected.fields.value(Field::CommitSha);
    assert_eq!(sha, Some("1ce6a3b4d46a36d3b2d2d2ba2fa4a1f6a8b7b2c9"));
}
