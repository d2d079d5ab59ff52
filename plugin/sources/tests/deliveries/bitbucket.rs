//! Bitbucket.

use crate::support::{Sample, notifications, published, reason, translated, values, with};
use serde_json::json;

const UPDATED: &[(&str, &str)] = &[("x-event-key", "repo:commit_status_updated")];

/// In a step of this run: `BITBUCKET_REPO_FULL_NAME=acme/shop BITBUCKET_BUILD_NUMBER=41 BITBUCKET_COMMIT=c0ffee…
/// BITBUCKET_BRANCH=add-basket BITBUCKET_GIT_HTTP_ORIGIN=https://bitbucket.org/acme/shop`.
const STATUS: &str = r##"{
    "actor": {"display_name": "Panda", "uuid": "{1d}"},
    "repository": {"full_name": "acme/shop", "name": "Shop", "links": {"html": {"href": "https://bitbucket.org/acme/shop"}}},
    "commit_status": {
        "key": "-1234567", "type": "build", "state": "FAILED", "name": "Pipeline #41 for add-basket", "refname": "add-basket",
        "commit": {"hash": "c0ffee0123456789c0ffee0123456789c0ffee01", "author": {"raw": "Bear <bear@example.com>"}},
        "url": "https://bitbucket.org/acme/shop/addon/pipelines/home#!/results/41", "description": "",
        "created_on": "2026-02-03T11:00:00.572438+00:00", "updated_on": "2026-02-03T11:05:30.100000+00:00"
    }
}"##;

#[test]
fn a_status_of_pipelines_is_its_run() {
    Sample {
        system: "bitbucket",
        headers: UPDATED,
        body: STATUS,
        expected: &[&[
            ("pipeline_name", "acme/shop"),
            ("pipeline_source", "Bitbucket Pipelines"),
            ("reference_id", "bitbucket/acme/shop/41"),
            ("started_at", "2026-02-03T11:00:00.572438Z"),
            ("finished_at", "2026-02-03T11:05:30.100Z"),
            ("status", "failure"),
            ("repository", "shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            (
                "source_url",
                "https://bitbucket.org/acme/shop/addon/pipelines/home#!/results/41",
            ),
            ("head_branch", "add-basket"),
        ]],
        names: &["/repository/full_name", "/commit_status/url"],
    }
    .check();
}

#[test]
fn pages_name_the_run() {
    for (url, source, reference) in [
        (
            "https://bitbucket.org/acme/shop/pipelines/results/41",
            "Bitbucket Pipelines",
            "bitbucket/acme/shop/41",
        ),
        (
            "https://bitbucket.org/acme/shop/pipelines/results/41/steps/{x}",
            "Bitbucket Pipelines",
            "bitbucket/acme/shop/41",
        ),
        (
            "https://u:secret@ci.example.com/job/shop/41/",
            "Bitbucket commit status",
            "bitbucket/acme/shop/-1234567/ci.example.com/job/shop/41",
        ),
        (
            "https://bitbucket.org/acme/shopping/pipelines/results/41",
            "Bitbucket commit status",
            "bitbucket/acme/shop/-1234567/bitbucket.org/acme/shopping/pipelines/results/41",
        ),
    ] {
        let body = with(STATUS, &[("/commit_status/url", json!(url))]);
        let run = notifications("bitbucket", UPDATED, &body).remove(0);
        assert_eq!(
            values(&run, &["pipeline_source", "reference_id"]),
            [source, reference],
            "{url}"
        );
    }
    let body = with(STATUS, &[("/commit_status/url", json!("javascript:x"))]);
    assert!(translated("bitbucket", UPDATED, &body).is_err());
}

#[test]
fn states() {
    for (state, status, has_ended) in [
        ("INPROGRESS", "running", false),
        ("SUCCESSFUL", "success", true),
        ("FAILED", "failure", true),
        ("STOPPED", "cancelled", true),
    ] {
        let body = with(STATUS, &[("/commit_status/state", json!(state))]);
        let run = notifications("bitbucket", UPDATED, &body).remove(0);
        let finish = if has_ended { "2026-02-03T11:05:30.100Z" } else { "" };
        assert_eq!(values(&run, &["status", "finished_at"]), [status, finish], "{state}");
    }
}

#[test]
fn other_events_are_ignored_with_a_reason() {
    for event in ["repo:push", "pullrequest:created", "pipeline:span_created"] {
        assert_eq!(
            reason("bitbucket", &[("x-event-key", event)], "{}"),
            format!("the event `{event}` is about no run")
        );
    }
    assert_eq!(
        reason("bitbucket", &[], "{\"push\":{}}"),
        "it is about no status of a commit"
    );
}

#[test]
fn published_deliveries() {
    if let Some(body) = published("bitbucket", "bitbucket/commit_status_created.json") {
        let run = notifications("bitbucket", &[], &body).remove(0);
        assert_eq!(
            values(
                &run,
                &[
                    "reference_id",
                    "started_at",
                    "finished_at",
                    "status",
                    "repository",
                    "head_branch"
                ]
            ),
            [
                "bitbucket/automationtestharness/testrepo/4",
                "2025-03-24T08:48:56.572438Z",
                "",
                "running",
                "testrepo",
                "main"
            ]
        );
    }
}
