//! GitHub.

use crate::support::{Sample, notifications, published, reason, translated};

const RUN: &[(&str, &str)] = &[("x-github-event", "workflow_run")];
const JOB: &[(&str, &str)] = &[("x-github-event", "workflow_job")];

/// In a job of this run: `GITHUB_SERVER_URL=https://github.com GITHUB_REPOSITORY=acme/shop GITHUB_RUN_ID=7001 GITHUB_RUN_ATTEMPT=2
/// GITHUB_WORKFLOW=CI GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/pull/12/merge GITHUB_HEAD_REF=add-basket GITHUB_TRIGGERING_ACTOR=panda
/// GITHUB_ACTOR=bear`, and the event's file has the head `c0ffee…`.
const COMPLETED: &str = r#"{
    "action": "completed",
    "workflow_run": {
        "id": 7001, "name": "CI", "path": ".github/workflows/ci.yml", "display_title": "Add a basket", "run_number": 41, "run_attempt": 2,
        "event": "pull_request", "status": "completed", "conclusion": "failure", "workflow_id": 9,
        "html_url": "https://github.com/acme/shop/actions/runs/7001",
        "head_branch": "add-basket", "head_sha": "C0FFEE0123456789C0FFEE0123456789C0FFEE01",
        "created_at": "2026-02-03T10:00:00Z", "run_started_at": "2026-02-03T11:00:00Z", "updated_at": "2026-02-03T11:05:30Z",
        "actor": {"login": "bear"}, "triggering_actor": {"login": "panda"},
        "head_commit": {"author": {"name": "Bear", "email": "bear@example.com"}},
        "pull_requests": [{"number": 12, "head": {"ref": "add-basket", "repo": {"id": 55}}, "base": {"ref": "main", "repo": {"id": 55}}}],
        "previous_attempt_url": "https://api.github.com/repos/acme/shop/actions/runs/7001/attempts/1"
    },
    "workflow": {"id": 9, "name": "CI", "path": ".github/workflows/ci.yml"},
    "repository": {"id": 55, "full_name": "acme/shop", "html_url": "https://github.com/acme/shop"},
    "sender": {"login": "koala"}
}"#;

const NAMES: &[&str] = &[
    "/workflow_run/id",
    "/workflow_run/run_attempt",
    "/workflow_run/name",
    "/repository/full_name",
    "/repository/html_url",
];

#[test]
fn a_run_is_that_of_its_jobs() {
    Sample {
        system: "github",
        headers: RUN,
        body: COMPLETED,
        expected: &[&[
            ("pipeline_name", "CI"),
            ("pipeline_source", "GitHub Actions"),
            ("reference_id", "github/github.com/acme/shop/7001/2"),
            ("started_at", "2026-02-03T11:00:00Z"),
            ("finished_at", "2026-02-03T11:05:30Z"),
            ("status", "failure"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            ("pr_number", "12"),
            (
                "source_url",
                "https://github.com/acme/shop/actions/runs/7001/attempts/2",
            ),
            ("head_branch", "add-basket"),
            ("github_username", "panda"),
        ]],
        names: NAMES,
    }
    .check();
}
