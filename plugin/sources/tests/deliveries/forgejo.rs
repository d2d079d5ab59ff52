//! Forgejo.

use crate::support::{Sample, notifications, reason, values, with};
use serde_json::json;

const FAILURE: &[(&str, &str)] = &[
    ("x-forgejo-event", "action_run_failure"),
    ("x-gitea-event", "action_run_failure"),
];

/// In a job of this run: `GITHUB_SERVER_URL=https://code.example.com/ GITHUB_REPOSITORY=acme/shop GITHUB_RUN_ID=810 GITHUB_RUN_NUMBER=33
/// GITHUB_RUN_ATTEMPT=1 GITHUB_WORKFLOW=ci.yml GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/pull/12/head GITHUB_HEAD_REF=add-basket
/// GITHUB_SHA=c0ffee…`, and the event's file has the sender `panda@example.com`.
const RUN: &str = r##"{
    "action": "failure",
    "prior_status": "running",
    "run": {
        "id": 810, "title": "Add a basket", "index_in_repo": 33, "workflow_id": "ci.yml", "status": "failure", "event": "pull_request",
        "trigger_event": "pull_request", "is_fork_pull_request": false, "prettyref": "#12",
        "commit_sha": "c0ffee0123456789c0ffee0123456789c0ffee01", "html_url": "https://code.example.com/acme/shop/actions/runs/33",
        "event_payload": "{\"action\":\"opened\",\"pull_request\":{\"number\":12,\"head\":{\"ref\":\"add-basket\",\"sha\":\"c0ffee0123456789c0ffee0123456789c0ffee01\"}},\"sender\":{\"login\":\"panda\",\"email\":\"panda@example.com\"}}",
        "created": "2026-02-03T10:59:58Z", "started": "2026-02-03T11:00:00Z", "stopped": "2026-02-03T11:05:30Z", "updated": "2026-02-03T11:05:31Z",
        "trigger_user": {"login": "panda", "email": "panda@noreply.code.example.com"},
        "repository": {"id": 8, "full_name": "acme/shop", "html_url": "https://code.example.com/acme/shop"}
    }
}"##;

#[test]
fn a_run_is_that_of_its_jobs() {
    Sample {
        system: "forgejo",
        headers: FAILURE,
        body: RUN,
        expected: &[&[
            ("pipeline_name", "ci.yml"),
            ("pipeline_source", "Forgejo Actions"),
            ("reference_id", "forgejo/code.example.com/acme/shop/810"),
            ("started_at", "2026-02-03T11:00:00Z"),
            ("finished_at", "2026-02-03T11:05:30Z"),
            ("status", "failure"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            ("pr_number", "12"),
            ("source_url", "https://code.example.com/acme/shop/actions/runs/33"),
            ("head_branch", "add-basket"),
            ("email", "panda@example.com"),
        ]],
        names: &[
            "/run/id",
            "/run/workflow_id",
            "/run/repository/full_name",
            "/run/repository/html_url",
        ],
    }
    .check();
}

#[test]
fn refs_without_the_event() {
    for (shown, payload, branch, number) in [
        ("main", json!(null), "main", ""),
        ("#12", json!(null), "", "12"),
        ("main", json!("{\"ref\":\"refs/heads/main\"}"), "main", ""),
        ("v1", json!("{\"ref\":\"refs/tags/v1\"}"), "", ""),
        ("main", json!("{ not JSON"), "main", ""),
        ("main", json!("[[["), "main", ""),
    ] {
        let body = with(
            RUN,
            &[
                ("/run/prettyref", json!(shown)),
                ("/run/event_payload", payload),
                ("/run/trigger_event", json!("push")),
            ],
        );
        let run = notifications("forgejo", FAILURE, &body).remove(0);
        assert_eq!(values(&run, &["head_branch", "pr_number"]), [branch, number], "{shown}");
    }
}

#[test]
fn statuses() {
    for (status, given) in [
        ("success", "success"),
        ("failure", "failure"),
        ("cancelled", "cancelled"),
        ("skipped", "cancelled"),
    ] {
        let body = with(RUN, &[("/run/status", json!(status))]);
        let run = notifications("forgejo", &[("x-forgejo-event", "action_run_recover")], &body).remove(0);
        assert_eq!(
            values(&run, &["status", "finished_at"]),
            [given, "2026-02-03T11:05:30Z"]
        );
    }
    assert_eq!(
        reason("forgejo", &[("x-forgejo-event", "push")], "{}"),
        "the event `push` is about no run"
    );
}
