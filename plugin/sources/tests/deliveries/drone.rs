//! Drone.

use crate::rules::folded;
use crate::support::{Sample, notifications, reason, translated};

const BUILD: &[(&str, &str)] = &[("x-drone-event", "build")];

/// In a step of this build: `DRONE_SYSTEM_HOST=drone.example.com DRONE_SYSTEM_PROTO=https DRONE_REPO=org/app DRONE_BUILD_NUMBER=42
/// DRONE_BUILD_LINK=https://drone.example.com/org/app/42 DRONE_BUILD_EVENT=pull_request DRONE_PULL_REQUEST=7 DRONE_COMMIT_SHA=0d5f3e…
/// DRONE_SOURCE_BRANCH=feature/one DRONE_BRANCH=main DRONE_COMMIT_AUTHOR_EMAIL=else@example.com DRONE_STAGE_NAME=default DRONE_STEP_NAME=test`.
const UPDATED: &str = r#"{
    "event": "build", "action": "updated",
    "repo": {"id": 42, "namespace": "org", "name": "app", "slug": "org/app", "git_http_url": "https://github.com/org/app.git",
        "link": "https://github.com/org/app", "private": false},
    "build": {
        "id": 100207, "number": 42, "status": "failure", "event": "pull_request", "action": "sync",
        "link": "https://github.com/org/app/pull/7", "before": "e3320539a4c03ccfda992641646deb67d8bf98f3",
        "after": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a", "ref": "refs/pull/7/head", "source_repo": "org/app",
        "source": "feature/one", "target": "main", "author_login": "panda", "author_email": "else@example.com", "sender": "panda",
        "started": 1767344412, "finished": 1767344588, "created": 1767344400, "updated": 1767344588, "version": 3,
        "stages": [
            {"id": 1, "number": 1, "name": "default", "kind": "pipeline", "status": "failure", "errignore": false, "started": 1767344412,
                "stopped": 1767344588, "steps": [
                {"number": 1, "name": "clone", "status": "success", "exit_code": 0, "started": 1767344412, "stopped": 1767344420},
                {"number": 2, "name": "lint", "status": "failure", "errignore": true, "exit_code": 1, "started": 1767344420, "stopped": 1767344430},
                {"number": 3, "name": "test", "status": "killed", "exit_code": 137, "started": 1767344430, "stopped": 1767344588},
                {"number": 4, "name": "deploy", "status": "skipped", "exit_code": 0},
                {"number": 5, "name": "notify", "status": "killed", "exit_code": 0, "started": 0, "stopped": 1767344588}
            ]},
            {"id": 2, "number": 2, "name": "report", "status": "waiting_on_dependencies", "started": 0, "stopped": 0}
        ]
    },
    "system": {"proto": "https", "host": "drone.example.com", "link": "https://drone.example.com", "version": "2.24.0"}
}"#;

const NAMED: [(&str, &str); 3] = [
    ("pipeline_name", "org/app"),
    ("pipeline_source", "Drone"),
    ("reference_id", "drone/drone.example.com/org/app/42"),
];

#[test]
fn a_build_has_its_steps() {
    Sample {
        system: "drone",
        headers: BUILD,
        body: UPDATED,
        expected: &[
            &[
                NAMED[0],
                NAMED[1],
                NAMED[2],
                ("started_at", "2026-01-02T09:00:12Z"),
                ("finished_at", "2026-01-02T09:03:08Z"),
                ("status", "failure"),
                ("repository", "org/app"),
                ("commit_sha", "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"),
                ("pr_number", "7"),
                ("source_url", "https://drone.example.com/org/app/42"),
                ("head_branch", "feature/one"),
            ],
            &[
                NAMED[0],
                NAMED[1],
                NAMED[2],
                ("started_at", "2026-01-02T09:00:12Z"),
                ("finished_at", "2026-01-02T09:00:20Z"),
                ("status", "success"),
                ("step", "default / clone"),
            ],
            &[
                NAMED[0],
                NAMED[1],
                NAMED[2],
                ("started_at", "2026-01-02T09:00:20Z"),
                ("finished_at", "2026-01-02T09:00:30Z"),
                ("status", "failure"),
                ("step", "default / lint"),
                ("allowed_to_fail", "true"),
            ],
            &[
                NAMED[0],
                NAMED[1],
                NAMED[2],
                ("started_at", "2026-01-02T09:00:30Z"),
                ("finished_at", "2026-01-02T09:03:08Z"),
                ("status", "cancelled"),
                ("step", "default / test"),
            ],
        ],
        names: &["/repo/slug", "/build/number", "/system/host"],
    }
    .check();
}

/// The value of a field of the run.
fn value(body: &str, name: &str) -> Option<String> {
    let run = &notifications("drone", BUILD, body)[0];
    run.iter().find(|field| field.0 == name).map(|field| field.1.clone())
}

#[test]
fn statuses_and_times() {
    for (status, expected) in [
        ("success", "success"),
        ("error", "failure"),
        ("killed", "cancelled"),
        ("declined", "cancelled"),
        ("running", "running"),
        // In the samples of the documentation, with a finish.
        ("started", "running"),
    ] {
        let body = UPDATED.replacen("\"status\": \"failure\"", &format!("\"status\": \"{status}\""), 1);
        assert_eq!(value(&body, "status").unwrap(), expected);
        assert_eq!(value(&body, "finished_at").is_some(), expected != "running", "{status}");
    }
    for (status, why) in [
        ("pending", "the build has not started: it is pending"),
        ("blocked", "the build has not started: it is blocked"),
        ("skipped", "the build was skipped"),
    ] {
        let body = UPDATED.replacen("\"status\": \"failure\"", &format!("\"status\": \"{status}\""), 1);
        assert_eq!(reason("drone", BUILD, &body), why);
    }
    // One that ended in the queue.
    let queued = UPDATED.replacen("\"started\": 1767344412", "\"started\": 0", 1);
    assert_eq!(value(&queued, "started_at").unwrap(), "2026-01-02T09:00:00Z");
    let running = queued.replacen("\"status\": \"failure\"", "\"status\": \"running\"", 1);
    assert_eq!(
        translated("drone", BUILD, &running).unwrap_err(),
        "build.started is missing or of another type"
    );
}

#[test]
fn the_author_of_a_push_started_it() {
    let push = UPDATED
        .replace("\"pull_request\"", "\"push\"")
        .replace("refs/pull/7/head", "refs/heads/main")
        .replace("\"source\": \"feature/one\"", "\"source\": \"main\"");
    assert_eq!(value(&push, "email").unwrap(), "else@example.com");
    assert_eq!(value(&push, "head_branch").unwrap(), "main");
    assert_eq!(value(&push, "pr_number"), None);
    let restarted = push.replace("\"number\": 42,", "\"number\": 42, \"parent\": 41,");
    assert_eq!(value(&restarted, "email"), None);
    let tag = push
        .replace("\"push\"", "\"tag\"")
        .replace("refs/heads/main", "refs/tags/main");
    assert_eq!(value(&tag, "head_branch"), None);
    let promoted = UPDATED.replace("\"pull_request\"", "\"promote\"");
    assert_eq!(value(&promoted, "pr_number"), None, "as in a step");
    let no_source = push.replace("\"source\": \"main\"", "\"source\": \"\"");
    assert_eq!(value(&no_source, "head_branch").unwrap(), "main", "the target");
}

#[test]
fn other_events_are_ignored() {
    let user = r#"{"action": "created", "user": {"id": 1, "login": "panda"}}"#;
    assert_eq!(
        reason("drone", &[("x-drone-event", "user")], user),
        "the event `user` is about no run"
    );
    assert_eq!(reason("drone", &[], user), "it has no build");
    // Old servers do not name themselves.
    let (at, _) = UPDATED.split_once(",\n    \"system\"").unwrap();
    let fault = translated("drone", BUILD, &format!("{at}}}")).unwrap_err();
    assert_eq!(fault, "system.host is missing or of another type");
}

#[test]
fn events_in_any_order_are_one_record() {
    let running = UPDATED
        .replacen("\"status\": \"failure\"", "\"status\": \"running\"", 1)
        .replace("\"killed\", \"exit_code\": 137", "\"running\", \"exit_code\": 0");
    let expected = [
        "org/app Failure 2026-01-02T09:00:12Z 2026-01-02T09:03:08Z",
        "default / clone Success 2026-01-02T09:00:12Z 2026-01-02T09:00:20Z",
        "default / lint Failure 2026-01-02T09:00:20Z 2026-01-02T09:00:30Z",
        "default / test Cancelled 2026-01-02T09:00:30Z 2026-01-02T09:03:08Z",
    ];
    assert_eq!(folded("drone", &[&running, UPDATED]), expected);
}
