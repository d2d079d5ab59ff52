//! Gitea.

use crate::support::{Sample, notifications, reason, translated, value, values, with};
use serde_json::json;

const RUN: &[(&str, &str)] = &[("x-gitea-event", "workflow_run"), ("x-github-event", "workflow_run")];
const JOB: &[(&str, &str)] = &[("x-gitea-event", "workflow_job")];

/// In a job of this run: `GITHUB_SERVER_URL=https://git.example.com/gitea/ GITHUB_REPOSITORY=acme/shop GITHUB_RUN_ID=810 GITHUB_RUN_NUMBER=33
/// GITHUB_RUN_ATTEMPT=2 GITHUB_TRIGGERING_ACTOR=panda GITHUB_WORKFLOW=ci.yml GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/pull/12/head
/// GITHUB_HEAD_REF=add-basket GITHUB_SHA=c0ffee…`.
const COMPLETED: &str = r#"{
    "action": "completed",
    "workflow": {"id": "ci.yml", "name": "Checks", "path": ".gitea/workflows/ci.yml"},
    "workflow_run": {
        "id": 810, "run_number": 33, "run_attempt": 2, "display_title": "Add a basket", "event": "pull_request",
        "path": "ci.yml@refs/pull/12/head", "html_url": "https://git.example.com/gitea/acme/shop/actions/runs/810",
        "status": "completed", "conclusion": "cancelled", "head_sha": "c0ffee0123456789c0ffee0123456789c0ffee01",
        "created_at": "2026-02-03T11:59:00+01:00", "started_at": "2026-02-03T12:00:00+01:00", "completed_at": "2026-02-03T12:05:30+01:00",
        "trigger_actor": {"login": "panda", "email": "panda@noreply.git.example.com"},
        "pull_requests": [{"number": 12, "head": {"ref": "add-basket", "repo": {"id": 8}}, "base": {"ref": "main", "repo": {"id": 8}}}]
    },
    "repository": {"id": 8, "full_name": "acme/shop", "html_url": "https://git.example.com/gitea/acme/shop"},
    "sender": {"login": "panda"}
}"#;

#[test]
fn a_run_is_that_of_its_jobs() {
    Sample {
        system: "gitea",
        headers: RUN,
        body: COMPLETED,
        expected: &[&[
            ("pipeline_name", "ci.yml"),
            ("pipeline_source", "Gitea Actions"),
            ("reference_id", "gitea/git.example.com/gitea/acme/shop/810/2"),
            ("started_at", "2026-02-03T11:00:00Z"),
            ("finished_at", "2026-02-03T11:05:30Z"),
            ("status", "cancelled"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            ("pr_number", "12"),
            ("source_url", "https://git.example.com/gitea/acme/shop/actions/runs/810"),
            ("head_branch", "add-basket"),
        ]],
        names: &[
            "/workflow_run/id",
            "/workflow_run/run_attempt",
            "/workflow_run/path",
            "/repository/full_name",
            "/repository/html_url",
        ],
    }
    .check();
}

#[test]
fn the_ref_gives_branch_tag_and_pull_request() {
    for (path, event, branch, number) in [
        ("ci.yml@refs/heads/main", "push", "main", ""),
        ("ci.yml@refs/tags/v1", "push", "", ""),
        ("ci.yml@refs/pull/9/head", "pull_request", "add-basket", "9"),
        ("ci.yml", "push", "main", ""),
    ] {
        let body = with(
            COMPLETED,
            &[
                ("/workflow_run/path", json!(path)),
                ("/workflow_run/event", json!(event)),
                ("/workflow_run/head_branch", json!("main")),
            ],
        );
        let run = notifications("gitea", RUN, &body).remove(0);
        assert_eq!(
            values(&run, &["pipeline_name", "head_branch", "pr_number"]),
            ["ci.yml", branch, number],
            "{path}"
        );
    }
    // Its commit is that of the target.
    let body = with(COMPLETED, &[("/workflow_run/event", json!("pull_request_target"))]);
    assert_eq!(value(&notifications("gitea", RUN, &body)[0], "commit_sha"), "");
}

/// Older servers count no attempts of a run, and give 0.
#[test]
fn without_attempts_the_name_has_none() {
    let body = with(COMPLETED, &[("/workflow_run/run_attempt", json!(0))]);
    let run = notifications("gitea", RUN, &body).remove(0);
    assert_eq!(value(&run, "reference_id"), "gitea/git.example.com/gitea/acme/shop/810");
    let body = with(COMPLETED, &[("/workflow_run/run_attempt", json!(null))]);
    assert!(translated("gitea", RUN, &body).is_err());
}

#[test]
fn zero_times_are_none() {
    let zero = json!("1970-01-01T01:00:00+01:00");
    let waiting = with(
        COMPLETED,
        &[
            ("/action", json!("requested")),
            ("/workflow_run/started_at", zero.clone()),
        ],
    );
    assert_eq!(reason("gitea", RUN, &waiting), "the run has not started");
    let cancelled = with(
        COMPLETED,
        &[
            ("/workflow_run/started_at", zero.clone()),
            ("/workflow_run/created_at", zero),
        ],
    );
    let run = notifications("gitea", RUN, &cancelled).remove(0);
    assert_eq!(
        values(&run, &["started_at", "finished_at"]),
        ["2026-02-03T11:05:30Z", "2026-02-03T11:05:30Z"]
    );
}

#[test]
fn a_job_that_does_not_name_its_workflow_is_ignored() {
    let body = r#"{"action": "completed", "workflow_job": {"id": 3, "run_id": 810, "name": "test", "run_attempt": 1, "conclusion": "success"},
        "repository": {"full_name": "acme/shop", "html_url": "https://git.example.com/gitea/acme/shop"}}"#;
    assert_eq!(reason("gitea", JOB, body), "the job does not name its workflow");
    assert_eq!(
        reason("gitea", &[("x-gitea-event", "push")], "{}"),
        "the event `push` is about no run"
    );
}
