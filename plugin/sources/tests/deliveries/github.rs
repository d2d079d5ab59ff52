//! GitHub.

use crate::support::{Sample, notifications, published, reason, translated, value, values, with};
use serde_json::json;

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

/// Before the end nothing but the action counts.
#[test]
fn the_action_and_the_conclusion_give_the_status() {
    for (action, conclusion, status, has_ended) in [
        ("requested", "action_required", "", false),
        ("requested", "success", "", false),
        ("in_progress", "failure", "running", false),
        ("completed", "success", "success", true),
        ("completed", "neutral", "success", true),
        ("completed", "failure", "failure", true),
        ("completed", "timed_out", "failure", true),
        ("completed", "startup_failure", "failure", true),
        ("completed", "cancelled", "cancelled", true),
        ("completed", "stale", "cancelled", true),
        ("completed", "skipped", "cancelled", true),
        ("completed", "action_required", "", false),
        ("completed", "a word of tomorrow", "", true),
    ] {
        let body = with(
            COMPLETED,
            &[
                ("/action", json!(action)),
                ("/workflow_run/conclusion", json!(conclusion)),
            ],
        );
        let run = notifications("github", RUN, &body).remove(0);
        let finish = if has_ended { "2026-02-03T11:05:30Z" } else { "" };
        assert_eq!(
            values(&run, &["status", "finished_at"]),
            [status, finish],
            "{action} {conclusion}"
        );
    }
}

#[test]
fn pull_requests_count_only_in_their_own_builds_and_repository() {
    for (event, base, number) in [
        (json!("pull_request"), 55, "12"),
        (json!("pull_request_target"), 55, "12"),
        (json!(null), 55, "12"),
        // Of a push they are those that are open from the branch.
        (json!("push"), 55, ""),
        (json!("workflow_run"), 55, ""),
        // In a fork they are those of the repository that it was made from.
        (json!("pull_request"), 56, ""),
    ] {
        let base_id = "/workflow_run/pull_requests/0/base/repo/id";
        let body = with(
            COMPLETED,
            &[("/workflow_run/event", event.clone()), (base_id, json!(base))],
        );
        let run = notifications("github", RUN, &body).remove(0);
        assert_eq!(value(&run, "pr_number"), number, "{event} {base}");
    }
    let fork = with(COMPLETED, &[("/workflow_run/pull_requests", json!([]))]);
    let run = notifications("github", RUN, &fork).remove(0);
    assert_eq!(values(&run, &["pr_number", "head_branch"]), ["", "add-basket"]);
    let release = with(
        COMPLETED,
        &[
            ("/workflow_run/event", json!("release")),
            ("/workflow_run/head_branch", json!("v1")),
        ],
    );
    assert_eq!(value(&notifications("github", RUN, &release)[0], "head_branch"), "");
}

#[test]
fn a_server_of_ones_own_has_its_host_in_the_name() {
    let body = with(
        COMPLETED,
        &[
            (
                "/repository/html_url",
                json!("https://GitHub.Example.com:8443/acme/shop"),
            ),
            ("/workflow_run/name", json!("")),
        ],
    );
    let run = notifications("github", RUN, &body).remove(0);
    assert_eq!(
        values(&run, &["reference_id", "source_url", "pipeline_name"]),
        [
            "github/github.example.com:8443/acme/shop/7001/2",
            "https://GitHub.Example.com:8443/acme/shop/actions/runs/7001/attempts/2",
            "CI"
        ]
    );
}

/// A re-run without its attempt would change the record of the first attempt.
#[test]
fn the_attempt_is_required() {
    let without = with(COMPLETED, &[("/workflow_run/run_attempt", json!(null))]);
    let error = translated("github", RUN, &without).unwrap_err();
    assert_eq!(error, "workflow_run.run_attempt is missing or of another type");
    // Servers from before there were attempts.
    let old = with(&without, &[("/workflow_run/run_started_at", json!(null))]);
    let run = notifications("github", RUN, &old).remove(0);
    assert_eq!(
        values(&run, &["reference_id", "started_at"]),
        ["github/github.com/acme/shop/7001/1", "2026-02-03T10:00:00Z"]
    );
}

const JOB_COMPLETED: &str = r#"{
    "action": "completed",
    "workflow_job": {
        "id": 31, "run_id": 7001, "run_attempt": 2, "workflow_name": "CI", "name": "test (linux, 1.95)", "head_branch": "add-basket",
        "head_sha": "c0ffee0123456789c0ffee0123456789c0ffee01", "status": "completed", "conclusion": "cancelled",
        "created_at": "2026-02-03T11:00:02Z", "started_at": "2026-02-03T11:00:09.250Z", "completed_at": "2026-02-03T11:04:00Z",
        "steps": [{"name": "Set up job", "status": "completed", "conclusion": "success", "number": 1}]
    },
    "repository": {"id": 55, "full_name": "acme/shop", "html_url": "https://github.com/acme/shop"},
    "sender": {"login": "koala"}
}"#;

#[test]
fn a_job_is_a_step_of_its_run() {
    Sample {
        system: "github",
        headers: JOB,
        body: JOB_COMPLETED,
        expected: &[&[
            ("pipeline_name", "CI"),
            ("pipeline_source", "GitHub Actions"),
            ("reference_id", "github/github.com/acme/shop/7001/2"),
            ("started_at", "2026-02-03T11:00:09.250Z"),
            ("finished_at", "2026-02-03T11:04:00Z"),
            ("status", "cancelled"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            (
                "source_url",
                "https://github.com/acme/shop/actions/runs/7001/attempts/2",
            ),
            ("step", "test (linux, 1.95)"),
        ]],
        names: &[
            "/workflow_job/run_id",
            "/workflow_job/run_attempt",
            "/workflow_job/workflow_name",
            "/repository/full_name",
            "/repository/html_url",
        ],
    }
    .check();
    // A job that was cancelled in the queue may start after its end.
    let body = with(
        JOB_COMPLETED,
        &[("/workflow_job/started_at", json!("2026-02-03T11:04:01Z"))],
    );
    let job = notifications("github", JOB, &body).remove(0);
    assert_eq!(
        values(&job, &["started_at", "finished_at"]),
        ["2026-02-03T11:04:00Z", "2026-02-03T11:04:00Z"]
    );
}

#[test]
fn other_events_are_ignored_with_a_reason() {
    for (headers, body, why) in [
        (
            &[("x-github-event", "ping")][..],
            "{\"zen\":\"Keep it simple.\"}".to_owned(),
            "the event `ping` is about no run",
        ),
        (
            &[("x-github-event", "push")],
            "not even JSON".to_owned(),
            "the event `push` is about no run",
        ),
        (&[], "{\"check_run\":{}}".to_owned(), "it is about no run of a workflow"),
        (
            RUN,
            with(COMPLETED, &[("/action", json!("deleted"))]),
            "the action `deleted` changes no run",
        ),
        (
            JOB,
            with(JOB_COMPLETED, &[("/action", json!("queued"))]),
            "the job has not started",
        ),
        (
            JOB,
            with(JOB_COMPLETED, &[("/action", json!("waiting"))]),
            "the job has not started",
        ),
        (
            JOB,
            with(JOB_COMPLETED, &[("/workflow_job/conclusion", json!("skipped"))]),
            "the job was skipped",
        ),
    ] {
        assert_eq!(reason("github", headers, &body), why);
    }
}

/// The content type that GitHub suggests.
#[test]
fn a_form_is_read() {
    let body: String = COMPLETED.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = notifications("github", RUN, &format!("payload={body}"));
    assert_eq!(form, notifications("github", RUN, COMPLETED));
    let plain = COMPLETED.replace(' ', "+").replace('&', "%26");
    assert_eq!(notifications("github", RUN, &format!("payload={plain}&x=1")), form);
}

#[test]
fn published_deliveries() {
    let names = [
        "pipeline_name",
        "reference_id",
        "started_at",
        "finished_at",
        "status",
        "step",
        "github_username",
    ];
    for (file, expected) in [
        (
            "workflow_run.completed.json",
            [
                "test",
                "github/github.com/octo-org/octo-repo/289782451/1",
                "2020-10-05T16:33:49Z",
                "2020-10-05T16:33:49Z",
                "success",
                "",
                "Codertocat",
            ],
        ),
        (
            "workflow_run.requested-with-conclusion.json",
            [
                "test",
                "github/github.com/octo-org/octo-repo/289782451/1",
                "2020-10-05T16:33:49Z",
                "",
                "",
                "",
                "Codertocat",
            ],
        ),
        (
            "workflow_job.in_progress.json",
            [
                "CodeQL",
                "github/github.com/Codertocat/Hello-World/2202229078/1",
                "2021-09-13T02:21:13Z",
                "",
                "running",
                "Analyze (javascript)",
                "",
            ],
        ),
        (
            "workflow_job.completed-failure.json",
            [
                "CodeQL",
                "github/github.com/Codertocat/Hello-World/2202229078/1",
                "2021-08-05T10:34:58Z",
                "2021-08-05T10:38:16Z",
                "failure",
                "linters",
                "",
            ],
        ),
    ] {
        if let Some(body) = published("github", &format!("github/{file}")) {
            let given = notifications("github", &[], &body);
            assert_eq!(given.len(), 1);
            assert_eq!(values(&given[0], &names), expected, "{file}");
        }
    }
    if let Some(body) = published("github", "github/workflow_job.queued.json") {
        assert_eq!(reason("github", JOB, &body), "the job has not started");
    }
}
