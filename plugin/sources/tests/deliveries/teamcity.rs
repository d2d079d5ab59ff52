//! TeamCity.

use crate::rules::folded;
use crate::support::{RECEIVED_AT, Sample, notifications, reason, translated};

/// In this build: `TEAMCITY_PROJECT_NAME=Shop TEAMCITY_BUILDCONF_NAME=Test BUILD_URL=https://tc.example.com/build/4711 BUILD_VCS_NUMBER=0d5f3e…`, and
/// the properties `teamcity.serverUrl=https://tc.example.com teamcity.buildType.id=Shop_Test teamcity.build.id=4711
/// vcsroot.url=git@github.com:org/app.git teamcity.build.vcs.branch.Shop_App=refs/heads/feature/123 teamcity.build.branch=123`.
const FINISHED: &str = r#"{
    "eventType": "BUILD_FINISHED",
    "payload": {
        "id": 4711, "buildTypeId": "Shop_Test", "number": "77", "status": "FAILURE", "state": "finished", "branchName": "123",
        "href": "/app/rest/builds/id:4711", "webUrl": "https://tc.example.com/buildConfiguration/Shop_Test/4711",
        "statusText": "Exit code 1 (new)",
        "buildType": {"id": "Shop_Test", "name": "Test", "projectName": "Company / Backend / Shop", "projectId": "Shop"},
        "queuedDate": "20260102T100001+0100", "startDate": "20260102T100012+0100", "finishDate": "20260102T100308+0100",
        "triggered": {"type": "user", "date": "20260102T100001+0100", "user": {"username": "panda", "id": 1, "email": "panda@example.com"}},
        "revisions": {"count": 1, "revision": [{
            "version": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a", "vcsBranchName": "refs/heads/feature/123",
            "vcs-root-instance": {"id": "3", "vcs-root-id": "Shop_App", "name": "git@github.com:org/app.git#refs/heads/main"}
        }]},
        "properties": {"property": [{"name": "env.X", "value": "y"}], "count": 1}
    }
}"#;

const NAMES: &[&str] = &[
    "/payload/id",
    "/payload/buildTypeId",
    "/payload/webUrl",
    "/payload/buildType/name",
    "/payload/buildType/projectName",
];

#[test]
fn a_build_is_that_of_its_steps() {
    Sample {
        system: "teamcity",
        headers: &[],
        body: FINISHED,
        expected: &[&[
            ("pipeline_name", "Shop / Test"),
            ("pipeline_source", "TeamCity"),
            ("reference_id", "teamcity/tc.example.com/Shop_Test/4711"),
            ("started_at", "2026-01-02T09:00:12Z"),
            ("finished_at", "2026-01-02T09:03:08Z"),
            ("status", "failure"),
            ("repository", "org/app"),
            ("commit_sha", "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"),
            ("source_url", "https://tc.example.com/build/4711"),
            ("head_branch", "feature/123"),
            ("email", "panda@example.com"),
        ]],
        names: NAMES,
    }
    .check();
}

/// The value of a field.
fn value(body: &str, name: &str) -> Option<String> {
    let run = &notifications("teamcity", &[], body)[0];
    run.iter().find(|field| field.0 == name).map(|field| field.1.clone())
}

#[test]
fn a_start_has_the_status_of_a_success_and_is_running() {
    let body = FINISHED
        .replace("BUILD_FINISHED", "BUILD_STARTED")
        .replace("FAILURE", "SUCCESS")
        .replace("\"finished\"", "\"running\"");
    assert_eq!(value(&body, "status").unwrap(), "running");
    assert_eq!(value(&body, "finished_at"), None);
    assert_eq!(value(&body, "reference_id"), value(FINISHED, "reference_id"));
}

#[test]
fn an_interrupted_build_is_cancelled() {
    let body = FINISHED
        .replace("BUILD_FINISHED", "BUILD_INTERRUPTED")
        .replace("FAILURE", "UNKNOWN");
    assert_eq!(value(&body, "status").unwrap(), "cancelled");
    assert_eq!(value(&body, "finished_at").unwrap(), "2026-01-02T09:03:08Z");
    let of = r#""finishDate": "20260102T100308+0100","#;
    let stopped = body.replace(
        of,
        r#""canceledInfo": {"timestamp": "20260102T100200+0100", "user": {"username": "panda"}},"#,
    );
    assert_eq!(value(&stopped, "finished_at").unwrap(), "2026-01-02T09:02:00Z");
    // Of neither, the time of its receipt.
    assert_eq!(value(&body.replace(of, ""), "finished_at").unwrap(), RECEIVED_AT);
    let late = FINISHED.replace(of, "");
    assert_eq!(value(&late, "finished_at").unwrap(), RECEIVED_AT);
    let finished = stopped.replace("BUILD_INTERRUPTED", "BUILD_FINISHED");
    assert_eq!(value(&finished, "status").unwrap(), "cancelled");
    let unknown = FINISHED.replace("FAILURE", "UNKNOWN");
    assert_eq!(value(&unknown, "status"), None);
}

#[test]
fn pull_requests_and_branches() {
    let branch = |logical: &str, vcs: &str| {
        FINISHED
            .replace("\"branchName\": \"123\"", &format!("\"branchName\": \"{logical}\""))
            .replace("refs/heads/feature/123", vcs)
    };
    let head = branch("pull/7", "refs/pull/7/head");
    assert_eq!(value(&head, "pr_number").unwrap(), "7");
    assert!(value(&head, "commit_sha").is_some() && value(&head, "head_branch").is_none());
    let merge = branch("7", "refs/pull/7/merge");
    assert_eq!(value(&merge, "pr_number").unwrap(), "7");
    assert_eq!(
        (value(&merge, "commit_sha"), value(&merge, "head_branch")),
        (None, None)
    );
    let tag = branch("v1.2.3", "refs/tags/v1.2.3");
    assert_eq!(value(&tag, "head_branch"), None);
    // With all parameters in the payload.
    let property = r#""properties": {"property": [{"name": "env.X", "value": "y"}], "count": 1}"#;
    let all = r#""resultingProperties": {"property": [{"name": "vcsroot.url", "value": "https://user:s3cret@git.example.com/org/other.git"},
        {"name": "teamcity.pullRequest.number", "value": "7"}, {"name": "teamcity.pullRequest.source.branch", "value": "feature/one"}]}"#;
    let all = head.replace(property, all);
    assert_eq!(value(&all, "repository").unwrap(), "org/other");
    assert_eq!(value(&all, "head_branch").unwrap(), "feature/one");
}

#[test]
fn a_build_without_one_root_has_the_logical_branch() {
    let (start, end) = (
        FINISHED.find("\"revisions\"").unwrap(),
        FINISHED.find("\"properties\"").unwrap(),
    );
    let without = format!("{}{}", &FINISHED[..start], &FINISHED[end..]);
    assert_eq!(value(&without, "head_branch").unwrap(), "123");
    assert_eq!(
        (value(&without, "repository"), value(&without, "commit_sha")),
        (None, None)
    );
    let default = without.replace("\"branchName\": \"123\"", "\"branchName\": \"<default>\"");
    assert_eq!(value(&default, "head_branch"), None);
}

#[test]
fn servers_of_old_and_new_pages() {
    for (page, server) in [
        (
            "http://tc.example.com:8111/viewLog.html?buildId=4711&buildTypeId=Shop_Test",
            "tc.example.com:8111",
        ),
        (
            "https://ci.example.com/build/buildConfiguration/Shop_Test/4711",
            "ci.example.com/build",
        ),
        ("https://ci.example.com/teamcity/build/4711", "ci.example.com/teamcity"),
    ] {
        let body = FINISHED.replace("https://tc.example.com/buildConfiguration/Shop_Test/4711", page);
        let expected = format!("teamcity/{server}/Shop_Test/4711");
        assert_eq!(value(&body, "reference_id").unwrap(), expected);
    }
    let body = FINISHED.replace(
        "https://tc.example.com/buildConfiguration/Shop_Test/4711",
        "https://tc.example.com/x",
    );
    assert_eq!(
        translated("teamcity", &[], &body).unwrap_err(),
        "payload.webUrl is not the page of a build"
    );
}

#[test]
fn other_events_are_ignored() {
    for event in ["BUILD_TYPE_ADDED_TO_QUEUE", "CHANGES_LOADED", "AGENT_REMOVED"] {
        let why = reason("teamcity", &[], &FINISHED.replace("BUILD_FINISHED", event));
        assert_eq!(
            why,
            format!("the event {event} is neither the start nor the end of a build")
        );
    }
    // As in the documentation, with few fields.
    let few = r#"{"eventType": "BUILD_INTERRUPTED", "payload": {"buildTypeId": "Shop_Test", "number": "77"}}"#;
    assert_eq!(
        translated("teamcity", &[], few).unwrap_err(),
        "payload.webUrl is missing or of another type"
    );
}

#[test]
fn events_in_any_order_are_one_record() {
    let started = FINISHED
        .replace("BUILD_FINISHED", "BUILD_STARTED")
        .replace("FAILURE", "SUCCESS");
    let expected = ["Shop / Test Failure 2026-01-02T09:00:12Z 2026-01-02T09:03:08Z"];
    assert_eq!(folded("teamcity", &[&started, FINISHED]), expected);
    let interrupted = started.replace("BUILD_STARTED", "BUILD_INTERRUPTED");
    let expected = ["Shop / Test Cancelled 2026-01-02T09:00:12Z 2026-01-02T09:03:08Z"];
    assert_eq!(folded("teamcity", &[&started, &interrupted]), expected);
}
