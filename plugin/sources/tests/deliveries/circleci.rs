//! CircleCI.

use crate::support::{Sample, notifications, reason, value, values, with};
use serde_json::json;

const WORKFLOW: &[(&str, &str)] = &[("circleci-event-type", "workflow-completed")];
const JOB: &[(&str, &str)] = &[("circleci-event-type", "job-completed")];

/// In a job of this workflow: `CIRCLE_PROJECT_USERNAME=acme CIRCLE_PROJECT_REPONAME=shop CIRCLE_WORKFLOW_ID=5f3c…
/// CIRCLE_REPOSITORY_URL=git@github.com:acme/shop.git CIRCLE_SHA1=c0ffee… CIRCLE_BRANCH=add-basket
/// CIRCLE_BUILD_URL=https://circleci.com/gh/acme/shop/88`.
const COMPLETED: &str = r#"{
    "id": "0b0b0b0b-1111-2222-3333-444444444444", "type": "workflow-completed", "happened_at": "2026-02-03T11:05:31.000Z",
    "webhook": {"id": "1b1b1b1b-1111-2222-3333-444444444444", "name": "DX"},
    "project": {"id": "2b2b2b2b-1111-2222-3333-444444444444", "name": "shop", "slug": "gh/acme/shop"},
    "organization": {"id": "3b3b3b3b-1111-2222-3333-444444444444", "name": "acme"},
    "workflow": {"id": "5f3c5f3c-1111-2222-3333-444444444444", "name": "checks", "status": "failed", "created_at": "2026-02-03T11:00:00.120Z",
        "stopped_at": "2026-02-03T11:05:30.500Z",
        "url": "https://app.circleci.com/pipelines/github/acme/shop/41/workflows/5f3c5f3c-1111-2222-3333-444444444444"},
    "pipeline": {
        "id": "4b4b4b4b-1111-2222-3333-444444444444", "number": 41, "created_at": "2026-02-03T10:59:59.900Z", "trigger": {"type": "webhook"},
        "vcs": {"provider_name": "github", "origin_repository_url": "https://github.com/panda/shop", "target_repository_url": "https://github.com/acme/shop",
            "revision": "c0ffee0123456789c0ffee0123456789c0ffee01", "branch": "add-basket",
            "commit": {"subject": "Add a basket", "author": {"name": "Bear", "email": "bear@example.com"}}}
    }
}"#;

const NAMES: &[&str] = &["/project/slug", "/workflow", "/workflow/id"];

#[test]
fn a_workflow_is_that_of_its_jobs() {
    Sample {
        system: "circleci",
        headers: WORKFLOW,
        body: COMPLETED,
        expected: &[&[
            ("pipeline_name", "shop"),
            ("pipeline_source", "CircleCI"),
            (
                "reference_id",
                "circleci/acme/shop/5f3c5f3c-1111-2222-3333-444444444444",
            ),
            ("started_at", "2026-02-03T11:00:00.120Z"),
            ("finished_at", "2026-02-03T11:05:30.500Z"),
            ("status", "failure"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            (
                "source_url",
                "https://app.circleci.com/pipelines/workflows/5f3c5f3c-1111-2222-3333-444444444444",
            ),
            ("head_branch", "add-basket"),
        ]],
        names: NAMES,
    }
    .check();
}

#[test]
fn statuses() {
    for (status, given) in [
        ("success", "success"),
        ("failed", "failure"),
        ("error", "failure"),
        ("unauthorized", "failure"),
        ("canceled", "cancelled"),
        ("a word of tomorrow", ""),
    ] {
        let body = with(COMPLETED, &[("/workflow/status", json!(status))]);
        let run = notifications("circleci", WORKFLOW, &body).remove(0);
        assert_eq!(
            values(&run, &["status", "finished_at"]),
            [given, "2026-02-03T11:05:30.500Z"]
        );
    }
}

#[test]
fn branches_tags_and_pull_requests_of_forks() {
    for (branch, tag, given, number) in [
        (json!("pull/7"), json!(null), "", "7"),
        (json!("main"), json!(""), "main", ""),
        (json!(null), json!("v1"), "", ""),
        (json!("v1"), json!("v1"), "", ""),
    ] {
        let body = with(
            COMPLETED,
            &[("/pipeline/vcs/branch", branch), ("/pipeline/vcs/tag", tag)],
        );
        let run = notifications("circleci", WORKFLOW, &body).remove(0);
        assert_eq!(values(&run, &["head_branch", "pr_number"]), [given, number]);
    }
}

/// Projects of GitHub's App, GitLab and Bitbucket Data Center have ids in their slug, and no `vcs`.
#[test]
fn projects_with_trigger_parameters() {
    let app = |provider: &str, address: &str, user: &str| {
        let parameters = json!({
            provider: {"web_url": "https://x.example.com/acme/shop", "repo_url": address, "user_username": user, "branch": "main"},
            "git": {"tag": "", "checkout_sha": "c0ffee0123456789c0ffee0123456789c0ffee01", "ref": "refs/heads/main", "branch": "main", "checkout_url": address},
            "circleci": {"event_type": "push"}
        });
        with(
            COMPLETED,
            &[
                (
                    "/project/slug",
                    json!("circleci/AbCdEfGhIjKlMnOpQrStUv/ZyXwVuTsRqPoNmLkJiHgFe"),
                ),
                ("/pipeline/vcs", json!(null)),
                ("/pipeline/trigger_parameters", parameters),
            ],
        )
    };
    let names = [
        "reference_id",
        "pipeline_name",
        "repository",
        "commit_sha",
        "head_branch",
        "github_username",
        "gitlab_username",
    ];
    let common = |repository: &'static str, github: &'static str, gitlab: &'static str| {
        [
            "circleci/acme/shop/5f3c5f3c-1111-2222-3333-444444444444",
            "shop",
            repository,
            "c0ffee0123456789c0ffee0123456789c0ffee01",
            "main",
            github,
            gitlab,
        ]
    };
    for (provider, address, expected) in [
        (
            "gitlab",
            "git@gitlab.com:acme/web/shop.git",
            common("acme/web/shop", "", "panda"),
        ),
        (
            "gitlab",
            "git@github.com:acme/shop.git",
            common("acme/shop", "panda", ""),
        ),
        (
            "github_app",
            "https://github.com/acme/shop.git",
            common("acme/shop", "panda", ""),
        ),
    ] {
        let run = notifications("circleci", WORKFLOW, &app(provider, address, "panda")).remove(0);
        assert_eq!(values(&run, &names), expected, "{provider} {address}");
    }
}

#[test]
fn a_server_of_ones_own_has_its_own_pages() {
    let page = "https://ci.example.com/pipelines/github/acme/shop/41/workflows/5f3c5f3c-1111-2222-3333-444444444444";
    let body = with(COMPLETED, &[("/workflow/url", json!(page))]);
    assert_eq!(
        value(&notifications("circleci", WORKFLOW, &body)[0], "source_url"),
        page
    );
}

/// A job of the same workflow.
fn job_completed() -> &'static str {
    static BODY: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let job = json!({"id": "6b", "name": "test", "number": 88, "status": "success",
            "started_at": "2026-02-03T11:01:00Z", "stopped_at": "2026-02-03T11:04:00Z"});
        with(
            COMPLETED,
            &[
                ("/type", json!("job-completed")),
                ("/job", job),
                ("/workflow/status", json!(null)),
            ],
        )
    });
    &BODY
}

#[test]
fn a_job_makes_its_workflow_exist() {
    const RUN: &[(&str, &str)] = &[
        ("pipeline_name", "shop"),
        ("pipeline_source", "CircleCI"),
        (
            "reference_id",
            "circleci/acme/shop/5f3c5f3c-1111-2222-3333-444444444444",
        ),
        ("started_at", "2026-02-03T11:00:00.120Z"),
        ("status", "running"),
        ("repository", "acme/shop"),
        ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
        (
            "source_url",
            "https://app.circleci.com/pipelines/workflows/5f3c5f3c-1111-2222-3333-444444444444",
        ),
        ("head_branch", "add-basket"),
    ];
    Sample {
        system: "circleci",
        headers: JOB,
        body: job_completed(),
        expected: &[
            RUN,
            &[
                ("pipeline_name", "shop"),
                ("pipeline_source", "CircleCI"),
                (
                    "reference_id",
                    "circleci/acme/shop/5f3c5f3c-1111-2222-3333-444444444444",
                ),
                ("started_at", "2026-02-03T11:01:00Z"),
                ("finished_at", "2026-02-03T11:04:00Z"),
                ("status", "success"),
                ("step", "test"),
            ],
        ],
        names: NAMES,
    }
    .check();
    // As a sample of the documentation has it.
    let mislabelled = with(job_completed(), &[("/type", json!("workflow-completed"))]);
    assert_eq!(notifications("circleci", &[], &mislabelled).len(), 2);
    let not_run = with(job_completed(), &[("/job/status", json!("not_run"))]);
    assert_eq!(reason("circleci", JOB, &not_run), "the job did not run");
}

#[test]
fn other_events_are_ignored_with_a_reason() {
    let ping = &[("circleci-event-type", "ping")];
    assert_eq!(reason("circleci", ping, "{}"), "the event `ping` is about no run");
    assert_eq!(
        reason("circleci", &[], "{\"type\":\"ping\"}"),
        "the event `ping` is about no run"
    );
    assert_eq!(reason("circleci", &[], "{}"), "it is about no workflow or job");
}
