//! CDEvents.

use crate::rules::folded;
use crate::support::{Sample, notifications, published, reason, translated};

const FINISHED: &str = r#"{
    "context": {
        "specversion": "0.5.0", "id": "b71069a8-0000-4000-8000-9d70a1695819", "chainId": "4c8cb7dd-0000-4000-8000-eec704e2829b",
        "source": "https://Tekton.example.com/events", "type": "dev.cdevents.pipelinerun.finished.0.3.0",
        "timestamp": "2026-01-02T09:03:08.315384Z", "links": [{"linkType": "PATH", "from": {"contextId": "5328"}}]
    },
    "subject": {
        "id": "shop/build-7", "source": "https://tekton.example.com/prod",
        "content": {"pipelineName": "build", "uri": "https://tekton.example.com/runs/7", "outcome": "error", "errors": "x"}
    }
}"#;

const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/cdevents+json"),
    ("ce-specversion", "1.0"),
    ("ce-type", "dev.cdevents.pipelinerun.finished.0.3.0"),
    ("ce-source", "https://Tekton.example.com/events"),
    ("ce-subject", "shop/build-7"),
    ("ce-time", "2026-01-02T09:03:08.315384Z"),
];

const NAMES: &[&str] = &[
    "/context/type",
    "/subject/id",
    "/subject/source",
    "/subject/content/pipelineName",
];

#[test]
fn the_end_of_a_pipeline_run() {
    Sample {
        system: "cdevents",
        headers: HEADERS,
        body: FINISHED,
        expected: &[&[
            ("pipeline_name", "build"),
            ("pipeline_source", "CDEvents"),
            ("reference_id", "cdevents/tekton.example.com/prod/shop/build-7"),
            // No event has both times: the earliest start counts.
            ("started_at", "2026-01-02T09:03:08.315384Z"),
            ("finished_at", "2026-01-02T09:03:08.315384Z"),
            ("status", "failure"),
            ("source_url", "https://tekton.example.com/runs/7"),
        ]],
        names: NAMES,
    }
    .check();
}

#[test]
fn modes_and_versions_are_the_same() {
    let expected = notifications("cdevents", HEADERS, FINISHED);
    let kind = "dev.cdevents.pipelinerun.finished.0.3.0";
    let structured =
        format!(r#"{{"specversion": "1.0", "id": "7", "source": "/x", "type": "{kind}", "data": {FINISHED}}}"#);
    let headers = [("content-type", "application/cloudevents+json")];
    assert_eq!(notifications("cdevents", &headers, &structured), expected);
    // 0.4 has `version`, a type of the subject, and `url`.
    let older = FINISHED
        .replace("\"specversion\": \"0.5.0\"", "\"version\": \"0.4.1\"")
        .replace("finished.0.3.0", "finished.0.2.0")
        .replace("\"uri\"", "\"url\"")
        .replace(
            "\"id\": \"shop/build-7\"",
            "\"id\": \"shop/build-7\", \"type\": \"pipelineRun\"",
        );
    assert_eq!(notifications("cdevents", &[], &older), expected);
    // The context in the headers alone.
    let (_, subject) = FINISHED.split_once("\"subject\"").unwrap();
    assert_eq!(
        notifications("cdevents", HEADERS, &format!("{{\"subject\"{subject}")),
        expected
    );
}

/// The value of a field.
fn value(body: &str, name: &str) -> Option<String> {
    let run = &notifications("cdevents", &[], body)[0];
    run.iter().find(|field| field.0 == name).map(|field| field.1.clone())
}

#[test]
fn outcomes_are_statuses() {
    for (outcome, status) in [
        ("success", Some("success")),
        ("failure", Some("failure")),
        ("cancel", Some("cancelled")),
        ("x", None),
    ] {
        let body = FINISHED.replace("\"error\"", &format!("\"{outcome}\""));
        assert_eq!(value(&body, "status").as_deref(), status, "{outcome}");
    }
    let started = FINISHED.replace(".finished.", ".started.");
    assert_eq!(value(&started, "status").unwrap(), "running");
    assert_eq!(value(&started, "finished_at"), None);
}

#[test]
fn a_subject_without_a_source_is_of_the_context_s() {
    let body = FINISHED.replace("\"source\": \"https://tekton.example.com/prod\",", "");
    let expected = "cdevents/tekton.example.com/events/shop/build-7";
    assert_eq!(value(&body, "reference_id").unwrap(), expected);
    let path = body.replace("https://Tekton.example.com/events", "/event/source/1");
    assert_eq!(
        value(&path, "reference_id").unwrap(),
        "cdevents/event/source/1/shop/build-7"
    );
}

const TASK: &str = r#"{
    "context": {"specversion": "0.5.0", "id": "c7", "source": "/prod/tekton", "type": "dev.cdevents.taskrun.finished.0.3.0",
        "timestamp": "2026-01-02T09:02:00Z"},
    "subject": {"id": "shop/test-3", "source": "/prod/tekton", "content": {
        "taskName": "test", "uri": "https://tekton.example.com/tasks/3", "pipelineRun": {"id": "shop/build-7", "source": "/prod/runs"},
        "outcome": "success"
    }}
}"#;

#[test]
fn a_task_run_is_a_step_of_its_pipeline_run() {
    Sample {
        system: "cdevents",
        headers: &[],
        body: TASK,
        expected: &[&[
            ("pipeline_name", "(unknown pipeline)"),
            ("pipeline_source", "CDEvents"),
            ("reference_id", "cdevents/prod/runs/shop/build-7"),
            // Without a start, as in the event of its start: so both are of one execution.
            ("finished_at", "2026-01-02T09:02:00Z"),
            ("status", "success"),
            ("step", "test"),
            ("step_id", "shop/test-3"),
        ]],
        names: &[
            "/context/type",
            "/subject/content/pipelineRun",
            "/subject/content/pipelineRun/id",
            "/subject/content/pipelineRun/source",
        ],
    }
    .check();
    let started = TASK.replace(".finished.", ".started.");
    assert_eq!(value(&started, "status").unwrap(), "running");
    assert_eq!(
        (value(&started, "started_at"), value(&started, "finished_at")),
        (None, None)
    );
}

#[test]
fn other_events_are_ignored() {
    for (kind, why) in [
        ("dev.cdevents.pipelinerun.queued.0.3.0", "it has not started"),
        ("dev.cdevents.taskrun.queued.0.1.0", "it has not started"),
        (
            "dev.cdevents.build.finished.0.3.0",
            "the event `dev.cdevents.build.finished.0.3.0` is about no run",
        ),
        (
            "dev.cdevents.pipelinerun.x.0.3.0",
            "the event `dev.cdevents.pipelinerun.x.0.3.0` is about no run",
        ),
    ] {
        let body = FINISHED.replace("dev.cdevents.pipelinerun.finished.0.3.0", kind);
        assert_eq!(reason("cdevents", &[], &body), why);
    }
    let alone = TASK.replace("pipelineRun", "x");
    assert_eq!(reason("cdevents", &[], &alone), "the task is of no pipeline");
    let fault = translated("cdevents", &[], &FINISHED.replace("\"timestamp\"", "\"x\"")).unwrap_err();
    assert_eq!(fault, "context.timestamp is missing or of another type");
}

#[test]
fn the_published_samples() {
    let named = [
        ("pipeline_source", "CDEvents"),
        ("reference_id", "cdevents/event/source/123/mySubject123"),
    ];
    let at = "2023-03-20T14:27:05.315384Z";
    let page = ("source_url", "https://www.example.com/mySubject123");
    let step = [("step", "myTask"), ("step_id", "mySubject123")];
    let run = ("pipeline_name", "myPipeline");
    let task = ("pipeline_name", "(unknown pipeline)");
    for (file, expected) in [
        (
            "pipelinerun_started",
            vec![run, named[0], named[1], ("started_at", at), ("status", "running"), page],
        ),
        (
            "pipelinerun_finished",
            vec![
                run,
                named[0],
                named[1],
                ("started_at", at),
                ("finished_at", at),
                ("status", "failure"),
                page,
            ],
        ),
        (
            "taskrun_started",
            vec![task, named[0], named[1], ("status", "running"), step[0], step[1]],
        ),
        (
            "taskrun_finished",
            vec![
                task,
                named[0],
                named[1],
                ("finished_at", at),
                ("status", "failure"),
                step[0],
                step[1],
            ],
        ),
    ] {
        let Some(body) = published("the_published_samples", &format!("cdevents/{file}.json")) else {
            return;
        };
        let expected: Vec<(&str, String)> = expected
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        assert_eq!(notifications("cdevents", &[], &body), [expected], "{file}");
    }
}

#[test]
fn events_in_any_order_are_one_record() {
    let started = FINISHED
        .replace(".finished.", ".started.")
        .replace("09:03:08.315384", "09:00:12");
    let task = TASK.replace(
        "shop/build-7\", \"source\": \"/prod/runs",
        "shop/build-7\", \"source\": \"https://tekton.example.com/prod",
    );
    let task_started = task.replace(".finished.", ".started.").replace("09:02:00", "09:01:00");
    let expected = [
        "build Failure 2026-01-02T09:00:12Z 2026-01-02T09:03:08.315384Z",
        "test Success - 2026-01-02T09:02:00Z",
    ];
    assert_eq!(
        folded("cdevents", &[&started, &task_started, &task, FINISHED]),
        expected
    );
}
