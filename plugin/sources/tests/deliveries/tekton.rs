//! Tekton.

use crate::rules::folded;
use crate::support::{Sample, notifications, reason, translated};

const SUCCESSFUL: &[(&str, &str)] = &[
    ("ce-id", "77f78ae7-0000-4000-8000-000000000000"),
    (
        "ce-source",
        "/apis/tekton.dev/v1/namespaces/shop/pipelineruns/build-x7k2p",
    ),
    ("ce-specversion", "1.0"),
    ("ce-subject", "build-x7k2p"),
    ("ce-time", "2026-01-02T09:03:09Z"),
    ("ce-type", "dev.tekton.event.pipelinerun.successful.v1"),
];

/// In a task of the recipe: `PIPEFOLD_PIPELINE_SOURCE=Tekton PIPEFOLD_PIPELINE_NAME=build
/// PIPEFOLD_REFERENCE_ID=tekton/shop/build-x7k2p/4ccb4f01-… PIPEFOLD_REPOSITORY=org/app PIPEFOLD_COMMIT_SHA=0d5f3e…
/// PIPEFOLD_HEAD_BRANCH=feature/one PIPEFOLD_PR_NUMBER=7 PIPEFOLD_GITHUB_USERNAME=panda`, from what Pipelines-as-Code gives.
const RUN: &str = r#"{
    "pipelineRun": {
        "metadata": {
            "name": "build-x7k2p", "generateName": "build-", "namespace": "shop", "uid": "4ccb4f01-0000-4000-8000-87e176f04eee",
            "creationTimestamp": "2026-01-02T09:00:11Z", "managedFields": [],
            "labels": {"tekton.dev/pipeline": "build", "pipelinesascode.tekton.dev/url-org": "org", "pipelinesascode.tekton.dev/url-repository": "app",
                "pipelinesascode.tekton.dev/sha": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a", "pipelinesascode.tekton.dev/sender": "panda",
                "pipelinesascode.tekton.dev/git-provider": "github"},
            "annotations": {"pipelinesascode.tekton.dev/repo-url": "https://github.com/org/app", "pipelinesascode.tekton.dev/pull-request": "7",
                "pipelinesascode.tekton.dev/source-branch": "feature/one", "pipelinesascode.tekton.dev/branch": "main",
                "pipelinesascode.tekton.dev/log-url": "https://dash.example.com/ns/shop/build-x7k2p"}
        },
        "spec": {"params": [{"name": "image", "value": ["a", "b"]}], "pipelineRef": {"name": "build"}},
        "status": {
            "startTime": "2026-01-02T09:00:12Z", "completionTime": "2026-01-02T09:03:08Z",
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Completed", "lastTransitionTime": "2026-01-02T09:03:08Z"}]
        }
    }
}"#;

const EXPECTED: [(&str, &str); 12] = [
    ("pipeline_name", "build"),
    ("pipeline_source", "Tekton"),
    (
        "reference_id",
        "tekton/shop/build-x7k2p/4ccb4f01-0000-4000-8000-87e176f04eee",
    ),
    ("started_at", "2026-01-02T09:00:12Z"),
    ("finished_at", "2026-01-02T09:03:08Z"),
    ("status", "success"),
    ("repository", "org/app"),
    ("commit_sha", "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"),
    ("pr_number", "7"),
    ("source_url", "https://dash.example.com/ns/shop/build-x7k2p"),
    ("head_branch", "feature/one"),
    ("github_username", "panda"),
];

const NAMES: &[&str] = &[
    "/pipelineRun/metadata/name",
    "/pipelineRun/metadata/namespace",
    "/pipelineRun/metadata/uid",
    "/pipelineRun/metadata/labels/tekton.dev~1pipeline",
];

#[test]
fn a_pipeline_run_is_that_of_its_tasks() {
    Sample {
        system: "tekton",
        headers: SUCCESSFUL,
        body: RUN,
        expected: &[&EXPECTED],
        names: NAMES,
    }
    .check();
}

#[test]
fn structured_mode_is_the_same() {
    let kind = "dev.tekton.event.pipelinerun.successful.v1";
    let body = format!(r#"{{"specversion": "1.0", "id": "7", "source": "/x", "type": "{kind}", "data": {RUN}}}"#);
    let headers = [("content-type", "application/cloudevents+json")];
    assert_eq!(
        notifications("tekton", &headers, &body),
        notifications("tekton", SUCCESSFUL, RUN)
    );
}

/// The value of a field, with the type of the event.
fn value(kind: &str, body: &str, name: &str) -> Option<String> {
    let kind = format!("dev.tekton.event.{kind}.v1");
    let run = &notifications("tekton", &[("ce-type", &kind)], body)[0];
    run.iter().find(|field| field.0 == name).map(|field| field.1.clone())
}

/// The sample with another condition.
fn condition(body: &str, status: &str, reason: &str) -> String {
    body.replace(
        r#""status": "True", "reason": "Completed""#,
        &format!(r#""status": "{status}", "reason": "{reason}""#),
    )
}

#[test]
fn states_are_statuses_with_and_without_the_type() {
    for (kind, status, reason, expected) in [
        ("successful", "True", "Succeeded", "success"),
        ("failed", "False", "Failed", "failure"),
        ("failed", "False", "PipelineRunTimeout", "failure"),
        ("failed", "False", "Cancelled", "cancelled"),
        ("started", "Unknown", "Started", "running"),
        ("running", "Unknown", "Running", "running"),
        ("unknown", "Unknown", "PipelineRunStopping", "running"),
    ] {
        let body = condition(RUN, status, reason);
        let of_type = value(&format!("pipelinerun.{kind}"), &body, "status").unwrap();
        assert_eq!(of_type, expected, "{kind} {reason}");
        let without = &notifications("tekton", &[], &body)[0];
        assert!(
            without.contains(&("status", expected.to_owned())),
            "{reason}: {without:?}"
        );
        let finished = value(&format!("pipelinerun.{kind}"), &body, "finished_at");
        assert_eq!(finished.is_some(), expected != "running", "{kind}");
    }
    let pending = condition(RUN, "Unknown", "PipelineRunPending");
    assert_eq!(reason("tekton", &[], &pending), "the PipelineRun has not started");
    let queued = [("ce-type", "dev.tekton.event.pipelinerun.queued.v1")];
    assert_eq!(reason("tekton", &queued, RUN), "the PipelineRun has not started");
}

#[test]
fn a_finish_without_its_time_has_that_of_the_condition() {
    let body = RUN.replace("\"completionTime\": \"2026-01-02T09:03:08Z\",", "");
    assert_eq!(
        value("pipelinerun.failed", &body, "finished_at").unwrap(),
        "2026-01-02T09:03:08Z"
    );
}

#[test]
fn names_of_pipelines() {
    let unlabelled = RUN.replace("\"tekton.dev/pipeline\": \"build\", ", "");
    assert_eq!(
        value("pipelinerun.started", &unlabelled, "pipeline_name").unwrap(),
        "build"
    );
    let embedded = unlabelled.replace(
        "\"pipelineRef\": {\"name\": \"build\"}",
        "\"pipelineSpec\": {\"tasks\": []}",
    );
    assert_eq!(
        value("pipelinerun.started", &embedded, "pipeline_name").unwrap(),
        "build-x7k2p"
    );
    let resolver = r#""pipelineRef": {"resolver": "cluster", "params": [{"name": "name", "value": "release"}]}"#;
    let resolved = unlabelled.replace("\"pipelineRef\": {\"name\": \"build\"}", resolver);
    let started = [("ce-type", "dev.tekton.event.pipelinerun.started.v1")];
    assert_eq!(
        reason("tekton", &started, &resolved),
        "the PipelineRun has not found its Pipeline yet"
    );
    // One that was never found.
    assert_eq!(
        value("pipelinerun.failed", &resolved, "pipeline_name").unwrap(),
        "release"
    );
}

#[test]
fn parameters_of_the_recipe_come_first() {
    let params = r#"{"name": "repository", "value": "acme/shop"}, {"name": "commit", "value": "C0FFEE0"}, {"name": "branch", "value": ""},
        {"name": "pull-request", "value": "12"}, {"name": "url", "value": "https://dash.example.com/7"}, {"name": "github-username", "value": "bear"}"#;
    let body = RUN.replace(r#"{"name": "image", "value": ["a", "b"]}"#, params);
    for (name, expected) in [
        ("repository", "acme/shop"),
        ("commit_sha", "c0ffee0"),
        ("head_branch", "feature/one"),
        ("pr_number", "12"),
        ("source_url", "https://dash.example.com/7"),
        ("github_username", "bear"),
    ] {
        assert_eq!(value("pipelinerun.successful", &body, name).unwrap(), expected);
    }
    let gitlab = RUN
        .replace("\"git-provider\": \"github\"", "")
        .replace("git-provider\": \"github", "git-provider\": \"gitlab");
    assert_eq!(
        value("pipelinerun.successful", &gitlab, "gitlab_username").unwrap(),
        "panda"
    );
    assert_eq!(value("pipelinerun.successful", &gitlab, "github_username"), None);
}

const FAILED_TASK: &[(&str, &str)] = &[
    ("ce-type", "dev.tekton.event.taskrun.failed.v1"),
    ("ce-specversion", "1.0"),
];

const TASK: &str = r#"{
    "taskRun": {
        "metadata": {
            "name": "build-x7k2p-test-0", "namespace": "shop", "uid": "aaaa4f01-0000-4000-8000-87e176f04eee",
            "labels": {"tekton.dev/pipeline": "build", "tekton.dev/pipelineRun": "build-x7k2p", "tekton.dev/pipelineTask": "test",
                "tekton.dev/pipelineRunUID": "4ccb4f01-0000-4000-8000-87e176f04eee"},
            "ownerReferences": [{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "build-x7k2p", "controller": true,
                "uid": "4ccb4f01-0000-4000-8000-87e176f04eee"}]
        },
        "spec": {"taskRef": {"kind": "Task", "name": "test"}},
        "status": {
            "startTime": "2026-01-02T09:01:00Z", "completionTime": "2026-01-02T09:02:00Z", "podName": "p",
            "conditions": [{"type": "Succeeded", "status": "False", "reason": "FailureIgnored", "lastTransitionTime": "2026-01-02T09:02:00Z"}]
        }
    }
}"#;

#[test]
fn a_task_run_is_a_step_of_its_pipeline_run() {
    Sample {
        system: "tekton",
        headers: FAILED_TASK,
        body: TASK,
        expected: &[&[
            EXPECTED[0],
            EXPECTED[1],
            EXPECTED[2],
            ("started_at", "2026-01-02T09:01:00Z"),
            ("finished_at", "2026-01-02T09:02:00Z"),
            ("status", "failure"),
            ("step", "test"),
            ("step_id", "build-x7k2p-test-0"),
            ("allowed_to_fail", "true"),
        ]],
        names: &[
            "/taskRun/metadata/namespace",
            "/taskRun/metadata/ownerReferences/0/name",
            "/taskRun/metadata/ownerReferences/0/uid",
            "/taskRun/metadata/labels/tekton.dev~1pipeline",
        ],
    }
    .check();
    let cancelled = TASK.replace("FailureIgnored", "TaskRunCancelled");
    assert_eq!(value("taskrun.failed", &cancelled, "status").unwrap(), "cancelled");
    assert_eq!(value("taskrun.failed", &cancelled, "allowed_to_fail"), None);
    let retried = TASK.replace(
        r#""status": "False", "reason": "FailureIgnored""#,
        r#""status": "Unknown", "reason": "ToBeRetried""#,
    );
    assert_eq!(value("taskrun.unknown", &retried, "status").unwrap(), "running");
}

#[test]
fn other_events_are_ignored() {
    let alone = TASK
        .replace("\"PipelineRun\"", "\"x\"")
        .replace("tekton.dev/pipelineRun\"", "x\"");
    assert_eq!(
        reason("tekton", FAILED_TASK, &alone),
        "the TaskRun is of no PipelineRun"
    );
    for kind in [
        "dev.tekton.event.customrun.started.v1",
        "dev.tekton.event.triggers.done.v1",
        "com.example.x",
    ] {
        let why = reason("tekton", &[("ce-type", kind)], RUN);
        assert_eq!(why, format!("the event `{kind}` is about no run"));
    }
    assert_eq!(
        reason("tekton", &[], "{}"),
        "it is about neither a PipelineRun nor a TaskRun"
    );
    assert_eq!(
        translated("tekton", FAILED_TASK, RUN).unwrap_err(),
        "taskRun is missing or of another type"
    );
}

#[test]
fn events_in_any_order_are_one_record() {
    let running = condition(RUN, "Unknown", "Running");
    let started = running.replace("\"completionTime\": \"2026-01-02T09:03:08Z\",", "");
    let again = TASK
        .replace("09:02:00Z", "09:02:59Z")
        .replace("09:01:00Z", "09:02:10Z")
        .replace(
            r#""False", "reason": "FailureIgnored""#,
            r#""True", "reason": "Succeeded""#,
        );
    let expected = [
        "build Success 2026-01-02T09:00:12Z 2026-01-02T09:03:08Z",
        "test Success 2026-01-02T09:02:10Z 2026-01-02T09:02:59Z",
    ];
    assert_eq!(
        folded("tekton", &[&started, &running, TASK, &again, RUN]),
        expected,
        "a retry"
    );
}
