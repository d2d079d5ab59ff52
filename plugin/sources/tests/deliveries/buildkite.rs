//! Buildkite.

use crate::support::{Sample, notifications, reason, value, values, with};
use serde_json::json;

const FINISHED: &[(&str, &str)] = &[("x-buildkite-event", "build.finished")];
const JOB: &[(&str, &str)] = &[("x-buildkite-event", "job.finished")];

/// In a job of this build: `BUILDKITE_ORGANIZATION_SLUG=acme BUILDKITE_PIPELINE_SLUG=shop BUILDKITE_BUILD_ID=018f…
/// BUILDKITE_REPO=git@github.com:acme/shop.git BUILDKITE_COMMIT=c0ffee… BUILDKITE_BRANCH=add-basket BUILDKITE_PULL_REQUEST=12
/// BUILDKITE_BUILD_URL=https://buildkite.com/acme/shop/builds/41 BUILDKITE_BUILD_CREATOR_EMAIL=panda@example.com`.
const BUILD: &str = r#"{
    "event": "build.finished",
    "build": {
        "id": "018f018f-1111-2222-3333-444444444444", "url": "https://api.buildkite.com/v2/organizations/acme/pipelines/shop/builds/41",
        "web_url": "https://buildkite.com/acme/shop/builds/41", "number": 41, "state": "failed", "blocked": false, "message": "Add a basket",
        "commit": "c0ffee0123456789c0ffee0123456789c0ffee01", "branch": "add-basket", "tag": null, "source": "webhook",
        "author": {"name": "Bear", "email": "bear@example.com"}, "creator": {"id": "1c", "name": "Panda", "email": "panda@example.com"},
        "created_at": "2026-02-03 10:58:00 UTC", "scheduled_at": "2026-02-03 10:58:01 UTC", "started_at": "2026-02-03 11:00:00 UTC",
        "finished_at": "2026-02-03 11:05:30 UTC", "pull_request": {"id": "12", "base": "main", "repository": "git://github.com/panda/shop.git"},
        "rebuilt_from": null
    },
    "pipeline": {"id": "2c", "slug": "shop", "name": "Shop", "repository": "git@github.com:acme/shop.git"},
    "sender": {"id": "1c", "name": "Panda"}
}"#;

const NAMES: &[&str] = &["/build/id", "/build/web_url", "/build/url", "/pipeline/slug"];

#[test]
fn a_build_is_that_of_its_jobs() {
    Sample {
        system: "buildkite",
        headers: FINISHED,
        body: BUILD,
        expected: &[&[
            ("pipeline_name", "shop"),
            ("pipeline_source", "Buildkite"),
            (
                "reference_id",
                "buildkite/acme/shop/018f018f-1111-2222-3333-444444444444",
            ),
            ("started_at", "2026-02-03T11:00:00Z"),
            ("finished_at", "2026-02-03T11:05:30Z"),
            ("status", "failure"),
            ("repository", "acme/shop"),
            ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
            ("pr_number", "12"),
            ("source_url", "https://buildkite.com/acme/shop/builds/41"),
            ("head_branch", "add-basket"),
            ("email", "panda@example.com"),
            ("attributes", "queued_at=2026-02-03T10:58:01Z"),
        ]],
        names: NAMES,
    }
    .check();
}

#[test]
fn the_event_and_the_state_give_the_status() {
    for (event, state, blocked, status, has_ended) in [
        ("build.finished", "passed", false, "success", true),
        ("build.finished", "failed", false, "failure", true),
        ("build.finished", "canceled", false, "cancelled", true),
        ("build.finished", "not_run", false, "cancelled", true),
        ("build.finished", "skipped", false, "cancelled", true),
        // It waits for a person, and goes on.
        ("build.finished", "passed", true, "", false),
        ("build.finished", "blocked", true, "", false),
        ("build.finished", "blocked", false, "", false),
        ("build.finished", "failed", true, "failure", true),
        ("build.finished", "a word of tomorrow", false, "", true),
        ("build.running", "running", false, "running", false),
        ("build.failing", "failing", false, "running", false),
        ("build.failing", "failed", false, "running", false),
        ("build.skipped", "skipped", false, "cancelled", true),
    ] {
        let body = with(
            BUILD,
            &[
                ("/event", json!(event)),
                ("/build/state", json!(state)),
                ("/build/blocked", json!(blocked)),
            ],
        );
        let run = notifications("buildkite", &[("x-buildkite-event", event)], &body).remove(0);
        let finish = if has_ended { "2026-02-03T11:05:30Z" } else { "" };
        assert_eq!(
            values(&run, &["status", "finished_at"]),
            [status, finish],
            "{event} {state} {blocked}"
        );
    }
}

#[test]
fn builds_that_never_started() {
    let queued = with(
        BUILD,
        &[("/build/started_at", json!(null)), ("/build/state", json!("scheduled"))],
    );
    assert_eq!(
        reason("buildkite", &[("x-buildkite-event", "build.scheduled")], &queued),
        "the build has not started"
    );
    let cancelled = with(&queued, &[("/build/state", json!("canceled"))]);
    let run = notifications("buildkite", FINISHED, &cancelled).remove(0);
    assert_eq!(
        values(&run, &["started_at", "status"]),
        ["2026-02-03T10:58:01Z", "cancelled"]
    );
}

#[test]
fn refs_and_people() {
    let names = ["commit_sha", "pr_number", "head_branch", "email", "github_username"];
    let head = "c0ffee0123456789c0ffee0123456789c0ffee01";
    for (changes, expected) in [
        (
            vec![("/build/commit", json!("HEAD"))],
            ["", "12", "add-basket", "panda@example.com", ""],
        ),
        (
            vec![
                ("/build/branch", json!("refs/pull/9/merge")),
                ("/build/pull_request", json!(null)),
            ],
            ["", "9", "", "panda@example.com", ""],
        ),
        (
            vec![
                ("/build/branch", json!("v1")),
                ("/build/tag", json!("v1")),
                ("/build/pull_request", json!({"id": 12})),
            ],
            [head, "12", "", "panda@example.com", ""],
        ),
        // A push names the author of the commit, unless it is a rebuild.
        (
            vec![("/build/creator", json!(null))],
            [head, "12", "add-basket", "bear@example.com", ""],
        ),
        (
            vec![
                ("/build/creator", json!(null)),
                ("/build/rebuilt_from", json!({"id": "1", "number": 40})),
            ],
            [head, "12", "add-basket", "", ""],
        ),
        (
            vec![("/build/creator", json!(null)), ("/build/source", json!("schedule"))],
            [head, "12", "add-basket", "", ""],
        ),
        (
            vec![("/build/creator/email", json!("1+panda@users.noreply.github.com"))],
            [head, "12", "add-basket", "", "panda"],
        ),
        // DX takes a commit only with its repository.
        (
            vec![("/pipeline/repository", json!("/srv/git"))],
            ["", "", "add-basket", "panda@example.com", ""],
        ),
    ] {
        let run = notifications("buildkite", FINISHED, &with(BUILD, &changes)).remove(0);
        assert_eq!(values(&run, &names), expected, "{changes:?}");
    }
}

fn job_finished() -> &'static str {
    static BODY: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let job = json!({"id": "3c", "type": "script", "name": ":rspec: Tests", "step_key": "tests", "state": "failed", "exit_status": 1,
            "soft_failed": true, "parallel_group_index": 1, "parallel_group_total": 3, "retried": false,
            "created_at": "2026-02-03 10:58:01 UTC", "started_at": "2026-02-03 11:01:00 UTC", "finished_at": "2026-02-03 11:04:00 UTC"});
        let changes = [
            ("/event", json!("job.finished")),
            ("/build/state", json!("running")),
            ("/job", job),
        ];
        with(&with(BUILD, &changes), &[("/build/finished_at", json!(null))])
    });
    &BODY
}

#[test]
fn a_job_makes_its_build_exist() {
    Sample {
        system: "buildkite",
        headers: JOB,
        body: job_finished(),
        expected: &[
            &[
                ("pipeline_name", "shop"),
                ("pipeline_source", "Buildkite"),
                (
                    "reference_id",
                    "buildkite/acme/shop/018f018f-1111-2222-3333-444444444444",
                ),
                ("started_at", "2026-02-03T11:00:00Z"),
                ("status", "running"),
                ("repository", "acme/shop"),
                ("commit_sha", "c0ffee0123456789c0ffee0123456789c0ffee01"),
                ("pr_number", "12"),
                ("source_url", "https://buildkite.com/acme/shop/builds/41"),
                ("head_branch", "add-basket"),
                ("email", "panda@example.com"),
                ("attributes", "queued_at=2026-02-03T10:58:01Z"),
            ],
            &[
                ("pipeline_name", "shop"),
                ("pipeline_source", "Buildkite"),
                (
                    "reference_id",
                    "buildkite/acme/shop/018f018f-1111-2222-3333-444444444444",
                ),
                ("started_at", "2026-02-03T11:01:00Z"),
                ("finished_at", "2026-02-03T11:04:00Z"),
                ("status", "failure"),
                ("step", ":rspec: Tests"),
                ("step_id", ":rspec: Tests #1"),
                ("allowed_to_fail", "true"),
            ],
        ],
        names: NAMES,
    }
    .check();
}

#[test]
fn jobs_and_events_that_are_ignored() {
    for (event, kind, state, why) in [
        ("job.scheduled", "script", "scheduled", "the job has not started"),
        ("job.finished", "waiter", "passed", "the job runs no command"),
        ("job.finished", "trigger", "passed", "the job runs no command"),
        ("job.finished", "script", "broken", "the job did not run"),
        (
            "job.activated",
            "manual",
            "unblocked",
            "the event `job.activated` is about no run",
        ),
        (
            "agent.connected",
            "script",
            "passed",
            "the event `agent.connected` is about no run",
        ),
        ("ping", "script", "passed", "the event `ping` is about no run"),
    ] {
        let body = with(
            job_finished(),
            &[
                ("/event", json!(event)),
                ("/job/type", json!(kind)),
                ("/job/state", json!(state)),
            ],
        );
        assert_eq!(reason("buildkite", &[("x-buildkite-event", event)], &body), why);
        assert_eq!(reason("buildkite", &[], &body), why);
    }
    assert_eq!(reason("buildkite", &[], "{}"), "it is about no build or job");
    let alone = with(job_finished(), &[("/job/parallel_group_total", json!(null))]);
    assert_eq!(value(&notifications("buildkite", JOB, &alone)[1], "step_id"), "");
}
