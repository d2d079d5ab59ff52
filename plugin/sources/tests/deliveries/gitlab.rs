//! GitLab.

use crate::support::{Sample, notifications, published, reason, translated, value, values, with};
use serde_json::{Value, json};

const PIPELINE: &[(&str, &str)] = &[("x-gitlab-event", "Pipeline Hook")];
const JOB: &[(&str, &str)] = &[("x-gitlab-event", "Job Hook")];

/// In a job of this pipeline: `CI_SERVER_URL=https://ci.example.com:8443/gitlab CI_PROJECT_PATH=acme/web/shop CI_PIPELINE_ID=9001
/// CI_PIPELINE_NAME=Nightly CI_PIPELINE_URL=https://ci.example.com:8443/gitlab/acme/web/shop/-/pipelines/9001 CI_MERGE_REQUEST_IID=12
/// CI_MERGE_REQUEST_PROJECT_PATH=acme/web/shop CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=add-basket CI_COMMIT_SHA=c0ffee… GITLAB_USER_LOGIN=panda
/// GITLAB_USER_EMAIL=panda@example.com`.
const FAILED: &str = r#"{
    "object_kind": "pipeline",
    "object_attributes": {
        "id": 9001, "iid": 77, "name": "Nightly", "ref": "add-basket", "tag": false, "sha": "c0ffee0123456789c0ffee0123456789c0ffee01",
        "before_sha": "0000000000000000000000000000000000000000", "source": "merge_request_event", "status": "failed", "detailed_status": "failed",
        "stages": ["build", "test"], "created_at": "2026-02-03 10:59:00 UTC", "finished_at": "2026-02-03 12:05:30 +0100", "duration": 300,
        "queued_duration": 60, "variables": [], "url": "https://ci.example.com:8443/gitlab/acme/web/shop/-/pipelines/9001"
    },
    "merge_request": {
        "id": 100012, "iid": 12, "title": "Add a basket", "source_branch": "add-basket", "source_project_id": 5, "target_branch": "main",
        "target_project_id": 5, "state": "opened", "url": "https://ci.example.com:8443/gitlab/acme/web/shop/-/merge_requests/12"
    },
    "user": {"id": 4, "name": "Panda", "username": "panda", "email": "panda@example.com"},
    "project": {"id": 5, "name": "Shop", "web_url": "https://ci.example.com:8443/gitlab/acme/web/shop", "path_with_namespace": "acme/web/shop"},
    "commit": {"id": "c0ffee0123456789c0ffee0123456789c0ffee01", "message": "Add a basket\n", "author": {"email": "bear@example.com"}},
    "builds": [
        {"id": 3, "stage": "deploy", "name": "deploy", "status": "skipped", "created_at": "2026-02-03 10:59:00 UTC", "started_at": null,
         "finished_at": null, "when": "manual", "manual": true, "allow_failure": false},
        {"id": 2, "stage": "test", "name": "test 1/2", "status": "failed", "created_at": "2026-02-03 10:59:00 UTC",
         "started_at": "2026-02-03 11:02:00 UTC", "finished_at": "2026-02-03 11:05:29 UTC", "allow_failure": true},
        {"id": 1, "stage": "build", "name": "compile", "status": "success", "created_at": "2026-02-03 10:59:00 UTC",
         "started_at": "2026-02-03 11:00:00 UTC", "finished_at": null, "allow_failure": false}
    ]
}"#;

#[test]
fn a_pipeline_is_that_of_its_jobs_and_has_them_as_steps() {
    Sample {
        system: "gitlab",
        headers: PIPELINE,
        body: FAILED,
        expected: &[
            &[
                ("pipeline_name", "acme/web/shop / Nightly"),
                ("pipeline_source", "GitLab CI"),
                ("reference_id", "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"),
                ("started_at", "2026-02-03T11:00:00Z"),
                ("finished_at", "2026-02-03T11:05:30Z"),
                ("status", "failure"),
                ("repository", "acme/web/shop"),
                ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
                ("pr_number", "12"),
                (
                    "source_url",
                    "https://ci.example.com:8443/gitlab/acme/web/shop/-/pipelines/9001",
                ),
                ("head_branch", "add-basket"),
                ("email", "panda@example.com"),
                ("gitlab_username", "panda"),
            ],
            &[
                ("pipeline_name", "acme/web/shop / Nightly"),
                ("pipeline_source", "GitLab CI"),
                ("reference_id", "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"),
                ("started_at", "2026-02-03T11:02:00Z"),
                ("finished_at", "2026-02-03T11:05:29Z"),
                ("status", "failure"),
                ("step", "test 1/2"),
                ("allowed_to_fail", "true"),
            ],
            &[
                ("pipeline_name", "acme/web/shop / Nightly"),
                ("pipeline_source", "GitLab CI"),
                ("reference_id", "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"),
                ("started_at", "2026-02-03T11:00:00Z"),
                ("status", "success"),
                ("step", "compile"),
            ],
        ],
        names: &[
            "/object_attributes",
            "/object_attributes/id",
            "/object_attributes/name",
            "/project/web_url",
            "/project/path_with_namespace",
        ],
    }
    .check();
}

#[test]
fn statuses() {
    for (status, given, has_ended) in [
        ("success", "success", true),
        ("failed", "failure", true),
        ("canceled", "cancelled", true),
        ("running", "running", false),
        ("canceling", "running", false),
        ("created", "", false),
        ("waiting_for_resource", "", false),
        ("preparing", "", false),
        ("pending", "", false),
        ("manual", "", false),
        ("scheduled", "", false),
        ("skipped", "", false),
    ] {
        let body = with(FAILED, &[("/object_attributes/status", json!(status))]);
        let run = notifications("gitlab", PIPELINE, &body).remove(0);
        let finish = if has_ended { "2026-02-03T11:05:30Z" } else { "" };
        assert_eq!(values(&run, &["status", "finished_at"]), [given, finish], "{status}");
    }
    let body = with(FAILED, &[("/builds", json!(null))]);
    let run = notifications("gitlab", PIPELINE, &body);
    assert_eq!(
        (run.len(), value(&run[0], "started_at")),
        (1, "2026-02-03T10:59:00Z".to_owned())
    );
}

#[test]
fn refs_and_commits_of_merge_requests() {
    let head = "c0ffee0123456789c0ffee0123456789c0ffee01";
    let source = "abcdef0123456789abcdef0123456789abcdef01";
    let merged = format!("Merge {source} into {head}");
    for (ref_name, message, commit) in [
        ("add-basket", "Add a basket", head),
        // Merged results and merge trains.
        ("add-basket", merged.as_str(), source),
        ("add-basket", "Merge branch 'add-basket' into 'main'\n\nSee !12", ""),
        ("refs/merge-requests/12/merge", "x", ""),
        ("refs/merge-requests/12/train", "x", ""),
        ("refs/merge-requests/12/head", "x", head),
        // The target was merged into the branch.
        ("add-basket", "Merge branch 'main' into 'add-basket'", head),
    ] {
        let body = with(
            FAILED,
            &[
                ("/object_attributes/ref", json!(ref_name)),
                ("/commit/message", json!(message)),
            ],
        );
        let run = notifications("gitlab", PIPELINE, &body).remove(0);
        assert_eq!(
            values(&run, &["commit_sha", "head_branch"]),
            [commit, "add-basket"],
            "{ref_name} {message}"
        );
    }
}

#[test]
fn the_target_of_a_merge_request_numbers_it() {
    let page = |path: &str| json!(format!("https://ci.example.com:8443/gitlab/{path}"));
    for (url, target_id, repository, number) in [
        (page("origin/shop/-/merge_requests/12"), 9, "origin/shop", "12"),
        (page("origin/shop/merge_requests/12"), 9, "origin/shop", "12"),
        (json!(null), 5, "acme/web/shop", "12"),
        (json!(null), 9, "acme/web/shop", ""),
        (
            json!("https://elsewhere.example.com/a/b/-/merge_requests/12"),
            5,
            "acme/web/shop",
            "",
        ),
    ] {
        let body = with(
            FAILED,
            &[
                ("/merge_request/url", url.clone()),
                ("/merge_request/target_project_id", json!(target_id)),
            ],
        );
        let run = notifications("gitlab", PIPELINE, &body).remove(0);
        assert_eq!(
            values(&run, &["repository", "pr_number", "reference_id"]),
            [
                repository,
                number,
                "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"
            ],
            "{url}"
        );
    }
}

#[test]
fn branches_tags_and_people() {
    let push = with(
        FAILED,
        &[
            ("/merge_request", json!(null)),
            ("/object_attributes/source", json!("push")),
        ],
    );
    for (tag, branch) in [
        (json!(false), "add-basket"),
        (json!(true), ""),
        (json!(null), "add-basket"),
    ] {
        let body = with(&push, &[("/object_attributes/tag", tag)]);
        assert_eq!(
            value(&notifications("gitlab", PIPELINE, &body)[0], "head_branch"),
            branch
        );
    }
    for (user, email, username) in [
        (json!({"username": "panda", "email": "[REDACTED]"}), "", "panda"),
        (json!({"username": "panda", "email": ""}), "", "panda"),
        (json!({"email": "4-bear@users.noreply.gitlab.com"}), "", "bear"),
        (Value::Null, "", ""),
    ] {
        let body = with(&push, &[("/user", user)]);
        let run = notifications("gitlab", PIPELINE, &body).remove(0);
        assert_eq!(values(&run, &["email", "gitlab_username"]), [email, username]);
    }
}

/// A job of the same pipeline.
const BUILD: &str = r#"{
    "object_kind": "build", "ref": "add-basket", "tag": false, "sha": "c0ffee0123456789c0ffee0123456789c0ffee01",
    "build_id": 2, "build_name": "test 1/2", "build_stage": "test", "build_status": "failed", "build_created_at": "2026-02-03 10:59:00 UTC",
    "build_started_at": "2026-02-03T11:02:00.000Z", "build_finished_at": "2026-02-03 11:05:29 UTC", "build_duration": 209.5,
    "build_allow_failure": true, "build_failure_reason": "script_failure", "retries_count": 1, "pipeline_id": 9001, "project_id": 5,
    "project_name": "Acme / Web / Shop", "user": {"id": 4, "name": "Panda", "username": "panda", "email": "[REDACTED]"},
    "commit": {"id": 9001, "name": "Nightly", "sha": "c0ffee0123456789c0ffee0123456789c0ffee01", "status": "running",
        "started_at": "2026-02-03 11:00:00 UTC", "finished_at": null},
    "repository": {"name": "Shop", "homepage": "https://ci.example.com:8443/gitlab/acme/web/shop",
        "git_http_url": "https://ci.example.com:8443/gitlab/acme/web/shop.git", "git_ssh_url": "ssh://git@ci.example.com:2222/acme/web/shop.git"}
}"#;

#[test]
fn a_job_makes_its_pipeline_exist() {
    Sample {
        system: "gitlab",
        headers: JOB,
        body: BUILD,
        expected: &[
            &[
                ("pipeline_name", "acme/web/shop / Nightly"),
                ("pipeline_source", "GitLab CI"),
                ("reference_id", "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"),
                ("started_at", "2026-02-03T11:00:00Z"),
                ("status", "running"),
                ("repository", "acme/web/shop"),
                ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
                (
                    "source_url",
                    "https://ci.example.com:8443/gitlab/acme/web/shop/-/pipelines/9001",
                ),
                ("head_branch", "add-basket"),
                ("gitlab_username", "panda"),
            ],
            &[
                ("pipeline_name", "acme/web/shop / Nightly"),
                ("pipeline_source", "GitLab CI"),
                ("reference_id", "gitlab/ci.example.com:8443/gitlab/acme/web/shop/9001"),
                ("started_at", "2026-02-03T11:02:00Z"),
                ("finished_at", "2026-02-03T11:05:29Z"),
                ("status", "failure"),
                ("repository", "acme/web/shop"),
                ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
                (
                    "source_url",
                    "https://ci.example.com:8443/gitlab/acme/web/shop/-/pipelines/9001",
                ),
                ("head_branch", "add-basket"),
                ("gitlab_username", "panda"),
                ("step", "test 1/2"),
                ("allowed_to_fail", "true"),
            ],
        ],
        names: &[
            "/pipeline_id",
            "/commit",
            "/commit/name",
            "/repository",
            "/repository/homepage",
            "/repository/git_ssh_url",
        ],
    }
    .check();
}

#[test]
fn projects_of_job_events() {
    for (homepage, ssh, project, reference) in [
        (
            "https://gitlab.com/acme/shop",
            "git@gitlab.com:acme/shop.git",
            json!(null),
            "gitlab/gitlab.com/acme/shop/9001",
        ),
        (
            "https://ci.example.com/git/acme/shop",
            "git@ci.example.com:acme/shop.git",
            json!(null),
            "gitlab/ci.example.com/git/acme/shop/9001",
        ),
        (
            "https://ci.example.com/git/acme/shop",
            "",
            json!({"path_with_namespace": "acme/shop"}),
            "gitlab/ci.example.com/git/acme/shop/9001",
        ),
        (
            "https://gitlab.com/acme/shop",
            "",
            json!(null),
            "gitlab/gitlab.com/acme/shop/9001",
        ),
    ] {
        let body = with(
            BUILD,
            &[
                ("/repository/homepage", json!(homepage)),
                ("/repository/git_ssh_url", json!(ssh)),
                ("/repository/git_http_url", json!(format!("{homepage}.git"))),
                ("/project", project),
            ],
        );
        assert_eq!(
            value(&notifications("gitlab", JOB, &body)[0], "reference_id"),
            reference,
            "{homepage}"
        );
    }
    let body = with(BUILD, &[("/repository/homepage", json!("x"))]);
    assert_eq!(
        translated("gitlab", JOB, &body).unwrap_err(),
        "repository.homepage is not the page of a project"
    );
}

#[test]
fn other_events_are_ignored_with_a_reason() {
    for (headers, body, why) in [
        (
            &[("x-gitlab-event", "Push Hook")][..],
            "{}".to_owned(),
            "the event `Push Hook` is about no run",
        ),
        (
            &[("x-gitlab-event", "System Hook")],
            "{\"object_kind\":\"push\"}".to_owned(),
            "the event `push` is about no run",
        ),
        (&[], "{}".to_owned(), "it is about no pipeline or job"),
        (
            JOB,
            with(BUILD, &[("/build_status", json!("created"))]),
            "the job has not started, or was skipped",
        ),
        (
            JOB,
            with(BUILD, &[("/build_status", json!("skipped"))]),
            "the job has not started, or was skipped",
        ),
    ] {
        assert_eq!(reason("gitlab", headers, &body), why);
    }
}

#[test]
fn published_deliveries() {
    if let Some(body) = published("gitlab", "gitlab/pipeline.json") {
        let given = notifications("gitlab", &[], &body);
        let run = [
            "pipeline_name",
            "reference_id",
            "started_at",
            "finished_at",
            "status",
            "pr_number",
            "head_branch",
            "gitlab_username",
        ];
        assert_eq!(
            values(&given[0], &run),
            [
                "gitlab-org/gitlab-test / pipeline_name",
                "gitlab/192.168.64.1:3005/gitlab-org/gitlab-test/31",
                "2016-08-12T15:24:56Z",
                "2016-08-12T15:26:29Z",
                "success",
                "1",
                "test",
                "root"
            ]
        );
        let steps: Vec<String> = given.iter().skip(1).map(|step| value(step, "step")).collect();
        assert_eq!(steps, ["test-image", "test-build", "build-image"]);
    }
    if let Some(body) = published("gitlab", "gitlab/job.json") {
        assert_eq!(reason("gitlab", JOB, &body), "the job has not started, or was skipped");
        let started = with(
            &body,
            &[
                ("/build_status", json!("running")),
                ("/build_started_at", json!("2021-02-23 02:41:37 +0000")),
            ],
        );
        let step = notifications("gitlab", JOB, &started).remove(0);
        assert_eq!(
            values(
                &step,
                &[
                    "reference_id",
                    "pipeline_name",
                    "step",
                    "started_at",
                    "head_branch",
                    "email"
                ]
            ),
            [
                "gitlab/192.168.64.1:3005/gitlab-org/gitlab-test/2366",
                "gitlab-org/gitlab-test",
                "test",
                "2021-02-23T02:41:37Z",
                "gitlab-script-trigger",
                "user@gitlab.com"
            ]
        );
    }
}
